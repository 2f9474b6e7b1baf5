import type { Machine } from '../measure/machine.ts'
import { facts, heapRemarks, remarks, table, verdictText } from './format.ts'
import type { Summary } from './summary.ts'
import type { Verdict } from './targets.ts'

/** The header for a terminal. */
export function terminalHeader(machine: Machine): string {
  const width = Math.max(...facts(machine).map(([name]) => name.length))
  return facts(machine)
    .map(([name, value]) => `${name.padEnd(width)}  ${value}\n`)
    .join('')
}

/** A case as an aligned table. */
export function terminalTable(summary: Summary): string {
  const { columns, lines } = table(summary)
  // Of a server with a problem, only its name is in a column.
  const isWhole = (line: readonly string[]) => line.length === columns.length
  const cells = [columns, ...lines].map((line) => (isWhole(line) ? line : line.slice(0, 1)))
  const widths = columns.map((_, i) => Math.max(...cells.map((line) => line[i]?.length ?? 0)))
  const text = (line: readonly string[]) =>
    line
      .map((cell, i) =>
        i === 0 ? cell.padEnd(widths[i]!) : isWhole(line) ? cell.padStart(widths[i]!) : cell,
      )
      .join('  ')
  return [
    `\n${summary.name}: ${summary.title}`,
    text(columns),
    ...lines.map(text),
    ...[...remarks(summary), ...heapRemarks(summary)].map((remark) => `  ${remark}`),
    '',
  ].join('\n')
}

/** The targets for a terminal; empty if none was measured. */
export function terminalVerdicts(verdicts: readonly Verdict[]): string {
  if (verdicts.length === 0) return ''
  return `\ntargets\n${verdicts.map((verdict) => `  ${verdictText(verdict)}\n`).join('')}`
}
