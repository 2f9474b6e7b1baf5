import type { Machine } from '../measure/machine.ts'
import { trafficOf } from './headline.ts'
import { metrics } from './metrics.ts'
import type { Report } from './report.ts'
import type { Row, Summary } from './summary.ts'
import type { Target, Verdict } from './targets.ts'

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
  const columns = ['server', metrics[metric].head, 'rounds', 'req/s', ...(megabytes ? ['MB/s'] : [])]
  columns.push('CPU µs/req', 'core', 'p50 ms', 'p99 ms', 'MB idle → peak')
  const lines = rows.map((row) => {
    if (row.problem !== undefined) return [row.title, row.problem]
    return [
      row.title,
      ratioText(row, base),
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

/** What a reader of the ratios must know, a sentence each. */
export function remarks({ name: caseName, rows, generator, metric, slices, disturbed }: Summary): string[] {
  const byCpu = rows.some((row) => row.byCpu)
  const traffic = trafficOf(caseName)
  const { remark } = metrics[metric]
  return [
    ...(traffic === undefined ? [] : [`The gateway's figures hold for ${traffic}.`]),
    `Load: ${generator === 'ours' ? 'our own client' : generator}.`,
    ...(byCpu
      ? [
          'A c behind a ratio: the server did not use its whole core, so it is of requests per second of CPU time.',
        ]
      : []),
    ...(disturbed > 0
      ? [`${disturbed} of ${slices} slices were disturbed: others used more than 5 % of the server's core.`]
      : []),
    ...(remark === undefined ? [] : [remark]),
  ]
}

/** What the heap of each server did, a sentence each. */
export function heapRemarks({ rows }: Summary): string[] {
  return [
    ...rows.flatMap(({ name, allocation }) =>
      allocation
        ? [
            `${name}: ${thousands(allocation.bytesPerRequest)} bytes of heap allocated per request, ${percent(allocation.gcShare)} of the time in ${allocation.collections} collections.`,
          ]
        : [],
    ),
    ...rows.flatMap(({ name, bytesPerConnection }) =>
      bytesPerConnection === undefined
        ? []
        : [`${name}: ${thousands(bytesPerConnection.median)} bytes of memory for each connection.`],
    ),
    ...rows.flatMap(({ name, bytesPerSession }) =>
      bytesPerSession === undefined
        ? []
        : [`${name}: ${thousands(bytesPerSession)} bytes of heap per session.`],
    ),
  ]
}

/** What is asked, e.g. `forward-get: gateway / bare, at least 0.9`. */
export function targetText(target: Target): string {
  return `${target.caseName}: ${subject(target)}, ${limit(target.atLeast, target.atMost)}`
}

/** A target with its outcome, e.g. `forward-get: gateway / bare 0.93, at least 0.9: met`. */
export function verdictText(verdict: Verdict): string {
  const { caseName, atLeast, atMost, measured, outcome } = verdict
  return `${caseName}: ${subject(verdict)} ${measured.toFixed(2)}, ${limit(atLeast, atMost)}: ${outcomes[outcome]}`
}

export const outcomes: Readonly<Record<Verdict['outcome'], string>> = {
  met: 'met',
  missed: 'missed',
  disturbed: 'not judged: disturbed',
}

function subject({ name, against, of }: Target): string {
  if (against === 'idle') return `${name}, MB over idle`
  if (of === 'idle-memory') return `${name} / ${against}, MB when idle`
  return of === 'cpu-seconds' ? `${name} over ${against}, s of CPU` : `${name} / ${against}`
}

function limit(atLeast?: number, atMost?: number): string {
  return atLeast === undefined ? `at most ${atMost}` : `at least ${atLeast}`
}

/** Every case of these reports, with what each of them measured of it. */
export function byNode(
  reports: readonly Report[],
): { name: string; summaries: readonly (Summary | undefined)[] }[] {
  const names = new Set(reports.flatMap(({ summaries }) => summaries.map(({ name }) => name)))
  return [...names].map((name) => ({
    name,
    summaries: reports.map(({ summaries }) => summaries.find((summary) => summary.name === name)),
  }))
}

/** A table in Markdown. @param texts of its columns, so many are words; the others are figures. */
export function markdownTable(
  columns: readonly string[],
  lines: readonly (readonly string[])[],
  texts = 1,
): string {
  const row = (cells: readonly string[]) => `| ${columns.map((_, i) => escaped(cells[i])).join(' | ')} |`
  const alignment = columns.map((_, i) => (i < texts ? '---' : '---:')).join('|')
  return [row(columns), `|${alignment}|`, ...lines.map(row)].join('\n')
}

/** A cell: what a server answered may be in it. */
function escaped(cell = ''): string {
  return cell.replaceAll('|', '\\|').replaceAll('<', '&lt;')
}

/** Whole numbers with a comma for the thousands. */
export function thousands(value: number | undefined): string {
  return value === undefined ? '?' : Math.round(value).toLocaleString('en')
}

/** A server's ratio in a cell. */
export function ratioText({ name, ratio, byCpu }: Row, base: string): string {
  if (name === base) return '1 (base)'
  return ratio === undefined ? '?' : `${ratio.median.toFixed(2)}${byCpu ? ' c' : ''}`
}

function milliseconds(microseconds: number | undefined): string {
  return microseconds === undefined ? '?' : (microseconds / 1000).toFixed(2)
}

function percent(share: number | undefined): string {
  return share === undefined ? '?' : `${Math.round(share * 100)} %`
}
