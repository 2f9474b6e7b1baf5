import type { Machine } from '../machine.ts'
import type { Summary } from '../summary.ts'
import type { Verdict } from '../targets.ts'
import { facts, remarks, table, verdictText } from './format.ts'

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
  const whole = [columns, ...lines.filter((line) => line.length === columns.length)]
  const widths = columns.map((_, i) => Math.max(...whole.map((line) => line[i]!.length)))
  const text = (line: readonly string[]) =>
    line
      .map((cell, i) =>
        i === 0 ? cell.padEnd(widths[i]!) : cell.padStart(line.length === 2 ? 0 : widths[i]!),
      )
      .join('  ')
  return [
    `\n${summary.name}: ${summary.title}`,
    text(columns),
    ...lines.map(text),
    ...remarks(summary).map((remark) => `  ${remark}`),
    '',
  ].join('\n')
}

/** The targets for a terminal; empty if none was measured. */
export function terminalVerdicts(verdicts: readonly Verdict[]): string {
  if (verdicts.length === 0) return ''
  return `\ntargets\n${verdicts.map((verdict) => `  ${verdictText(verdict)}\n`).join('')}`
}
