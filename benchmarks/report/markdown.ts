import { betterElsewhere } from './better.ts'
import {
  byNode,
  facts,
  heapRemarks,
  markdownTable,
  outcomes,
  ratioText,
  remarks,
  table,
  targetText,
  verdictText,
} from './format.ts'
import { headline } from './headline.ts'
import { metrics } from './metrics.ts'
import { nodeName, type Report } from './report.ts'
import type { Summary } from './summary.ts'
import { targets } from './targets.ts'

const READ =
  'How it is measured and how to read it is told in `benchmarks/README.md`. Read the ratios: absolute rates belong to this machine alone.'

/** The page of one Node, relative to the report's own: every round, rate, latency and megabyte. */
export function detailsPath(report: Report): string {
  return `benchmarks/${nodeName(report).toLowerCase().replace(' ', '-')}.md`
}

/**
 * The report as Markdown: the ratios of every Node beside each other.
 *
 * @param reports the oldest Node first.
 * @param chart the address of a case's chart without theme and ending, or undefined.
 */
export function markdown(reports: readonly Report[], chart: (name: string) => string | undefined): string {
  const details = reports.map((report) => `[${nodeName(report)}](${detailsPath(report)})`).join(' · ')
  return `# Benchmarks

${headline(reports)}

${READ} Rounds, rates, latency and memory: ${details}.

${commonFacts(reports)}

## What was run

${commands(reports)}

## What is better elsewhere

${betterElsewhere(reports)}
${verdicts(reports)}
${byNode(reports)
  .map(({ name, summaries }) => section(name, reports, summaries, chart(name)))
  .join('\n')}`
}

/** One Node's results as Markdown: all that was measured of each case. */
export function details(report: Report): string {
  const met = report.verdicts.map((one) => `- ${verdictText(one)}`).join('\n')
  return `# Benchmarks on ${nodeName(report)}

${headline([report])}

${READ}

${list(facts(report.machine).map(([name, value]) => `${name}: ${value}`))}

## What was run

${commands([report])}
${met === '' ? '' : `\n## Targets\n\n${met}\n`}
${report.summaries.map(detailsOf).join('\n')}`
}

function detailsOf(summary: Summary): string {
  const { columns, lines } = table(summary)
  return `## ${summary.name}

${summary.title}.

${markdownTable(columns, lines)}

${list([...remarks(summary), ...heapRemarks(summary)])}
`
}

/** What is the same for all is said once. When and of what commit is told with the commands. */
function commonFacts(reports: readonly Report[]): string {
  const told = new Map<string, string[]>()
  for (const { machine } of reports) {
    for (const [name, value] of facts(machine)) told.set(name, [...(told.get(name) ?? []), value])
  }
  const lines = [...told].filter(([name]) => name !== 'date' && name !== 'commit')
  return list(
    lines.map(([name, values]) => `${name}: ${[...new Set(values)].length === 1 ? values[0] : each(values)}`),
  )
  function each(values: readonly string[]) {
    return values.map((value, i) => `${value} (${nodeName(reports[i]!)})`).join(' · ')
  }
}

/** What was typed, for every Node and for each part of it. */
function commands(reports: readonly Report[]): string {
  const lines = reports.flatMap((report) =>
    report.parts.map(({ command, date, commit, cases }) => [
      nodeName(report),
      command === undefined ? 'not kept by that version' : `\`${command}\``,
      report.parts.length === 1 ? 'all' : cases.join(', '),
      commit,
      date,
    ]),
  )
  const columns = ['on', 'command', 'cases', 'commit', 'begun']
  return markdownTable(columns, lines, columns.length)
}

function verdicts(reports: readonly Report[]): string {
  const lines = targets.flatMap((target) => {
    const found = reports.map(({ verdicts }) =>
      verdicts.find(
        ({ caseName, name, against }) =>
          caseName === target.caseName && name === target.name && against === target.against,
      ),
    )
    const text = found.map((one) =>
      one ? `${one.measured.toFixed(2)}, ${outcomes[one.outcome]}` : 'not measured',
    )
    return found.some((one) => one !== undefined) ? [[targetText(target), ...text]] : []
  })
  return lines.length > 0
    ? `\n## Targets\n\n${markdownTable(['target', ...reports.map(nodeName)], lines)}\n`
    : ''
}

function section(
  name: string,
  reports: readonly Report[],
  summaries: readonly (Summary | undefined)[],
  chart: string | undefined,
): string {
  const measured = reports.flatMap((report, i) => (summaries[i] ? [{ report, summary: summaries[i] }] : []))
  const { title, metric } = measured.at(-1)!.summary
  const names = measured.map(({ report }) => nodeName(report))
  const only = measured.length < reports.length ? [`Measured on ${names.join(' and ')} only.`] : []
  const links = measured.map(({ report }) => `[${nodeName(report)}](${detailsPath(report)}#${name})`)
  return `## ${name}

${title}. Ratio of ${metrics[metric].words} to the base; ${metrics[metric].better} is better.
${chart === undefined ? '' : `\n${picture(chart, title)}\n`}
${markdownTable(['server', ...names], ratios(measured.map(({ summary }) => summary)))}

${list([
  ...only,
  ...commonRemarks(
    names,
    measured.map(({ summary }) => remarks(summary)),
  ),
  `All figures: ${links.join(' · ')}.`,
])}
`
}

/** A line for each server that is in any of them. */
function ratios(summaries: readonly Summary[]): string[][] {
  const titles = new Map(summaries.flatMap(({ rows }) => rows.map(({ name, title }) => [name, title])))
  return [...titles].map(([name, title]) => [
    title,
    ...summaries.map(({ rows, base }) => {
      const row = rows.find((one) => one.name === name)
      return row === undefined ? 'not measured' : (row.problem ?? ratioText(row, base))
    }),
  ])
}

/** What is said of all Nodes once, and what is said of some with their names. */
function commonRemarks(names: readonly string[], remarksOf: readonly (readonly string[])[]): string[] {
  const said = new Map<string, string[]>()
  for (const [i, remarks] of remarksOf.entries()) {
    for (const remark of remarks) said.set(remark, [...(said.get(remark) ?? []), names[i]!])
  }
  return [...said].map(([remark, by]) =>
    by.length === names.length ? remark : `${by.join(', ')}: ${remark}`,
  )
}

function picture(chart: string, title: string): string {
  const alt = title.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;')
  return `<picture>
  <source media="(prefers-color-scheme: dark)" srcset="./${chart}-dark.svg">
  <img alt="${alt}" src="./${chart}-light.svg">
</picture>`
}

function list(lines: readonly string[]): string {
  return lines.map((line) => `- ${line}`).join('\n')
}
