import { changed } from '../measure/statistics.ts'
import type { Report } from './report.ts'
import type { Row, Summary } from './summary.ts'

/**
 * What is different from a run before: of each server in each case, the ratio to its base. A change is told if it
 * is over 5 % and the rounds of the two runs do not overlap.
 *
 * Ratios, because the rates of two runs differ by 10 to 15 % with nothing changed.
 */
export function compare(before: Report, after: Report): string {
  const lines = after.summaries.flatMap((summary) => {
    const earlier = before.summaries.find(({ name }) => name === summary.name)
    return summary.rows.flatMap((row) => {
      const was = earlier?.rows.find(({ name }) => name === row.name)
      return was === undefined ? [] : line(summary, was, row)
    })
  })
  const from = `compared with ${before.machine.commit}, node ${before.machine.node}, ${before.machine.date}`
  const other =
    before.machine.cpu === after.machine.cpu ? '' : '  another CPU: only the ratios can be compared\n'
  return `\n${from}\n${other}${lines.join('') || '  nothing in common\n'}`
}

function line({ name: caseName, metric }: Summary, was: Row, is: Row): string[] {
  const what = `${caseName}: ${is.name}`
  if (!was.ratio) return []
  if (!is.ratio) return [`  GONE  ${what}: ${is.problem ?? 'not measured'}\n`]
  const better = metric === 'rate' ? 'faster' : 'slower'
  const verdict = changed(was.ratio, is.ratio)
  const word = verdict === 'same' ? 'same' : verdict === better ? 'BETTER' : 'WORSE'
  const percent = ((is.ratio.median / was.ratio.median - 1) * 100).toFixed(1)
  const unlike = was.byCpu === is.byCpu ? '' : ', only one of them of CPU time'
  return [
    `  ${word}  ${what} ${was.ratio.median.toFixed(2)} → ${is.ratio.median.toFixed(2)} (${percent} %${unlike})\n`,
  ]
}
