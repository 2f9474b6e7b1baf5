import type { Machine } from '../measure/machine.ts'
import type { CaseResult } from '../measure/rounds.ts'
import type { Timing } from '../measure/slice.ts'
import type { Summary } from './summary.ts'
import type { Verdict } from './targets.ts'

/** A whole run: `results.json`. */
export interface Report {
  readonly format: 1
  readonly profile: string
  readonly machine: Machine
  readonly timings: Readonly<Record<string, Timing & { rounds: number }>>
  readonly summaries: readonly Summary[]
  readonly verdicts: readonly Verdict[]
  /** Every slice, so that anybody can reckon anew. */
  readonly raw: Readonly<Record<string, CaseResult>>
}
