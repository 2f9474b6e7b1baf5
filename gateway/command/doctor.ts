import type { Environment } from '../config/environment.ts'
import type { LoadedConfig } from '../config/load.ts'
import type { Severity } from '../operations/doctor/catalogue.ts'
import { diagnose } from '../operations/doctor/diagnose.ts'
import type { Finding } from '../operations/doctor/finding.ts'
import { subjectHere } from '../operations/doctor/subject.ts'

const COLOURS: Readonly<Record<Severity, string>> = { ok: '32', warning: '33', error: '31' }

/** Where and how the findings are written. */
export interface DoctorOutput {
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean }
  readonly json: boolean
}

/**
 * Runs every check and writes what they find, each as soon as those before it are told; as JSON all at the end.
 *
 * @returns the exit status: 1 if there is an error, else 0; warnings change nothing.
 */
export async function examine(
  loaded: LoadedConfig,
  environment: Environment,
  { stdout, json }: DoctorOutput,
): Promise<0 | 1> {
  const coloured = stdout.isTTY === true && !environment.NO_COLOR
  const findings: Finding[] = []
  for await (const finding of diagnose(subjectHere(loaded, environment))) {
    findings.push(finding)
    if (!json) stdout.write(renderFinding(finding, coloured))
  }
  stdout.write(json ? renderJson(findings) : renderSummary(findings))
  return worst(findings) === 'error' ? 1 : 0
}

/**
 * A finding as a line, and a second one with what to do.
 *
 * @param coloured for a terminal: green, yellow, red.
 */
export function renderFinding({ status, part, found, advice }: Finding, coloured: boolean): string {
  const word = status.padEnd(7)
  const mark = coloured ? `\u001b[${COLOURS[status]}m${word}\u001b[0m` : word
  return `${mark}  ${part}: ${found}\n${advice === undefined ? '' : `         ${advice}\n`}`
}

/** The line behind all findings. */
function renderSummary(findings: readonly Finding[]): string {
  const count = (status: Severity) => findings.filter((one) => one.status === status).length
  const [errors, warnings] = [count('error'), count('warning')]
  return `\n${plural(errors, 'error')}, ${plural(warnings, 'warning')}, ${count('ok')} ok\n`
}

function plural(count: number, word: string): string {
  return `${count} ${word}${count === 1 ? '' : 's'}`
}

/** For programs: `{ "status": "ok" | "warning" | "error", "findings": [...] }`. */
function renderJson(findings: readonly Finding[]): string {
  return `${JSON.stringify({ status: worst(findings), findings }, undefined, 2)}\n`
}

function worst(findings: readonly Finding[]): Severity {
  const order: readonly Severity[] = ['error', 'warning', 'ok']
  return order.find((status) => findings.some((one) => one.status === status)) ?? 'ok'
}
