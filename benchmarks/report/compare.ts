import { changed } from '../measure/statistics.ts'
import { metrics } from './metrics.ts'
import type { Report } from './report.ts'
import { isDisturbed, type Summary } from './summary.ts'

/**
 * What is different from a run before: of each server in each case, the ratio to its base. A change is told if it
 * is over 5 % and the rounds of the two runs do not overlap. Where something else ran beside one of them, there is none.
 *
 * Ratios, because the rates of two runs differ by 10 to 15 % with nothing changed.
 */
export function compare(before: Report, after: Report): string {
  const lines = after.summaries.flatMap((summary) => {
    const earlier = before.summaries.find(({ name }) => name === summary.name)
    return earlier === undefined ? [] : summary.rows.flatMap(({ name }) => line(earlier, summary, name))
  })
  const from = `compared with ${before.machine.commit}, node ${before.machine.node}, ${before.machine.date}`
  const other =
    before.machine.cpu === after.machine.cpu ? '' : '  another CPU: only the ratios can be compared\n'
  return `\n${from}\n${other}${lines.join('') || '  nothing in common\n'}`
}

function line(before: Summary, after: Summary, name: string): string[] {
  const [was, is] = [before, after].map(({ rows }) => rows.find((row) => row.name === name))
  const what = `${after.name}: ${name}`
  if (!was?.ratio) return []
  if (!is?.ratio) return [`  GONE  ${what}: ${is?.problem ?? 'not measured'}\n`]
  const better = metrics[after.metric].better === 'more' ? 'faster' : 'slower'
  const verdict = changed(was.ratio, is.ratio)
  const disturbed = [before, after].some((summary) => isDisturbed(summary, [name]))
  const word = disturbed
    ? 'NOT JUDGED'
    : verdict === 'same'
      ? 'same'
      : verdict === better
        ? 'BETTER'
        : 'WORSE'
  const percent = ((is.ratio.median / was.ratio.median - 1) * 100).toFixed(1)
  const notes = [`${percent} %`]
  if (was.byCpu !== is.byCpu) notes.push('only one of them of CPU time')
  if (disturbed) notes.push('disturbed')
  return [
    `  ${word}  ${what} ${was.ratio.median.toFixed(2)} → ${is.ratio.median.toFixed(2)} (${notes.join(', ')})\n`,
  ]
}
