/**
 * A worker process: serves what the primary's first message describes, and ends when the primary says so. When the
 * primary is gone, `node:cluster` ends it at once.
 */
import { freezeData } from '../../plugin/api/internal.ts'
import type { GatewayConfig } from '../config/schemas/gateway.ts'
import { CHECK_FAILED } from '../operations/admin.ts'
import { standardLogSink } from '../operations/log-sink.ts'
import { type Listening, type Service, serveHere } from '../serve.ts'
import { failureOf, type ToPrimary, type ToWorker } from './messages.ts'

let service: Service | undefined
let listening: Listening | undefined

// A terminal and systemd signal every process of the group; what is to be done is decided once, by the primary.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP', 'SIGQUIT'] as const) process.on(signal, () => {})

process.on('uncaughtException', (err) => {
  if (listening === undefined) return fail(err)
  // Nothing is known of the state: no request may be answered from it.
  service?.log.fatal({ err }, 'uncaught error, exiting')
  process.exit(1)
})
process.on('message', (message: ToWorker) => void obey(message))
tell({ type: 'loaded' })

async function obey(message: ToWorker): Promise<void> {
  switch (message.type) {
    case 'start':
      return start(message.config).catch(fail)
    case 'readiness':
      return tell({ type: 'readiness', readiness: (await service?.readiness()) ?? CHECK_FAILED })
    case 'ping':
      return tell({ type: 'pong' })
    case 'reload':
      return listening?.reload?.()
    case 'leave':
      return service?.leave()
    case 'stop':
      await service?.close()
      await standardLogSink().drained()
      return process.exit(0)
  }
}

async function start(config: GatewayConfig): Promise<void> {
  service = await serveHere(freezeData(config))
  listening = await service.listen()
  tell({ type: 'listening', address: listening.address })
}

function fail(error: unknown): void {
  tell({ type: 'failed', failure: failureOf(error) }, () => process.exit(1))
}

function tell(message: ToPrimary, told = () => {}): void {
  process.send?.(message, undefined, undefined, told)
}
