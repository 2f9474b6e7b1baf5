import { ProviderError } from '../../oauth/errors.ts'

/**
 * Which failures may be followed by another try (F-10). `transient`: calls that may arrive twice (JWKS, userinfo,
 * revocation). `unsent`: calls that must not, unless no byte of the first one was sent (refresh,
 * PAR). A token exchange is not retried at all.
 */
export interface RetryRule {
  readonly tries: number
  readonly after: 'transient' | 'unsent'
}

/** Not even when nothing was sent: a token exchange. Discovery and revocation, too: they have tries of their own. */
export const ONCE: RetryRule = { tries: 1, after: 'unsent' }
/** Refresh and PAR. */
export const IF_UNSENT: RetryRule = { tries: 2, after: 'unsent' }
/** JWKS and userinfo. */
export const AGAIN: RetryRule = { tries: 2, after: 'transient' }

/** Waits before try number `attempt` + 1. */
export type Pause = (attempt: number) => Promise<void>

/** Runs `call` until it succeeds, fails in a way that `rule` does not cover, or has had its tries. */
export async function withRetries<T>(rule: RetryRule, pause: Pause, call: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await call()
    } catch (error) {
      if (attempt >= rule.tries || !(error instanceof ProviderError) || !error[rule.after]) throw error
      await pause(attempt)
    }
  }
}

/** Pauses that double from `firstMs` to `mostMs`; half of each is random, so that instances fall out of step. */
export function pauseBetween(
  firstMs: number,
  mostMs: number,
  random: () => number,
  sleep: (ms: number) => Promise<unknown>,
): Pause {
  return async (attempt) => {
    const fullMs = Math.min(firstMs * 2 ** (attempt - 1), mostMs)
    await sleep(fullMs / 2 + random() * (fullMs / 2))
  }
}
