import type { Server } from 'node:https'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { StoreError } from '../plugin/index.ts'
import { startAdmin } from './admin.ts'
import { buildGateway } from './app.ts'
import { watchCertificate } from './certificate.ts'
import type { GatewayConfig } from './config/schema.ts'

/** A gateway that listens. */
export interface RunningGateway {
  readonly log: FastifyBaseLogger
  /** Of the public listener, e.g. `http://127.0.0.1:3000`. */
  readonly address: string
  readonly adminAddress: string
  /** Reads the certificate again, as happens by itself when its files change; undefined without TLS. */
  readonly reload: (() => void) | undefined
  /**
   * Becomes not ready, stops accepting, lets the requests in flight finish, then closes the store: an exchange
   * in flight cannot be repeated, so its app gets its answer (requirements K-07).
   */
  stop(): Promise<void>
}

/** The gateway could not start, for a reason that an operator can act on. */
export class StartError extends Error {
  override readonly name = 'StartError'
}

/**
 * Builds the gateway and opens both listeners, the admin one first, so that a supervisor can watch the rest.
 *
 * @throws ConfigError when the provider's metadata is wrong. @throws StartError when a port cannot be had.
 */
export async function startGateway(
  config: GatewayConfig,
  logStream?: { write(line: string): void },
): Promise<RunningGateway> {
  let draining = false
  /** In the order of opening; closed in reverse. */
  const closing: (() => Promise<unknown>)[] = [() => config.store.close()]
  const stop = async () => {
    draining = true
    for (const close of closing.toReversed()) await close()
  }
  try {
    const storeWarnings = await config.store.prepare().catch(storeProblem)
    const app = await buildGateway(config, logStream && { logStream })
    closing.push(() => closeListener(app))
    await app.ready()
    for (const warning of [...config.warnings, ...storeWarnings]) app.log.warn(warning)

    const readiness = () => app.pkce.readiness()
    const admin = await startAdmin({ ...config.admin, readiness, draining: () => draining }).catch(
      explainedBy('admin', config.admin),
    )
    // Behind the app: readiness is answered, negatively, until the last request has ended.
    closing.splice(1, 0, () => admin.close())
    const { host, port } = config.listen
    const address = await app.listen({ host, port }).catch(explainedBy('listen', config.listen))
    const { tls } = config.listen
    const certificate = tls && watchCertificate(app.server as unknown as Server, tls, app.log)
    closing.push(async () => certificate?.close())
    return { log: app.log, address, adminAddress: admin.address, reload: certificate?.reload, stop }
  } catch (error) {
    await stop()
    throw error
  }
}

/** A store that cannot be used at start is somebody's mistake: it is told, and a supervisor tries again. */
function storeProblem(error: unknown): never {
  if (!(error instanceof StoreError)) throw error
  throw new StartError(`store.url: ${error.message}`, { cause: error })
}

/** How often connections that have become idle are looked for while the last requests end. */
const IDLE_CHECK_MS = 50

/** A kept-alive connection that becomes idle after the listener has closed would hold it until its timeout. */
async function closeListener(app: FastifyInstance): Promise<void> {
  const idleCheck = setInterval(() => app.server.closeIdleConnections(), IDLE_CHECK_MS)
  try {
    await app.close()
  } finally {
    clearInterval(idleCheck)
  }
}

const remedies: Record<string, (key: string) => string> = {
  EADDRINUSE: (key) => `another process uses the port; change ${key}.port or stop it`,
  EACCES: (key) => `this user may not open the port; change ${key}.port to one above 1023`,
  EADDRNOTAVAIL: (key) => `this machine has no such address; change ${key}.host`,
  ENOTFOUND: (key) => `the name is not known; change ${key}.host`,
}

/** Tells which of the two listeners failed, where, and what to do. */
function explainedBy(key: 'listen' | 'admin', { host, port }: { host: string; port: number }) {
  return (error: unknown): never => {
    const { code = 'failed' } = error as NodeJS.ErrnoException
    const remedy = remedies[code]?.(key) ?? `cannot listen there; change ${key}.host or ${key}.port`
    throw new StartError(`listen ${code} ${host}:${port}: ${remedy}`, { cause: error })
  }
}
