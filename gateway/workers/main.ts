/**
 * A worker process: serves what the primary's first message describes, and ends when the primary says so. When the
 * primary is gone, `node:cluster` ends it at once.
 */
import { freezeData } from '../../plugin/api/internal.ts'
import type { GatewayConfig } from '../config/schemas/config.ts'
import { CHECK_FAILED } from '../operations/admin/listener.ts'
import { standardLogSink } from '../operations/log/log-sink.ts'
import { createExposition, type Exposition, metricsProblem } from '../operations/metrics/exposition.ts'
import { Metrics } from '../operations/metrics/metrics.ts'
import type { Prepared } from '../operations/reload/reload.ts'
import { type Listening, type Service, serveHere } from '../serve/serve.ts'
import { failureOf, type ToPrimary, type ToWorker } from './messages.ts'

let service: Service | undefined
let listening: Listening | undefined
let exposition: Exposition | undefined
/** By the last `prepare`. */
let prepared: Promise<Prepared> | undefined

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
    case 'measure':
      return tell({ type: 'metrics', data: (await exposition?.data()) ?? [] })
    case 'sessions':
      return sessions(message)
    case 'ping':
      return tell({ type: 'pong' })
    case 'prepare':
      return prepare(message.config)
    case 'swap':
      return (await prepared)?.swap()
    case 'discard':
      return (await prepared?.catch(() => {}))?.discard()
    case 'leave':
      return service?.leave()
    case 'stop':
      await service?.close()
      await standardLogSink().drained()
      return process.exit(0)
  }
}

async function start(config: GatewayConfig): Promise<void> {
  const metrics = config.admin.metrics && metricsProblem() === undefined ? new Metrics() : undefined
  exposition = metrics && createExposition(metrics)
  service = await serveHere(freezeData(config), undefined, metrics)
  listening = await service.listen()
  tell({ type: 'listening', address: listening.address })
}

async function sessions({ id, request }: ToWorker & { type: 'sessions' }): Promise<void> {
  const outcome = (await service?.sessions(request)) ?? { refused: 'unavailable', message: 'it is starting' }
  tell({ type: 'sessions', id, outcome })
}

async function prepare(config: GatewayConfig): Promise<void> {
  prepared = service?.prepare(freezeData(config))
  try {
    await prepared
    tell({ type: 'prepared' })
  } catch (error) {
    tell({ type: 'refused', failure: failureOf(error) })
  }
}

function fail(error: unknown): void {
  tell({ type: 'failed', failure: failureOf(error) }, () => process.exit(1))
}

function tell(message: ToPrimary, told = () => {}): void {
  process.send?.(message, undefined, undefined, told)
}
