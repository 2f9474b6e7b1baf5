/** What happened in a soak: every outcome counted, every fault with its time, and what nothing explains. */
import type { Result } from './requests.ts'

export type FaultSource = 'machine' | 'store' | 'instance' | 'provider' | 'key set'

export interface FaultWindow {
  readonly what: string
  readonly by: FaultSource
  readonly from: number
  to: number
}

/**
 * After a fault has ended, requests may still meet it: connections come back within three seconds (G-11), the
 * provider's breaker is closed after five (F-12), and an unknown key is asked for once in thirty (F-13).
 */
const RECOVERY_MS: Readonly<Record<FaultSource, number>> = {
  machine: 3000,
  store: 3000,
  instance: 3000,
  provider: 6000,
  'key set': 31_000,
}
/** What a request of a kind can meet: a refresh does without the provider's keys (D-14), a login does not. */
const MET: Readonly<Record<string, readonly FaultSource[]>> = {
  token: ['machine', 'store', 'instance', 'provider', 'key set'],
  refresh: ['machine', 'store', 'instance', 'provider'],
}
const MET_BY_ALL: readonly FaultSource[] = ['machine', 'store', 'instance']

export class Ledger {
  /** E.g. `refresh 200`, `forward 503 (redis killed)`. */
  readonly outcomes = new Map<string, number>()
  /** What must not be: each is a failure of the soak. */
  readonly violations: string[] = []
  /** Authorization requests, whatever became of them: each may have made a record. */
  logins = 0
  /** From the first attempt to the answer that settled it, of the refresh that took longest. */
  slowestRefreshMs = 0
  /** Of instances, by SIGKILL. */
  readonly kills: { readonly instance: number; readonly at: number }[] = []
  readonly #faults: FaultWindow[] = []

  /** Counts a thing that happened. */
  count(what: string): void {
    this.outcomes.set(what, (this.outcomes.get(what) ?? 0) + 1)
  }

  violate(what: string): void {
    this.violations.push(`${new Date().toISOString()} ${what}`)
  }

  /** A fault from now until the returned function is called. */
  fault(by: FaultSource, what: string): () => void {
    const window: FaultWindow = { what, by, from: performance.now(), to: Number.POSITIVE_INFINITY }
    this.#faults.push(window)
    this.count(`${by}: ${what}`)
    return () => {
      window.to = performance.now()
    }
  }

  /** The faults between two times. */
  faultsOf(from: number, to: number): FaultWindow[] {
    return this.#faults.filter((fault) => fault.from <= to && fault.to >= from)
  }

  /** The fault that a request met that began at `from` and has just ended, or undefined. */
  explanation(from: number, request = '', slackMs = 0): string | undefined {
    const sources = MET[request] ?? MET_BY_ALL
    const met = this.#faults.findLast(
      ({ by, to }) => sources.includes(by) && from <= to + RECOVERY_MS[by] + slackMs,
    )
    return met && `${met.by} ${met.by === 'provider' ? 'fails' : met.what}`
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
    const isOutage = status === 'broken off' || status === 503 || (status === 502 && request in MET)
    const fault = this.explanation(from, request, slackMs)
    if (isOutage && fault !== undefined) this.count(`${request} ${status} (${fault})`)
    else {
      this.count(`${request} ${status} UNEXPLAINED`)
      this.violate(`${request}: ${status} ${result === 'broken off' ? '' : result.text.slice(0, 300)}`)
    }
    return status === 'broken off' || status >= 500
  }
}
