import type { RecordableHistogram } from 'node:perf_hooks'
import type { Latency } from '../plan.ts'

/** The percentiles of a histogram of nanoseconds. */
export function latencyOf(histogram: RecordableHistogram): Latency {
  return {
    p50: histogram.percentile(50),
    p90: histogram.percentile(90),
    p99: histogram.percentile(99),
    p999: histogram.percentile(99.9),
    max: histogram.max,
  }
}
