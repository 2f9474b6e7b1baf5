import { LRUCache } from 'lru-cache'

interface Window {
  readonly startedAt: number
  count: number
}

const ADDRESSES_MAX = 20_000

/**
 * Where @fastify/rate-limit counts in one process: requests by address in windows of fixed length. Its own store
 * hands out one shared object, so that of many requests at once each reads the count of the last, and a burst is
 * refused as a whole instead of above the limit.
 */
export class RateWindows {
  readonly #windows = new LRUCache<string, Window>({ max: ADDRESSES_MAX })

  /** `ttl`: milliseconds until the window ends. */
  incr(
    address: string,
    callback: (error: Error | null, result?: { current: number; ttl: number }) => void,
    windowMs: number,
  ): void {
    const now = Date.now()
    let window = this.#windows.get(address)
    if (!window || window.startedAt + windowMs <= now) {
      window = { startedAt: now, count: 0 }
      this.#windows.set(address, window)
    }
    window.count += 1
    callback(null, { current: window.count, ttl: window.startedAt + windowMs - now })
  }

  /** Routes with limits of their own, of which we have none. */
  child(): RateWindows {
    return new RateWindows()
  }
}
