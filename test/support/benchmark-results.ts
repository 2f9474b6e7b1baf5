/** Made-up results of the benchmarks, for what the reports make of them. */
import type { Machine } from '../../benchmarks/measure/machine.ts'
import { rounds } from '../../benchmarks/measure/statistics.ts'
import type { Report } from '../../benchmarks/report/report.ts'
import type { Row, Summary } from '../../benchmarks/report/summary.ts'
import { judge } from '../../benchmarks/report/targets.ts'

const machine: Machine = {
  date: '2026-01-05T08:00:00.000Z',
  cpu: 'a CPU',
  cores: 2,
  memoryBytes: 8e9,
  kernel: 'Linux 6',
  node: 'v20.20.2',
  packages: { fastify: '5.12.8' },
  servers: { nginx: '1.22.1' },
  commit: '0123456789ab',
  pinning: { server: '0', load: '1' },
  loadAverage: 0.1,
}

/** A line with its ratios; without any, the base. */
export function row(name: string, raw: readonly number[] = [], more: Partial<Row> = {}): Row {
  const ratio = raw.length > 0 && { ratio: rounds(raw) }
  return { name, title: `title of ${name}`, authenticates: false, ...ratio, ...more }
}

/** Of `forward-get`, against `bare`, undisturbed, unless `more` says otherwise. */
export function summary(rows: readonly Row[], more: Partial<Summary> = {}): Summary {
  const fixed = { title: 'a title', metric: 'rate', generator: 'wrk', slices: 3, disturbed: 0 } as const
  return { name: 'forward-get', base: 'bare', ...fixed, rows, ...more }
}

/** A measurement of these cases by one command, on Node 20 unless `change` says otherwise. */
export function report(summaries: readonly Summary[], change: Partial<Machine> = {}): Report {
  const changed = { ...machine, ...change }
  const { date, commit } = changed
  const cases = summaries.map(({ name }) => name)
  return {
    format: 1,
    profile: 'full',
    machine: changed,
    parts: [{ command: 'npm run bench -- --profile full', date, commit, cases }],
    timings: {},
    summaries,
    verdicts: judge(summaries),
    raw: {},
  }
}
