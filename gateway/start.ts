import { setTimeout as sleep } from 'node:timers/promises'
import type { FastifyBaseLogger } from 'fastify'
import type { LoadedConfig } from './config/load.ts'
import type { GatewayConfig } from './config/schemas/config.ts'
import type { Answer } from './operations/admin/answer.ts'
import { startAdmin } from './operations/admin/listener.ts'
import type { LogStream } from './operations/log/log-sink.ts'
import { createExposition, metricsProblem } from './operations/metrics/exposition.ts'
import { Metrics } from './operations/metrics/metrics.ts'
import { Reload, type ReloadOutcome } from './operations/reload/reload.ts'
import { explainedBy } from './operations/start-error.ts'
import { type Listening, type Service, serveHere } from './serve/serve.ts'
import { serveByWorkers } from './workers/primary.ts'

export { StartError } from './operations/start-error.ts'

/** A gateway that listens. */
export interface RunningGateway extends Listening {
  readonly log: FastifyBaseLogger
  readonly adminAddress: string
  /**
   * Reads the configuration, secrets and certificates again, and puts them in the place of those that run: as a whole,
   * or not at all. No request and no login under way is lost. Never rejects (requirements Q-03).
   */
  reload(): Promise<ReloadOutcome>
  /** When that last succeeded; at first, when the gateway began to listen. */
  readonly reloadedAt: Date
  /**
   * Becomes not ready, goes on for `shutdown.delayMs`, so that load balancers can notice, then stops accepting, lets
   * the requests in flight finish, and closes the store: a token exchange in flight cannot be repeated, so its app
   * gets its response (requirements K-07).
   */
  stop(): Promise<void>
}

/**
 * Builds the gateway and opens both listeners, the admin one first, so that a supervisor can watch the rest.
 *
 * @param logStream where this process logs; workers log to standard output.
 * @param load reads the configuration again, for a reload. Default: it is what it was, and its files are read.
 * @throws ConfigError when the provider's metadata is wrong. @throws StartError when a port cannot be had.
 */
export async function startGateway(
  config: GatewayConfig,
  logStream?: LogStream,
  load: () => Pick<LoadedConfig, 'config' | 'locate'> = () => ({
    config,
    locate: (problems) => [...problems],
  }),
): Promise<RunningGateway> {
  const { delayMs } = config.shutdown
  let draining = false
  /** In the order of opening; closed in reverse. */
  const closers: (() => Promise<unknown>)[] = []
  const close = async () => {
    draining = true
    for (const one of closers.toReversed()) await one()
  }
  const serve = config.workers === 1 ? serveHere : serveByWorkers
  const missing = config.admin.metrics ? metricsProblem() : undefined
  const metrics = config.admin.metrics && missing === undefined ? new Metrics() : undefined
  const service = await serve(config, logStream, metrics)
  const { log } = service
  try {
    closers.push(() => service.close())
    for (const warning of [...config.warnings, ...service.warnings]) log.warn(warning)

    const readiness = () => service.readiness()
    if (missing !== undefined) log.info(`/metrics answers 501, and nothing is counted: ${missing}`)
    const answers = config.admin.metrics ? metricsAnswers(service, metrics, missing) : undefined
    let isListening = false
    const reload = new Reload({
      ...{ load, prepare: (next) => service.prepare(next), log, running: config },
      onOutcome: (isSuccessful) => metrics?.reloaded(isSuccessful),
    })
    const admin = await startAdmin({
      ...{ host: config.admin.host, port: config.admin.port },
      ...{ readiness, log, draining: () => draining, metrics: answers },
      token: () => reload.running.admin.bearerToken,
      sessions: (request) => service.sessions(request),
      reload: async () => (draining || !isListening ? null : reload.run()),
    }).catch(explainedBy('admin', config.admin))
    // Behind the service: readiness is answered, negatively, until the last request has ended.
    closers.unshift(() => admin.close())
    const { address } = await service.listen()
    isListening = true
    if (metrics) metrics.lastReloadAt = new Date()
    return {
      address,
      log,
      adminAddress: admin.address,
      async reload() {
        return draining ? { problems: ['the gateway is closing'] } : reload.run()
      },
      get reloadedAt() {
        return reload.succeededAt
      },
      async stop() {
        draining = true
        service.leave()
        if (delayMs > 0) await sleep(delayMs)
        await close()
      },
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** How a scrape is answered. @param missing the package that there would have to be, with the command. */
function metricsAnswers(
  service: Service,
  metrics: Metrics | undefined,
  missing: string | undefined,
): () => Promise<Answer> {
  if (metrics === undefined) {
    const text = { status: 501, body: `${missing}\n`, contentType: 'text/plain; charset=utf-8' }
    return async () => text
  }
  const exposition = createExposition(metrics)
  return async () => {
    try {
      const { contentType, text } = await exposition.scrape(await service.measure())
      return { status: 200, body: text, contentType }
    } catch (err) {
      service.log.error({ err }, 'the metrics could not be read: is prom-client of version 15?')
      return { status: 500, body: { status: 'failed' } }
    }
  }
}
