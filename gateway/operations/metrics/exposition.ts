import { setTimeout as sleep } from 'node:timers/promises'
import type { Metric, Registry } from 'prom-client'
import { loadPackage, missingPackages } from '../../../plugin/api/internal.ts'
import {
  METHOD_CLASSES,
  type RouteCounters,
  STATUS_CLASSES,
  seriesOf,
} from '../../forward/exchange/route-counters.ts'
import { packageVersion } from '../admin/version.ts'
import { droppedLogLines } from '../log/log-sink.ts'
import { type Definition, METRICS, type MetricName } from './definitions.ts'
import type { Metrics } from './metrics.ts'
import { histogramSamples, type Sample, samplesOf } from './series.ts'

/** The metrics of one process as plain data, which can be sent to another one; in no words of prom-client's, which may be absent. */
export type MetricsData = readonly {
  readonly name: string
  readonly help: string
  readonly type: string
  readonly values: readonly Sample[]
}[]

/** What a scrape is answered with. */
export interface Scrape {
  readonly contentType: string
  readonly text: string
}

/** The metrics of a process in Prometheus' words. Nothing is done between two scrapes. */
export interface Exposition {
  data(): Promise<MetricsData>
  /** @param others of the processes that serve, if these are others. */
  scrape(others: readonly MetricsData[]): Promise<Scrape>
}

/** prom-client looks at the event loop every 10 ms. */
const FIRST_SAMPLES_MS = 50

/** Why there can be no metrics, and what to do; undefined: there can. */
export function metricsProblem(): string | undefined {
  return missingPackages('prom-client')
}

/**
 * Its methods throw where prom-client cannot be loaded, which is done at the first scrape: who is never asked needs
 * none. Source: requirements Q-04.
 */
export function createExposition(metrics: Metrics): Exposition {
  let opening: Promise<Registry> | undefined
  const opened = () => {
    opening ??= openRegistry(metrics)
    return opening
  }
  const data = async () => (await (await opened()).getMetricsAsJSON()) as unknown as MetricsData
  return {
    data,
    async scrape(others) {
      const registry = await opened()
      const { contentType } = registry
      if (others.length === 0) return { contentType, text: await registry.metrics() }
      return { contentType, text: await aggregated([await data(), ...others]).metrics() }
    },
  }
}

async function openRegistry(metrics: Metrics): Promise<Registry> {
  const { Registry, collectDefaultMetrics } = promClient()
  const registry: Registry = new Registry()
  collectDefaultMetrics({ register: registry })
  const sources = sourcesOf(metrics)
  for (const name of Object.keys(METRICS) as MetricName[]) {
    registry.registerMetric(metricOf(name, sources[name]))
  }
  // Of a delay of the event loop that nobody has measured yet there would be NaN.
  await sleep(FIRST_SAMPLES_MS)
  return registry
}

/**
 * The counts of processes that have ended, as one.
 *
 * @returns counters and histograms: what has been open, or was used, is no more.
 */
export async function countsOf(ended: readonly MetricsData[]): Promise<MetricsData> {
  const counts = ended.map((metrics) => metrics.filter(({ type }) => ['counter', 'histogram'].includes(type)))
  return (await aggregated(counts).getMetricsAsJSON()) as unknown as MetricsData
}

function aggregated(processes: readonly MetricsData[]): Registry {
  return promClient().AggregatorRegistry.aggregate(processes as unknown as object[])
}

function promClient(): typeof import('prom-client') {
  return loadPackage<typeof import('prom-client')>('prom-client')
}

type Source = () => Sample[] | Promise<Sample[]>

/** As prom-client asks a metric for its values; its own would have to be filled with each of ours first. */
function metricOf(name: MetricName, source: Source): Metric<string> {
  const { type, help, aggregator }: Definition = METRICS[name]
  const about = { name, type, help, aggregator: aggregator ?? 'sum' }
  return { ...about, get: async () => ({ ...about, values: await source() }) } as unknown as Metric<string>
}

