import { SAME } from '../measure/statistics.ts'
import { byNode, markdownTable } from './format.ts'
import { type MetricFacts, metrics } from './metrics.ts'
import { nodeName, type Report } from './report.ts'
import type { Row, Summary } from './summary.ts'
import { ratioBetween } from './targets.ts'

const OURS = 'gateway'

/** Said plainly: every server that did the same work and did it better than the gateway on any Node; Markdown. */
export function betterElsewhere(reports: readonly Report[]): string {
  const cases = byNode(reports)
  const smaller = cases.find(({ summaries }) => summaries.some((summary) => summary && hasOurs(summary)))
  const lists = [
    ...cases.map(({ name, summaries }) => {
      const metric = metrics[summaries.find((one) => one !== undefined)!.metric]
      return table(reports, summaries, {
        head: `**${name}**, ${metric.words} in relation to the gateway's:`,
        value: (summary, server) => ratioBetween(summary, server, OURS),
        text: (times) => `${times.toFixed(2)} times`,
        better: metric.better,
      })
    }),
    // Once is enough: it hardly differs between the cases.
    ...(smaller ? [table(reports, smaller.summaries, memory(smaller.name))] : []),
  ].filter((list) => list !== '')
  return lists.length > 0 ? lists.join('\n\n') : 'Nothing that was measured in this run.'
}

interface Compared {
  readonly head: string
  /** In relation to the gateway's. */
  value(summary: Summary, server: string): number | undefined
  text(times: number, summary: Summary): string
  readonly better: MetricFacts['better']
}

function memory(caseName: string): Compared {
  return {
    head: `**${caseName}**, MB resident at the peak:`,
    value: (summary, server) => {
      const [own, ours] = [peakOf(summary, server), peakOf(summary, OURS)]
      return own === undefined || ours === undefined ? undefined : own / ours
    },
    text: (times, summary) => {
      const ours = peakOf(summary, OURS)!
      return `${Math.round(times * ours)} (the gateway: ${Math.round(ours)})`
    },
    better: 'less',
  }
}

function table(
  reports: readonly Report[],
  summaries: readonly (Summary | undefined)[],
  { head, value, text, better }: Compared,
): string {
  const isBetter = (times = 1) => (better === 'more' ? times > 1 + SAME : times < 1 - SAME)
  const titles = new Map(
    summaries.flatMap((summary) => (summary ? others(summary) : [])).map(({ name, title }) => [name, title]),
  )
  const lines = [...titles].flatMap(([server, title]) => {
    const times = summaries.map((summary) => summary && value(summary, server))
    if (!times.some(isBetter)) return []
    return [[title, ...times.map((one, i) => (one === undefined ? '' : text(one, summaries[i]!)))]]
  })
  return lines.length > 0 ? `${head}\n\n${markdownTable(['server', ...reports.map(nodeName)], lines)}` : ''
}

/** Bases of the OAuth endpoints, which keep no promise, and a base against itself. */
const NO_PEERS = ['hello', 'minimal', 'bare-again']

/** Those that do the same work. */
function others({ rows }: Summary): readonly Row[] {
  return rows.filter(({ name }) => !name.startsWith(OURS) && !NO_PEERS.includes(name))
}

function peakOf({ rows }: Summary, server: string): number | undefined {
  return rows.find(({ name }) => name === server)?.peakMegabytes
}

function hasOurs({ rows }: Summary): boolean {
  return rows.some(({ name, problem }) => name === OURS && problem === undefined)
}
