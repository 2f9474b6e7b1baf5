import { within } from '../stores/within.ts'
import type { Metadata } from './metadata/endpoints.ts'
import type { Provider } from './provider.ts'
import { type Calls, causeOf, type ProviderLog } from './transport/calls.ts'
import { readResponse } from './transport/response.ts'
import { ONCE, type Pause, withRetries } from './transport/retry.ts'

const MAX_RUNNING = 256
const THREE_TRIES = { tries: 3, after: 'transient' } as const

/** Revocations at the provider (RFC 7009), which nobody waits for. */
export interface Revocation {
  /** Takes back the refresh token if there is one, else the access token; never throws. */
  revoke: Provider['revoke']
  /** Resolves when all that are under way have ended, at the latest after `withinMs`. */
  settled(withinMs: number): Promise<void>
}

/**
 * Runs revocations in the background: three tries each, 256 at a time and no more. A token that stays valid is
 * logged, without itself.
 *
 * @param isInUse tells of an access token that a session lives on: that is not revoked, nor is the refresh token with
 *   it, which would take it along (RFC 7009 §2.1, D-11). Where it cannot be told, it is revoked.
 * @param metadata as accepted, or undefined before that: nothing can be revoked that nobody issued.
 */
export function createRevocation(options: {
  calls: Calls
  metadata: () => Metadata | undefined
  pause: Pause
  log: ProviderLog
  isInUse?: ((accessToken: string) => Promise<boolean>) | undefined
}): Revocation {
  const { calls, metadata, pause, log, isInUse } = options
  const running = new Set<Promise<void>>()

  return {
    revoke({ accessToken, refreshToken }) {
      if (running.size >= MAX_RUNNING) {
        lost('too many revocations are under way')
        return
      }
      const token = refreshToken ?? accessToken
      const token_type_hint = refreshToken === undefined ? 'access_token' : 'refresh_token'
      const one = unlessInUse(accessToken, () =>
        withRetries(THREE_TRIES, pause, () => request({ token, token_type_hint })),
      )
        .catch((error: unknown) => lost(causeOf(error)))
        .finally(() => running.delete(one))
      running.add(one)
    },

    async settled(withinMs) {
      // They never reject: what is caught is the end of our patience.
      await within(withinMs, Promise.all(running)).catch(() => {})
    },
  }

  async function unlessInUse(accessToken: string, send: () => Promise<void>): Promise<void> {
    if (!(await isInUse?.(accessToken).catch(() => false))) await send()
  }

  async function request(parameters: Record<string, string>): Promise<void> {
    // Looked up at each try: it may have moved since the last one (M-06).
    const endpoint = metadata()?.revocation_endpoint
    if (endpoint === undefined) return
    const response = await calls.post('revocation', ONCE, endpoint, parameters)
    if (response.status >= 300) readResponse('revocation', response)
  }

  function lost(cause: string): void {
    log.warn({ cause }, 'a token could not be revoked at the provider and stays valid there')
  }
}