function sourcesOf(metrics: Metrics): Record<MetricName, Source> {
  const { routes } = metrics
  const one = (value: number): Sample[] => [{ labels: {}, value }]
  const whileServing = (value: () => number) => () => (metrics.gauges ? one(value()) : [])
  const each = (read: (route: string, counters: RouteCounters) => Sample[]) => () =>
    [...routes].flatMap(([route, counters]) => read(route, counters))
  return {
    pkce_requests_total: each((route, { requests }) =>
      seriesOfRequests(route).flatMap(({ labels, at }) => {
        const value = requests.count(at)
        return value > 0 ? [{ labels, value }] : []
      }),
    ),
    pkce_request_duration_seconds: each((route, { requests }) =>
      seriesOfRequests(route).flatMap(({ labels, at }) =>
        histogramSamples('pkce_request_duration_seconds', labels, requests, at),
      ),
    ),
    pkce_requests_in_flight: whileServing(() => metrics.gauges!.requestsInFlight()),
    pkce_open_streams: each((route, { eventStreams, webSockets }) => [
      { labels: { route, kind: 'event_stream' }, value: eventStreams },
      { labels: { route, kind: 'websocket' }, value: webSockets },
    ]),
    pkce_open_connections: async () => (metrics.gauges ? one(await metrics.gauges.connections()) : []),
    pkce_connections_dropped_total: () => one(metrics.connectionsDropped),
    pkce_refusals_total: () => samplesOf(metrics.refusals),
    pkce_upstream_duration_seconds: each((route, { upstream }) =>
      histogramSamples('pkce_upstream_duration_seconds', { route }, upstream),
    ),
    pkce_upstream_failures_total: each((route, { failures }) =>
      [...failures].map(([failure, value]) => ({ labels: { route, failure }, value })),
    ),
    pkce_login_steps_total: () => samplesOf(metrics.logins),
    pkce_refreshes_total: () => samplesOf(metrics.refreshes),
    pkce_audit_events_total: () => samplesOf(metrics.events),
    pkce_provider_calls_total: () => samplesOf(metrics.providerCalls),
    pkce_provider_call_duration_seconds: () =>
      [...metrics.providerDurations].flatMap(({ labels, value }) =>
        histogramSamples('pkce_provider_call_duration_seconds', labels, value),
      ),
    pkce_provider_breaker_open: () => samplesOf(metrics.breakers),
    pkce_store_operations_total: () => samplesOf(metrics.storeOperations),
    pkce_store_operation_duration_seconds: () =>
      [...metrics.storeDurations].flatMap(({ labels, value }) =>
        histogramSamples('pkce_store_operation_duration_seconds', labels, value),
      ),
    pkce_store_notification_seconds: () =>
      histogramSamples('pkce_store_notification_seconds', {}, metrics.notificationDurations),
    pkce_store_notification_gaps_total: () => one(metrics.notificationGaps),
    pkce_store_notifications_up: () =>
      metrics.areNotificationsUp === undefined ? [] : one(metrics.areNotificationsUp ? 1 : 0),
    pkce_session_cache_lookups_total: () => {
      const { hits, misses } = metrics.sessionCache
      return [
        { labels: { result: 'hit' }, value: hits },
        { labels: { result: 'miss' }, value: misses },
      ]
    },
    pkce_log_lines_dropped_total: () => one(droppedLogLines()),
    pkce_reloads_total: () => samplesOf(metrics.reloads),
    pkce_last_reload_successful: () => one(metrics.isLastReloadSuccessful ? 1 : 0),
    pkce_last_reload_success_timestamp_seconds: () =>
      metrics.lastReloadAt === undefined ? [] : one(metrics.lastReloadAt.getTime() / 1000),
    pkce_serving_processes: () => one(metrics.gauges ? 1 : 0),
    pkce_build_info: () => [{ labels: { version: packageVersion(), node: process.version }, value: 1 }],
  }
}

function seriesOfRequests(route: string) {
  return METHOD_CLASSES.flatMap((method, m) =>
    STATUS_CLASSES.map((status, s) => ({ labels: { route, method, status }, at: seriesOf(m, s) })),
  )
}
