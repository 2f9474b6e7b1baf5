import { isBusy } from '../machine.ts'
import type { Row, Summary } from '../summary.ts'
import { facts, remarks, table, verdictText } from './format.ts'
import type { Report } from './report.ts'

/** The report as Markdown. @param chart the address of a case's chart, or undefined. */
export function markdown(report: Report, chart: (name: string) => string | undefined): string {
  const { machine, summaries, verdicts, profile } = report
  const busy = isBusy(machine)
    ? '\n**Something else was running on this machine: these numbers are not to be quoted.**\n'
    : ''
  return `# Benchmarks

Written by \`npm run bench -- --profile ${profile} --docs\`. How it is measured and how to read it is told in
\`benchmarks/README.md\`. Read the ratios: absolute rates belong to this machine alone.
${busy}
${facts(machine)
  .map(([name, value]) => `- ${name}: ${value}`)
  .join('\n')}

## What is better elsewhere

${better(summaries)}
${verdicts.length > 0 ? `\n## Targets\n\n${verdicts.map((one) => `- ${verdictText(one)}`).join('\n')}\n` : ''}
${summaries.map((summary) => section(summary, chart(summary.name))).join('\n')}`
}

/** Said plainly: every server that did the same work and did it better than the gateway. */
function better(summaries: readonly Summary[]): string {
  const lines = summaries.flatMap((summary) => {
    const ours = summary.rows.find(({ name }) => name === 'gateway')?.ratio?.median
    if (ours === undefined) return []
    const more = summary.metric === 'rate'
    return summary.rows.flatMap(({ name, title, ratio }: Row) => {
      const theirs = name === summary.base ? 1 : ratio?.median
      // The bases of the OAuth endpoints do other work.
      if (theirs === undefined || name === 'gateway' || name === 'hello' || name === 'bare-again') return []
      const factor = more ? theirs / ours : ours / theirs
      const what = { rate: 'requests per second', p99: '99th percentile', memory: 'growth of memory' }
      return factor > 1.05
        ? [`- ${summary.name}: ${title}: ${factor.toFixed(2)} times (${what[summary.metric]})`]
        : []
    })
  })
  return lines.length > 0 ? lines.join('\n') : 'Nothing that was measured in this run.'
}

function section(summary: Summary, chart: string | undefined): string {
  const { columns, lines } = table(summary)
  const row = (cells: readonly string[]) => `| ${columns.map((_, i) => cells[i] ?? '').join(' | ')} |`
  return `## ${summary.name}

${summary.title}.
${chart === undefined ? '' : `\n![${summary.title}](${chart})\n`}
${row(columns)}
|${columns.map((_, i) => (i === 0 ? '---' : '---:')).join('|')}|
${lines.map(row).join('\n')}

${remarks(summary)
  .map((remark) => `- ${remark}`)
  .join('\n')}
`
}
