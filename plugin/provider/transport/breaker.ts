import { ProviderError } from '../../oauth/errors.ts'

const FAILURES_TO_OPEN = 5
const OPEN_MS = 5000
const MAX_RUNNING = 128

/** Is told what becomes of a breaker. */
export interface BreakerWatcher {
  /** It has opened, or closed again. */
  onState(isOpen: boolean): void
  /** A call was not made. */
  onRefusal(): void
}

/** Runs `call`, or throws ProviderError `provider_unavailable` without calling it. */
export type Breaker = <T>(call: () => Promise<T>) => Promise<T>

/**
 * One endpoint's fuse: after five transient failures in a row, calls fail at once for five seconds, then one
 * goes first and decides; and no more than 128 calls run at a time (F-12).
 *
 * @param now the clock, in milliseconds.
 */
export function createBreaker(endpoint: string, now: () => number, watcher?: BreakerWatcher): Breaker {
  let failures = 0
  let openUntil = 0
  let running = 0

  const close = () => {
    if (failures >= FAILURES_TO_OPEN) watcher?.onState(false)
    failures = 0
    openUntil = 0
  }

  return async (call) => {
    if (running >= MAX_RUNNING || now() < openUntil) {
      watcher?.onRefusal()
      throw new ProviderError('provider_unavailable', endpoint, {
        unsent: true,
        cause: new Error(running >= MAX_RUNNING ? 'too many calls' : 'circuit breaker open'),
      })
    }
    // The first call after the pause is the probe: the others stay out until it has answered.
    if (failures >= FAILURES_TO_OPEN) openUntil = now() + OPEN_MS
    running += 1
    try {
      const result = await call()
      close()
      return result
    } catch (error) {
      if (error instanceof ProviderError && error.transient) {
        failures += 1
        if (failures === FAILURES_TO_OPEN) watcher?.onState(true)
        if (failures >= FAILURES_TO_OPEN) openUntil = now() + OPEN_MS
      } else close()
      throw error
    } finally {
      running -= 1
    }
  }
}
