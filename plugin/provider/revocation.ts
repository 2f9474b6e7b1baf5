import { type Pause, withRetries } from './retry.ts'

const MAX_RUNNING = 256
const RULE = { tries: 3, after: 'transient' } as const

/** Revocations at the provider that nobody waits for. */
export interface Revocations {
  /** Starts one; never throws. */
  start(token: string, hint: 'refresh_token' | 'access_token'): void
  /** Resolves when all have ended, at the latest after `withinMs`. */
  settled(withinMs: number): Promise<void>
}

/**
 * Keeps revocations running in the background: three tries each, so many at a time and no more.
 *
 * @param revoke one try (RFC 7009 §2.1).
 * @param onLost hears of each token that stays valid at the provider, and why.
 */
export function createRevocations(
  revoke: (token: string, hint: string) => Promise<void>,
  pause: Pause,
  onLost: (error: unknown) => void,
): Revocations {
  const running = new Set<Promise<void>>()
  return {
    start(token, hint) {
      if (running.size >= MAX_RUNNING) {
        onLost(new Error('too many revocations are under way'))
        return
      }
      const one = withRetries(RULE, pause, () => revoke(token, hint))
        .catch(onLost)
        .finally(() => running.delete(one))
      running.add(one)
    },

    async settled(withinMs) {
      let timer: NodeJS.Timeout | undefined
      const deadline = new Promise<void>((resolve) => {
        timer = setTimeout(resolve, withinMs)
      })
      await Promise.race([Promise.all(running), deadline])
      clearTimeout(timer)
    },
  }
}
