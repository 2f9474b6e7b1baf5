import { readFileSync } from 'node:fs'
import type { Machine } from '../measure/machine.ts'
import type { CaseResult } from '../measure/rounds.ts'
import type { Timing } from '../measure/slice.ts'
import { forwarders } from '../peers/index.ts'
import { UsageError } from '../plan/command-line.ts'
import type { Summary } from './summary.ts'
import { judge, type Verdict } from './targets.ts'

/** A measurement on one Node: `results.json`. */
export interface Report {
  readonly format: 1
  readonly profile: string
  readonly machine: Machine
  /** What was run, one after the other: more than one where it was continued. */
  readonly parts: readonly Part[]
  readonly timings: Readonly<Record<string, Timing & { rounds: number }>>
  readonly summaries: readonly Summary[]
  readonly verdicts: readonly Verdict[]
  /** Every slice, so that anybody can reckon anew; empty in docs/benchmarks/. */
  readonly raw: Readonly<Record<string, CaseResult>>
}

/** A run with the cases that it measured. */
export interface Part {
  /** As it was typed. Absent: of a version that did not keep it. */
  readonly command?: string
  readonly date: string
  readonly commit: string
  readonly cases: readonly string[]
}

type Kept = Omit<Report, 'parts'> & Partial<Pick<Report, 'parts'>>

/** Reads results, of versions before as well: what they did not keep is added. @throws Error if it is none. */
export function readReport(file: string): Report {
  const kept = JSON.parse(readFileSync(file, 'utf8')) as Kept
  if (kept.format !== 1) throw new Error('it is no results.json of this version')
  const { date, commit } = kept.machine
  const summaries = kept.summaries.map((summary) => ({
    ...summary,
    rows: summary.rows.map((row) => ({ ...row, authenticates: row.authenticates ?? doesVerify(row.name) })),
  }))
  return {
    ...kept,
    parts: kept.parts ?? [{ date, commit, cases: summaries.map(({ name }) => name) }],
    summaries,
    verdicts: judge(summaries),
  }
}

function doesVerify(peer: string): boolean {
  return forwarders.find(({ name }) => name === peer)?.authenticates ?? false
}

/** e.g. `Node 24`. */
export function nodeName({ machine }: Pick<Report, 'machine'>): string {
  return `Node ${major(machine)}`
}

function major({ node }: Machine): number | string {
  const [digits] = /\d+/.exec(node) ?? []
  return digits === undefined ? node : Number(digits)
}

/**
 * Measurements that can stand beside each other, the oldest Node first: of one machine, each with another Node.
 *
 * @throws UsageError where they cannot.
 */
export function besideEachOther(reports: readonly Report[]): Report[] {
  const sorted = reports.toSorted((a, b) => Number(major(a.machine)) - Number(major(b.machine)))
  for (const [i, { machine }] of sorted.entries()) {
    const before = sorted[i - 1]
    if (before === undefined) continue
    if (major(before.machine) === major(machine))
      throw new UsageError(`there are two results of ${nodeName(before)}: --continue joins them`)
    const { cpu, cores } = before.machine
    if (cpu !== machine.cpu || cores !== machine.cores)
      throw new UsageError(
        `another machine: ${nodeName(before)} was measured on ${cores} x ${cpu}, Node ${major(machine)} on ${machine.cores} x ${machine.cpu}`,
      )
  }
  return sorted
}
