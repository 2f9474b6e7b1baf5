import type { Server } from 'node:https'
import type { FastifyBaseLogger } from 'fastify'
import { composeGateway, createServices, prepareStore } from './app.ts'
import type { GatewayConfig } from './config/schemas/gateway.ts'
import type { Readiness } from './operations/admin.ts'
import { watchCertificate } from './operations/certificate.ts'
import type { LogStream } from './operations/log-sink.ts'
import { explainedBy, explainedStoreError } from './operations/start-error.ts'

/** What answers the apps: this process itself, or workers that it has started. */
export interface Service {
  readonly log: FastifyBaseLogger
  /** What an operator should hear about the store. */
  readonly warnings: readonly string[]
  readiness(): Promise<Readiness>
  /** Opens the public listener. @throws StartError */
  listen(): Promise<Listening>
  /** From now on every answer is the last of its connection; new ones are still accepted (requirements K-07). */
  leave(): void
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
  const leaving = new AbortController()
  /** In the order of opening; closed in reverse. */
  const closers: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const one of closers.splice(0).reverse()) await one()
  }
  try {
    const services = createServices(config)
    const warnings = await prepareStore(services.store)
    const app = await composeGateway(config, services, {
      leaving: leaving.signal,
      ...(logStream && { logStream }),
    })
    closers.push(() => app.close())
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
      leave: () => leaving.abort(),
      close,
    }
  } catch (error) {
    await close()
    throw explainedStoreError(error)
  }
}
