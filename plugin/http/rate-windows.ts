import { LruMap } from 'toad-cache'
import type { Store } from '../stores/store.ts'
import { within } from '../stores/within.ts'

interface Window {
  readonly startedAt: number
  count: number
}

/** A store that can count for all instances. */
export type SharedCounter = Pick<Required<Store>, 'count'>

type Callback = (error: Error | null, result?: { current: number; ttl: number }) => void

const ADDRESSES_MAX = 20_000
/** A limiter must not take the second that an outage may last for a client. */
const SHARED_TIMEOUT_MS = 100

/**
 * Where @fastify/rate-limit counts: requests by address in windows of fixed length, in this process, and in the
 * shared store too where that can count. The higher count decides, so that without the shared one each instance
 * still has its own limit (requirements G-08).
 *
 * The library's own store hands out one shared object, so that of many requests at once each reads the count of
 * the last, and a burst is refused as a whole instead of above the limit.
 */
export class RateWindows {
  readonly #windows = new LruMap<Window>(ADDRESSES_MAX)
  readonly #name: string
  readonly #shared: SharedCounter | undefined
  readonly #now: () => number

  /**
   * @param name of this limiter among those that share a store.
   * @param now milliseconds of a clock that is never set: with one that is, a window could last for hours.
   */
  constructor(name: string, shared: SharedCounter | undefined, now = () => performance.now()) {
    this.#name = name
    this.#shared = shared
    this.#now = now
  }

  /** `ttl`: milliseconds until the window ends. */
  incr(address: string, callback: Callback, windowMs: number): void {
    const own = this.#countHere(address, windowMs)
    if (!this.#shared) callback(null, own)
    else void this.#countEverywhere(this.#shared, address, windowMs, own).then((all) => callback(null, all))
  }

  /** Routes with limits of their own, of which we have none. */
  child(): RateWindows {
    return new RateWindows(this.#name, this.#shared, this.#now)
  }

  #countHere(address: string, windowMs: number): { current: number; ttl: number } {
    const now = this.#now()
    let window = this.#windows.get(address)
    if (!window || window.startedAt + windowMs <= now) {
      window = { startedAt: now, count: 0 }
      this.#windows.set(address, window)
    }
    window.count += 1
    return { current: window.count, ttl: Math.ceil(window.startedAt + windowMs - now) }
  }

  async #countEverywhere(
    shared: SharedCounter,
    address: string,
    windowMs: number,
    own: { current: number; ttl: number },
  ): Promise<{ current: number; ttl: number }> {
    // Asynchronous whatever it is: a store of somebody else may mean another thing by `count`, and throw at once.
    const count = async () => shared.count(`${this.#name}:${address}`, windowMs)
    const all = await within(SHARED_TIMEOUT_MS, count()).catch(() => null)
    return all && all.count > own.current ? { current: all.count, ttl: all.ttlMs } : own
  }
}
