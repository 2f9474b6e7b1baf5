import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { ProviderError } from '../oauth/errors.ts'
import type { JsonObject } from './transport/response.ts'

const MAX_KEYS = 50
const MAX_AGE_MS = 600_000
const COOLDOWN_MS = 30_000

/** The provider's signing keys. */
export interface KeySet {
  /** Has keys at hand that are not too old. @throws ProviderError of the fetch. */
  ready(): Promise<unknown>
  /** For jose. @throws jose's errors, or the ProviderError of a fetch. */
  readonly find: JWTVerifyGetKey
}

/**
 * The provider's signing keys, chosen by `kid`, `alg` and `use`. Fetched when first needed and every ten
 * minutes; an unknown `kid` fetches again, at most once per 30 s whatever the tokens say (F-13). Nothing in a
 * token (`jku`, `x5u`, `jwk`) is followed.
 *
 * @param fetchKeys asks the `jwks_uri`.
 * @param now the clock, in milliseconds.
 */
export function createKeySet(fetchKeys: () => Promise<JsonObject>, now: () => number): KeySet {
  let keys: JWTVerifyGetKey | undefined
  let fetchedAt = Number.NEGATIVE_INFINITY
  let triedAt = Number.NEGATIVE_INFINITY
  let fetching: Promise<JWTVerifyGetKey> | undefined

  return {
    ready: freshKeys,

    async find(header, token) {
      const known = await freshKeys()
      try {
        return await known(header, token)
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey) || now() - triedAt < COOLDOWN_MS) throw error
      }
      keys = await fetchOnce()
      return keys(header, token)
    },
  }

  async function freshKeys(): Promise<JWTVerifyGetKey> {
    // Keys that are too old are not used while the provider cannot be asked: one of them may be withdrawn.
    if (keys === undefined || now() - fetchedAt >= MAX_AGE_MS) keys = await fetchOnce()
    return keys
  }

  /** Everyone who needs keys at the same time waits for one request. */
  function fetchOnce(): Promise<JWTVerifyGetKey> {
    fetching ??= fetchNow().finally(() => {
      fetching = undefined
    })
    return fetching
  }

  async function fetchNow(): Promise<JWTVerifyGetKey> {
    triedAt = now()
    const body = await fetchKeys()
    if (!Array.isArray(body.keys) || body.keys.length > MAX_KEYS) throw unusable()
    try {
      const fetched = createLocalJWKSet(body as unknown as JSONWebKeySet)
      fetchedAt = triedAt
      return fetched
    } catch {
      throw unusable()
    }
  }
}

function unusable(): ProviderError {
  return new ProviderError('provider_answer_invalid', 'jwks', {
    cause: new Error(`not a key set of at most ${MAX_KEYS} keys`),
  })
}
