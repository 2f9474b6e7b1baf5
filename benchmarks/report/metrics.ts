import type { Measured } from '../measure/rounds.ts'
import type { Metric } from '../plan/case.ts'

/** What a case compares: how it is reckoned, and what it is called. */
export interface MetricFacts {
  /** Of a slice. */
  figure(slice: Measured): number
  /** Instead of it, where a server did not use its whole core. Absent: that makes no difference. */
  figureByCpu?(slice: Measured): number
  /** In words, with its unit. */
  readonly words: string
  /** The head of the ratio's column. */
  readonly head: string
  readonly better: 'more' | 'less'
  /** What a reader of the table must know besides. */
  readonly remark?: string
}

/** All that the reports know of a metric: a new one is a line here. */
export const metrics: Readonly<Record<Metric, MetricFacts>> = {
  rate: {
    figure: ({ requests, seconds }) => requests / seconds,
    figureByCpu: ({ requests, cpuNanoseconds }) => (requests * 1e9) / cpuNanoseconds!,
    words: 'requests per second',
    head: 'ratio',
    better: 'more',
  },
  p99: {
    figure: ({ latency }) => latency.p99,
    words: '99th percentile of the latency',
    head: 'ratio of p99',
    better: 'less',
  },
  memory: {
    figure: ({ memory }) => memory.peak - memory.idle,
    words: 'growth of memory',
    head: 'ratio of growth',
    better: 'less',
    remark: 'The ratio is of the growth over idle; less is better.',
  },
  'connection-memory': {
    figure: ({ bytesPerConnection = 0 }) => bytesPerConnection,
    words: 'memory of each connection',
    head: 'ratio of growth',
    better: 'less',
    remark: 'The ratio is of the growth for each connection that is held; less is better.',
  },
  start: {
    figure: ({ cpuNanoseconds = 0 }) => cpuNanoseconds,
    words: 'CPU time of a start',
    head: 'ratio of CPU',
    better: 'less',
    remark:
      'A request is a start until the server is ready: p50 is its wall time, and idle the memory once it has come to rest. Less is better.',
  },
}
