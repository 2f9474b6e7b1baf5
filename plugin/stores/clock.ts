/**
 * The server's clock, in milliseconds since the epoch, known from its answers.
 *
 * An answer's time was right at some moment between the request and its arrival, which bounds the difference
 * between the two clocks. A slow answer bounds it loosely and so changes nothing; the monotonic clock in
 * between keeps `now` from jumping with the host's.
 */
export class ServerClock {
  readonly #monotonic: () => number
  #differenceMs: number

  constructor(monotonic: () => number = () => performance.now(), epoch: () => number = Date.now) {
    this.#monotonic = monotonic
    this.#differenceMs = epoch() - monotonic()
  }

  now(): number {
    return Math.floor(this.#monotonic() + this.#differenceMs)
  }

  /** The start of a request, for `observe`. */
  start(): number {
    return this.#monotonic()
  }

  /** Takes the time of an answer that has just arrived, to a request that left at `startedAt`. */
  observe(serverMs: number, startedAt: number): void {
    if (!Number.isFinite(serverMs)) return
    const least = serverMs - this.#monotonic()
    const most = serverMs - startedAt
    this.#differenceMs = Math.min(Math.max(this.#differenceMs, least), most)
  }
}
