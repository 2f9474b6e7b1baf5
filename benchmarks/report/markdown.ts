import { betterElsewhere } from './better.ts'
import { facts, remarks, table, verdictText } from './format.ts'
import type { Report } from './report.ts'
import { isBusy, type Summary } from './summary.ts'

/** The report as Markdown. @param chart the address of a case's chart, or undefined. */
export function markdown(report: Report, chart: (name: string) => string | undefined): string {
  const { machine, summaries, verdicts, profile } = report
  const busy = isBusy(summaries)
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

${betterElsewhere(summaries)}
${verdicts.length > 0 ? `\n## Targets\n\n${verdicts.map((one) => `- ${verdictText(one)}`).join('\n')}\n` : ''}
${summaries.map((summary) => section(summary, chart(summary.name))).join('\n')}`
}

function section(summary: Summary, chart: string | undefined): string {
  const { columns, lines } = table(summary)
  const row = (cells: readonly string[]) => `| ${columns.map((_, i) => escaped(cells[i])).join(' | ')} |`
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

/** A cell: what a server answered may be in it. */
function escaped(cell = ''): string {
  return cell.replaceAll('|', '\\|').replaceAll('<', '&lt;')
}
