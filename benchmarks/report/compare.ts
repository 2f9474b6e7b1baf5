import { changed } from '../statistics.ts'
import type { Report } from './report.ts'

/**
 * What is different from a run before: of each server in each case, the ratio to its base. A change is told if it
 * is over 5 % and the rounds of the two runs do not overlap.
 *
 * Ratios, because the rates of two runs differ by 10 to 15 % with nothing changed.
 */
export function compare(before: Report, after: Report): string {
  const lines = after.summaries.flatMap((summary) => {
    const earlier = before.summaries.find(({ name }) => name === summary.name)
    return summary.rows.flatMap(({ name, ratio }) => {
      const was = earlier?.rows.find((row) => row.name === name)?.ratio
      if (!was || !ratio) return []
      const verdict = changed(was, ratio)
      const word = { faster: 'MORE', slower: 'LESS', same: 'same' }[verdict]
      const percent = ((ratio.median / was.median - 1) * 100).toFixed(1)
      return [
        `  ${word}  ${summary.name}: ${name} ${was.median.toFixed(2)} → ${ratio.median.toFixed(2)} (${percent} %)\n`,
      ]
    })
  })
  const from = `compared with ${before.machine.commit}, node ${before.machine.node}, ${before.machine.date}`
  const other =
    before.machine.cpu === after.machine.cpu ? '' : '  another CPU: only the ratios can be compared\n'
  return `\n${from}\n${other}${lines.join('') || '  nothing in common\n'}`
}
