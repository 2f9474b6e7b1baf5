import type { FastifyBaseLogger } from 'fastify'
import type { GatewayConfig } from '../config/schemas/config.ts'
import type { Load } from '../forward/client-request.ts'

/** How often it is looked how late the event loop is. */
const SAMPLE_MS = 100
/** So long it must have kept half of the limit before nothing is refused any more. */
const CALM_MS = 1000
/** So long nothing must have been refused before the log calls it over, so that it does not tell of every wave. */
const QUIET_MS = 5000

const DELAY = {
  limit: 'listen.overload.eventLoopDelayMs',
  remedy:
    'this process has more to do than one core can: add workers or instances, or look for what else uses this machine',
}
const IN_FLIGHT = {
  limit: 'listen.overload.requestsInFlight',
  remedy:
    'look for a slow upstream (log.requests: all has upstreamMs), add workers or instances, or raise the limit if there is memory for more',
}

/** A time of overload, as the log tells of it. */
interface Episode {
  readonly beganAt: number
  /** The last refusal, at first its beginning. */
  refusedAt: number
  refused: number
}

/**
 * Judges whether this process has more to do than it can, so that a new request is refused at once instead of being
 * served too late for its client. What is under way goes on.
 *
 * - By the event loop: when it was late by more than the limit twice in a row. Once is a pause, as after the collection
 *   of a large heap or in a virtual machine that was moved, and what has waited for its end can be served. From then on
 *   each turn of it takes what comes in half of the limit, and refuses the rest: were all refused, clients who ask again
 *   at once could keep it so for ever.
 * - By requests in flight: each that ends makes room for one.
 *
 * Source: requirements K-06, Q-12.
 */
export class Overload implements Load {
  inFlight = 0
  readonly #inFlightMax: number
  readonly #delayMaxMs: number
  readonly #now: () => number
  /** Nobody is admitted from then on, until the event loop turns. */
  #closedFrom = Number.POSITIVE_INFINITY
  #isShedding = false
  #wasLate = false
  #sampledAt = 0
  /** While it sheds: when the event loop was last later than half of the limit. */
  #lateAt = 0
  #delayMs = 0
  #episode: Episode | null = null
  #log: Pick<FastifyBaseLogger, 'warn'> | undefined
  #sampling: NodeJS.Timeout | undefined

  /** @param limits 0: no limit. @param now a clock that never goes back, in milliseconds. */
  constructor(limits: GatewayConfig['listen']['overload'], now = () => performance.now()) {
    this.#inFlightMax = limits.requestsInFlight || Number.POSITIVE_INFINITY
    this.#delayMaxMs = limits.eventLoopDelayMs || Number.POSITIVE_INFINITY
    this.#now = now
  }

  /** Begins to judge the event loop, and to tell of it. */
  watch(log: Pick<FastifyBaseLogger, 'warn'>): void {
    this.#log = log
    this.#sampledAt = this.#now()
    this.#sampling = setInterval(() => this.#sample(), SAMPLE_MS).unref()
  }

  close(): void {
    clearInterval(this.#sampling)
  }

  admits(now: number): boolean {
    return this.inFlight < this.#inFlightMax && now < this.#closedFrom
  }

  refused(): void {
    const now = this.#now()
    const isFull = this.inFlight >= this.#inFlightMax
    // In the midst of a turn that is the second late one.
    if (!isFull && !this.#isShedding) this.#shed(now, now - this.#sampledAt)
    this.#episode ??= this.#begin(now, isFull ? IN_FLIGHT : DELAY)
    this.#episode.refused++
    this.#episode.refusedAt = now
  }

  #sample(): void {
    const now = this.#now()
    this.#delayMs = now - this.#sampledAt - SAMPLE_MS
    this.#sampledAt = now
    const isLate = this.#delayMs > this.#delayMaxMs
    if (this.#isShedding) this.#isShedding = !this.#isCalm(now)
    else if (isLate && this.#wasLate) this.#shed(now, this.#delayMs)
    this.#wasLate = isLate
    this.#closedFrom = now + SAMPLE_MS + this.#patienceMs
    if (!this.#isShedding && this.#episode && now - this.#episode.refusedAt >= QUIET_MS) this.#end(now)
  }

  #shed(now: number, delayMs: number): void {
    this.#isShedding = true
    this.#lateAt = now
    this.#delayMs = delayMs
    this.#episode ??= this.#begin(now, DELAY)
  }

  #isCalm(now: number): boolean {
    if (this.#delayMs > this.#delayMaxMs / 2) this.#lateAt = now
    return now - this.#lateAt >= CALM_MS
  }

  /** For how long a turn may take requests. */
  get #patienceMs(): number {
    if (this.#isShedding) return this.#delayMaxMs / 2
    return this.#wasLate ? this.#delayMaxMs : Number.POSITIVE_INFINITY
  }

  #begin(now: number, { limit, remedy }: typeof DELAY): Episode {
    const eventLoopDelayMs = Math.round(this.#delayMs)
    const about = { limit, eventLoopDelayMs, requestsInFlight: this.inFlight, remedy }
    this.#log?.warn(about, 'overloaded: requests are refused')
    return { beganAt: now, refusedAt: now, refused: 0 }
  }

  #end(now: number): void {
    const { beganAt, refused } = this.#episode!
    this.#log?.warn({ refused, durationMs: Math.round(now - beganAt) }, 'no longer overloaded')
    this.#episode = null
  }
}
