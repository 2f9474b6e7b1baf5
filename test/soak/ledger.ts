/** What happened in a soak: every outcome counted, every fault with its time, and what nothing explains. */
import type { Answer } from '../support/native-app.ts'

/** A request that got no answer, because the instance or its connection ended. */
export type Broken = 'broken off'
export type Result = Answer | Broken

interface FaultWindow {
  readonly what: string
  readonly from: number
  to: number
}

/** After a fault has ended, requests may still meet it: connections come back within this time (G-11). */
const RECOVERY_MS = 3000

export class Ledger {
  /** E.g. `refresh 200`, `forward 503 (redis killed)`. */
  readonly outcomes = new Map<string, number>()
  /** What must not be: each is a failure of the soak. */
  readonly violations: string[] = []
  /** Authorization requests, whatever became of them: each may have made a record. */
  logins = 0
  readonly #faults: FaultWindow[] = []

  /** Counts a thing that happened. */
  count(what: string): void {
    this.outcomes.set(what, (this.outcomes.get(what) ?? 0) + 1)
  }

  violate(what: string): void {
    this.violations.push(`${new Date().toISOString()} ${what}`)
  }

  /** A fault from now until the returned function is called. */
  fault(what: string): () => void {
    const window: FaultWindow = { what, from: performance.now(), to: Number.POSITIVE_INFINITY }
    this.#faults.push(window)
    this.count(`fault: ${what}`)
    return () => {
      window.to = performance.now()
    }
  }

  /** The fault that a request met that began at `from` and has just ended, or undefined. */
  explanation(from: number, slackMs = 0): string | undefined {
    return this.#faults.findLast((fault) => from <= fault.to + RECOVERY_MS + slackMs)?.what
  }

  /**
   * Judges an answer: one of the `expected` statuses, or an outage that a fault explains.
   *
   * @returns true if the outcome of the request is unknown, so that it is to be made again.
   */
  judge(request: string, result: Result, from: number, expected: readonly number[], slackMs = 0): boolean {
    const status = result === 'broken off' ? result : result.status
    if (typeof status === 'number' && expected.includes(status)) {
      this.count(`${request} ${status}`)
      return false
    }
    const fault = this.explanation(from, slackMs)
    if ((status === 503 || status === 'broken off') && fault !== undefined) {
      this.count(`${request} ${status} (${fault})`)
      return true
    }
    this.count(`${request} ${status} UNEXPLAINED`)
    this.violate(`${request}: ${status} ${result === 'broken off' ? '' : result.text.slice(0, 300)}`)
    return false
  }
}
