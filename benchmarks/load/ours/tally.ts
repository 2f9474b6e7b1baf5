import { createHistogram } from 'node:perf_hooks'
import { setTimeout as pause } from 'node:timers/promises'
import type { LoadPlan, LoadResult } from '../plan.ts'
import { latencyOf } from './latency.ts'
import { Window } from './window.ts'

const ERRORS_SHOWN = 3
/** For the first answer: ten seconds. */
const FIRST_ANSWER_WAITS = 100
const WAIT_MS = 100

/** What a load has seen: answers between `begin` and `end`; errors always. To be made before the first request. */
export class Tally {
  readonly #window: Window
  readonly #histogram = createHistogram()
  readonly #errorTexts: string[] = []
  #requests = 0
  #bytes = 0
  #errors = 0
  #measured: Omit<LoadResult, 'errors' | 'errorTexts'> | undefined

  constructor(plan: LoadPlan) {
    this.#window = new Window(plan)
  }

  get errors(): number {
    return this.#errors
  }

  answered(nanoseconds: number): void {
    this.#requests += 1
    this.#histogram.record(Math.max(1, Math.round(nanoseconds)))
  }

  /** So many bytes of a body have come. */
  received(bytes: number): void {
    this.#bytes += bytes
  }

  failed(why: string): void {
    this.#errors += 1
    if (this.#errorTexts.length < ERRORS_SHOWN) this.#errorTexts.push(why)
  }

  /** From `begin` to `end`: so long, and until there is an answer, however busy the machine is. */
  async measure(seconds: number): Promise<void> {
    this.begin()
    await pause(seconds * 1000)
    const isEmpty = () => this.#requests === 0 && this.#bytes === 0 && this.#errors === 0
    for (let waits = 0; waits < FIRST_ANSWER_WAITS && isEmpty(); waits += 1) await pause(WAIT_MS)
    this.end()
  }

  /** @see Window.rest */
  async rest(): Promise<void> {
    await this.#window.rest()
  }

  begin(): void {
    this.#requests = 0
    this.#bytes = 0
    this.#histogram.reset()
    this.#window.begin()
  }

  end(): void {
    const used = this.#window.end()
    const latency = latencyOf(this.#histogram)
    this.#measured = { requests: this.#requests, bytes: this.#bytes, latency, ...used }
  }

  /** To be called after `end`, once the last answers have come. */
  result(): LoadResult {
    return { ...this.#measured!, errors: this.#errors, errorTexts: this.#errorTexts }
  }
}
