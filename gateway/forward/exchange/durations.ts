/** Upper bounds of the buckets, in seconds; one more is without a bound. From a cached answer to the longest timeout. */
export const BOUNDS_SECONDS = [
  0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30,
] as const
const BOUNDS_MS = BOUNDS_SECONDS.map((seconds) => seconds * 1000)
const BUCKETS = BOUNDS_MS.length + 1

/**
 * Histograms of durations, one for each of a fixed number of series. To count is to increment two numbers: no label is
 * looked up, and nothing is allocated.
 */
export class Durations {
  readonly #buckets: Float64Array
  readonly #sumsMs: Float64Array

  constructor(series = 1) {
    this.#buckets = new Float64Array(series * BUCKETS)
    this.#sumsMs = new Float64Array(series)
  }

  add(milliseconds: number, series = 0): void {
    let bucket = 0
    while (bucket < BOUNDS_MS.length && milliseconds > BOUNDS_MS[bucket]!) bucket++
    this.#buckets[series * BUCKETS + bucket]!++
    this.#sumsMs[series]! += milliseconds
  }

  /** Those of one series. */
  count(series = 0): number {
    let count = 0
    for (const bucket of this.#of(series)) count += bucket
    return count
  }

  sumSeconds(series = 0): number {
    return this.#sumsMs[series]! / 1000
  }

  /** How many were at most as long as each of `BOUNDS_SECONDS`. */
  cumulative(series = 0): number[] {
    let count = 0
    return [...this.#of(series).subarray(0, BOUNDS_MS.length)].map((bucket) => {
      count += bucket
      return count
    })
  }

  #of(series: number): Float64Array {
    return this.#buckets.subarray(series * BUCKETS, (series + 1) * BUCKETS)
  }
}
