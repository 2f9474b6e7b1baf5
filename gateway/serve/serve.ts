import type { Server as HttpServer } from 'node:http'
import type { Server } from 'node:https'
import { promisify } from 'node:util'
import type { FastifyBaseLogger } from 'fastify'
import { openListener, prepareStore } from '../app.ts'
import { readCertificate } from '../config/certificate.ts'
import type { GatewayConfig } from '../config/schemas/config.ts'
import { letIn } from '../forward/register.ts'
import type { Readiness } from '../operations/admin/listener.ts'
import { manageSessions, type SessionOutcome, type SessionRequest } from '../operations/admin/sessions.ts'
import { type WatchedCertificate, watchCertificate } from '../operations/certificate.ts'
import type { LogStream } from '../operations/log/log-sink.ts'
import type { MetricsData } from '../operations/metrics/exposition.ts'
import type { Metrics } from '../operations/metrics/metrics.ts'
import { Overload } from '../operations/overload.ts'
import type { Prepared } from '../operations/reload/reload.ts'
import { explainedBy, explainedStoreError } from '../operations/start-error.ts'
import { createStore } from '../operations/store.ts'
import { observed } from '../operations/tracing/observer.ts'
import { createTracing } from '../operations/tracing/tracing.ts'
import { Generations, makeGeneration } from './generations.ts'

/** What answers the apps: this process itself, or workers that it has started. */
export interface Service {
  readonly log: FastifyBaseLogger
  /** What an operator should hear about the store. */
  readonly warnings: readonly string[]
  readiness(): Promise<Readiness>
  /** Of the processes that serve, if these are others. */
  measure(): Promise<readonly MetricsData[]>
  /** Lists or ends sessions, on every instance (requirements S-01). Never rejects. */
  sessions(request: SessionRequest): Promise<SessionOutcome>
  /** Opens the public listener. @throws StartError */
  listen(): Promise<Listening>
  /**
   * Makes everything that another configuration describes, ready to take the place of what there is. What cannot
   * change while it runs must be the same.
   *
   * @throws ConfigError, StoreError when it cannot be used; then nothing has changed. Source: requirements Q-03.
   */
  prepare(config: GatewayConfig): Promise<Prepared>
  /** From now on every answer is the last of its connection; new ones are still accepted (requirements K-07). */
  leave(): void
  /** Stops accepting, lets the requests in flight finish, then closes the store (requirements K-07). */
  close(): Promise<void>
}

/** A public listener that is open. */
export interface Listening {
  /** E.g. `http://127.0.0.1:3000`. */
  readonly address: string
}

/**
 * Serves in this process: a store that has been looked at, a listener, and behind it what a reload replaces.
 *
 * @throws ConfigError when the provider's metadata is wrong. @throws StartError when the store cannot be used.
 */
export async function serveHere(
  config: GatewayConfig,
  logStream?: LogStream,
  metrics?: Metrics,
): Promise<Service> {
  /** In the order of opening; closed in reverse. */
  const closers: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const one of closers.splice(0).reverse()) await one()
  }
  try {
    const tracing = createTracing()
    const store = observed(createStore(config.store), metrics, tracing)
    const warnings = await prepareStore(store)
    closers.push(() => store.close())
    const load = new Overload(config.listen.overload)
    const shared = { store, load, logStream, metrics, tracing }
    const generations = new Generations(await makeGeneration(config, shared))
    closers.push(() => generations.close())
    const { app: listener, features } = await openListener(config, { logStream, isComplete: true })
    closers.push(() => listener.close())
    load.watch(listener.log)
    closers.push(async () => load.close())
    letIn(listener, () => generations.current.forwarding, features)
    listener.addHook('preClose', async () => generations.drain())
    await listener.ready()
    if (metrics) measureServer(listener.server, load, metrics)
    let certificate: WatchedCertificate | undefined
    closers.push(async () => certificate?.close())
    return {
      log: listener.log,
      warnings,
      readiness: () => generations.current.app.pkce.readiness(),
      measure: async () => [],
      sessions: (request) => manageSessions(generations.current.app, request),
      async listen() {
        const { host, port, tls } = config.listen
        const address = await listener.listen({ host, port }).catch(explainedBy('listen', config.listen))
        certificate = tls && watchCertificate(listener.server as unknown as Server, tls, listener.log)
        return { address }
      },
      async prepare(next) {
        const { tls } = next.listen
        const secure = tls && readCertificate(tls)
        const generation = await generations.makeNext(next, shared)
        return {
          swap() {
            generations.replace(generation)
            listener.log.level = next.log.level
            if (tls && secure) certificate?.use(tls, secure)
          },
          discard: () => generation.app.close(),
        }
      },
      leave: () => generations.leave(),
      close,
    }
  } catch (error) {
    await close()
    throw explainedStoreError(error)
  }
}

function measureServer(server: HttpServer, load: Overload, metrics: Metrics): void {
  server.on('drop', () => {
    metrics.connectionsDropped++
  })
  metrics.gauges = {
    connections: promisify(server.getConnections.bind(server)),
    requestsInFlight: () => load.inFlight,
  }
}
