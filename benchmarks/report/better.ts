import { SAME } from '../measure/statistics.ts'
import type { Row, Summary } from './summary.ts'
import { ratioBetween } from './targets.ts'

const OURS = 'gateway'
const measures = {
  rate: 'requests per second',
  p99: '99th percentile of the latency',
  memory: 'growth of memory',
}

/** Said plainly: every server that did the same work and did it better than the gateway; Markdown. */
export function betterElsewhere(summaries: readonly Summary[]): string {
  const lists = [...summaries.map(betterIn), smaller(summaries.find(hasOurs))].filter((list) => list !== '')
  return lists.length > 0 ? lists.join('\n\n') : 'Nothing that was measured in this run.'
}

function betterIn(summary: Summary): string {
  const lines = others(summary).flatMap(({ name, title }) => {
    const times = ratioBetween(summary, name, OURS)
    if (times === undefined || !isBetter(times, summary.metric)) return []
    return [`- ${title}: ${times.toFixed(2)} times`]
  })
  return list(`**${summary.name}**, ${measures[summary.metric]} in relation to the gateway's:`, lines)
}

/** Once is enough: it hardly differs between the cases. */
function smaller(summary: Summary | undefined): string {
  const ours = summary?.rows.find(({ name }) => name === OURS)?.peakMegabytes
  if (summary === undefined || ours === undefined) return ''
  const lines = others(summary).flatMap(({ title, peakMegabytes }) =>
    peakMegabytes !== undefined && isBetter(peakMegabytes / ours, 'memory')
      ? [`- ${title}: ${Math.round(peakMegabytes)}`]
      : [],
  )
  return list(`**${summary.name}**, MB resident at the peak (the gateway: ${Math.round(ours)}):`, lines)
}

/** Those that do the same work. A hello world, the base of the OAuth endpoints, does not. */
function others({ rows, base }: Summary): readonly Row[] {
  if (base === 'hello') return []
  return rows.filter(({ name }) => !name.startsWith(OURS) && name !== 'bare-again')
}

function hasOurs({ rows }: Summary): boolean {
  return rows.some(({ name, problem }) => name === OURS && problem === undefined)
}

function isBetter(times: number, metric: Summary['metric']): boolean {
  return metric === 'rate' ? times > 1 + SAME : times < 1 - SAME
}

function list(head: string, lines: readonly string[]): string {
  return lines.length > 0 ? `${head}\n\n${lines.join('\n')}` : ''
}
