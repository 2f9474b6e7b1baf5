import type { Server } from 'node:https'
import type { FastifyBaseLogger, FastifyInstance } from 'fastify'
import { composeGateway, createServices, prepareStore } from './app.ts'
import type { GatewayConfig } from './config/schemas/gateway.ts'
import type { Readiness } from './operations/admin.ts'
import { watchCertificate } from './operations/certificate.ts'
import type { LogStream } from './operations/log.ts'
import { explainedBy, explainedStoreError } from './operations/start-error.ts'

/** What answers the apps: this process itself, or workers that it has started. */
export interface Service {
  readonly log: FastifyBaseLogger
  /** What an operator should hear about the store. */
  readonly warnings: readonly string[]
  readiness(): Promise<Readiness>
  /** Opens the public listener. @throws StartError */
  listen(): Promise<Listening>
  /** Stops accepting, lets the requests in flight finish, then closes the store (requirements K-07). */
  close(): Promise<void>
}

/** A public listener that is open. */
export interface Listening {
  /** E.g. `http://127.0.0.1:3000`. */
  readonly address: string
  /** Reads the certificate again; undefined without TLS. */
  readonly reload: (() => void) | undefined
}

/**
 * Serves in this process: a store that has been looked at, and the gateway on it, ready to listen.
 *
 * @throws ConfigError when the provider's metadata is wrong. @throws StartError when the store cannot be used.
 */
export async function serveHere(config: GatewayConfig, logStream?: LogStream): Promise<Service> {
  /** In the order of opening; closed in reverse. */
  const closers: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const one of closers.splice(0).reverse()) await one()
  }
  try {
    const services = createServices(config)
    const warnings = await prepareStore(services.store)
    const app = await composeGateway(config, services, logStream && { logStream })
    closers.push(() => closeListener(app))
    await app.ready()
    return {
      log: app.log,
      warnings,
      readiness: () => app.pkce.readiness(),
      async listen() {
        const { host, port, tls } = config.listen
        const address = await app.listen({ host, port }).catch(explainedBy('listen', config.listen))
        const certificate = tls && watchCertificate(app.server as unknown as Server, tls, app.log)
        closers.push(async () => certificate?.close())
        return { address, reload: certificate?.reload }
      },
      close,
    }
  } catch (error) {
    await close()
    throw explainedStoreError(error)
  }
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
