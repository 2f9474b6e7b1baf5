import type { Machine } from '../measure/machine.ts'
import type { Row, Summary } from './summary.ts'
import type { Verdict } from './targets.ts'

/** Words and figures that the terminal and the Markdown have in common. */

/** The header: a list of facts. */
export function facts(machine: Machine): [name: string, value: string][] {
  const { pinning } = machine
  const pinned =
    pinning.server === null
      ? 'not pinned (no taskset, or one core): expect more noise'
      : `server under test on core ${pinning.server}, load and upstream on core ${pinning.load}`
  const list = (versions: Readonly<Record<string, string>>) =>
    Object.entries(versions)
      .map(([name, version]) => `${name} ${version}`)
      .join(' · ')
  return [
    ['date', machine.date],
    ['commit', machine.commit],
    ['CPU', `${machine.cpu}, ${machine.cores} cores, ${Math.round(machine.memoryBytes / 1e9)} GB`],
    ['kernel', machine.kernel],
    ['node', machine.node],
    ['packages', list(machine.packages)],
    ['servers', list(machine.servers) || 'none installed'],
    ['pinning', pinned],
    ['load average before', machine.loadAverage.toFixed(2)],
  ]
}

/** The columns of a case's table, and its lines. */
export function table({ rows, metric, base }: Summary): { columns: string[]; lines: string[][] } {
  const megabytes = rows.some((row) => row.megabytesPerSecond)
  const columns = ['server', ratioTitle(metric), 'rounds', 'req/s', ...(megabytes ? ['MB/s'] : [])]
  columns.push('CPU µs/req', 'core', 'p50 ms', 'p99 ms', 'MB idle → peak')
  const lines = rows.map((row) => {
    if (row.problem !== undefined) return [row.title, row.problem]
    const ratio = row.name === base ? '1 (base)' : ratioText(row)
    return [
      row.title,
      ratio,
      row.ratio?.raw.map((one) => one.toFixed(2)).join(' ') ?? '',
      thousands(row.requestsPerSecond?.median),
      ...(megabytes ? [thousands(row.megabytesPerSecond?.median)] : []),
      row.cpuMicroseconds?.median.toFixed(1) ?? '?',
      percent(row.utilisation?.median),
      milliseconds(row.p50?.median),
      milliseconds(row.p99?.median),
      `${row.idleMegabytes?.toFixed(0)} → ${row.peakMegabytes?.toFixed(0)}`,
    ]
  })
  return { columns, lines }
}

/** What else was found, a sentence each. */
export function remarks({ rows, generator, metric, slices, disturbed }: Summary): string[] {
  const byCpu = rows.some((row) => row.byCpu)
  return [
    `Load: ${generator === 'ours' ? 'our own client' : generator}.`,
    ...(byCpu
      ? [
          'A c behind a ratio: the server did not use its whole core, so it is of requests per second of CPU time.',
        ]
      : []),
    ...(disturbed > 0
      ? [`${disturbed} of ${slices} slices were disturbed: others used more than 5 % of the server's core.`]
      : []),
    ...(metric === 'memory' ? ['The ratio is of the growth over idle; less is better.'] : []),
    ...rows.flatMap(({ name, allocation }) =>
      allocation
        ? [
            `${name}: ${thousands(allocation.bytesPerRequest)} bytes of heap allocated per request, ${percent(allocation.gcShare)} of the time in ${allocation.collections} collections.`,
          ]
        : [],
    ),
    ...rows.flatMap(({ name, bytesPerSession }) =>
      bytesPerSession === undefined
        ? []
        : [`${name}: ${thousands(bytesPerSession)} bytes of heap per session.`],
    ),
  ]
}

/** A target with its outcome, e.g. `forward-get: gateway / bare 0.93, at least 0.9: met`. */
export function verdictText({ caseName, name, against, atLeast, atMost, measured, met }: Verdict): string {
  const limit = atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`
  const what = against === 'idle' ? `${name}, MB over idle` : `${name} / ${against}`
  return `${caseName}: ${what} ${measured.toFixed(2)}, ${limit}: ${met ? 'met' : 'missed'}`
}

/** Whole numbers with a comma for the thousands. */
export function thousands(value: number | undefined): string {
  return value === undefined ? '?' : Math.round(value).toLocaleString('en')
}

function ratioTitle(metric: Summary['metric']): string {
  return metric === 'rate' ? 'ratio' : metric === 'p99' ? 'ratio of p99' : 'ratio of growth'
}

function ratioText({ ratio, byCpu }: Row): string {
  return ratio === undefined ? '?' : `${ratio.median.toFixed(2)}${byCpu ? ' c' : ''}`
}

function milliseconds(microseconds: number | undefined): string {
  return microseconds === undefined ? '?' : (microseconds / 1000).toFixed(2)
}

function percent(share: number | undefined): string {
  return share === undefined ? '?' : `${Math.round(share * 100)} %`
}
