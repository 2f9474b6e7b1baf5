import { once } from 'node:events'
import { createServer } from 'node:net'
import { explainedBy, StartError } from '../start-error.ts'
import { type Finding, finding, sentence } from './finding.ts'
import type { Subject } from './subject.ts'

const PART = 'listener'
const ASK_MS = 2000

/** What a gateway says at /readyz. */
interface RunningGateway {
  readonly state: string
  /** What stands in the way, by part. */
  readonly parts: readonly string[]
}

/** Both ports: whether they can be opened, or belong to a gateway that runs here already. */
export async function diagnosePorts({ loaded }: Subject): Promise<Finding[]> {
  const { listen, admin } = loaded.config
  const running = await askGateway(admin)
  const ports = await Promise.all([ofPort('listen', listen, running), ofPort('admin', admin, running)])
  if (running === undefined || running.parts.length === 0) return ports
  const slots = { state: running.state, parts: running.parts.join('; ') }
  return [...ports, finding(PART, 'listen_not_ready', { slots })]
}

async function ofPort(
  key: 'listen' | 'admin',
  { host, port }: { readonly host: string; readonly port: number },
  running: RunningGateway | undefined,
): Promise<Finding> {
  const name = host.includes(':') ? `[${host}]` : host
  const address = `${name}:${port === 0 ? '(any free port)' : port}`
  try {
    await tryPort({ host, port }).catch(explainedBy(key, { host, port }))
    return finding(PART, 'listen_port_free', { slots: { address, key } })
  } catch (error) {
    if (!(error instanceof StartError)) throw error
    const { code = 'failed' } = error.cause as NodeJS.ErrnoException
    if (code === 'EADDRINUSE' && running) {
      return finding(PART, 'listen_port_own', { slots: { address, state: running.state } })
    }
    const advice = sentence(error.message.replace(/^listen \S+ \S+: /, ''))
    return finding(PART, 'listen_port_taken', { slots: { address, code }, advice })
  }
}

async function tryPort(place: { readonly host: string; readonly port: number }): Promise<void> {
  const server = createServer()
  server.listen(place)
  await once(server, 'listening')
  server.close()
  await once(server, 'close')
}

/** The gateway that has the admin port, if one has. */
async function askGateway(admin: {
  readonly host: string
  readonly port: number
}): Promise<RunningGateway | undefined> {
  if (admin.port === 0) return undefined
  // Of those that mean every address, the one of this machine.
  const host = { '0.0.0.0': '127.0.0.1', '::': '[::1]' }[admin.host] ?? admin.host.replace(/^.*:.*$/, '[$&]')
  try {
    const response = await fetch(`http://${host}:${admin.port}/readyz`, {
      redirect: 'error',
      signal: AbortSignal.timeout(ASK_MS),
    })
    return readState(await response.json())
  } catch {
    return undefined
  }
}

/** @returns undefined for the answer of something else. */
function readState(body: unknown): RunningGateway | undefined {
  const { status, checks } = (body ?? {}) as { status?: unknown; checks?: unknown }
  const isGateway = ['ready', 'degraded', 'not ready'].includes(String(status)) && typeof checks === 'object'
  if (!isGateway) return undefined
  const parts = Object.entries(checks ?? {})
    .filter(([, problem]) => problem !== 'ok' && problem !== false)
    .map(([part, problem]) => `${part}: ${problem === true ? 'yes' : problem}`)
  return { state: String(status), parts }
}
