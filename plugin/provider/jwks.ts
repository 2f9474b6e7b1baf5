import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from 'jose'
import { ProviderError } from '../oauth/errors.ts'
import type { JsonObject } from './transport/response.ts'

const MAX_KEYS = 50
const MAX_AGE_MS = 600_000
/** Between two fetches for an unknown `kid`: doubled, up to the longest, by each fetch that brings nothing new. */
const FIRST_PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 30_000

/** The provider's signing keys. */
export interface KeySet {
  /** Has keys at hand that are not too old. @throws ProviderError of the fetch. */
  ready(): Promise<unknown>
  /** For jose. @throws jose's errors, or the ProviderError of a fetch. */
  readonly find: JWTVerifyGetKey
}

/**
 * The provider's signing keys, chosen by `kid`, `alg` and `use`. They are fetched when first needed, then every ten
 * minutes, and for an unknown `kid`: at most once a second, and then once per 2, 4 … 30 s while the fetches bring
 * nothing new, whatever the tokens say. In between, an unknown `kid` is `provider_unavailable` (F-13). Nothing in a
 * token (`jku`, `x5u`, `jwk`) is followed.
 *
 * jose selects and imports the keys. Its `createRemoteJWKSet` is not used: its pause is fixed, and it takes ages from
 * `Date.now`, so that a host's clock that is set back would keep withdrawn keys.
 *
 * @param fetchKeys asks the `jwks_uri`.
 * @param now the clock, in milliseconds.
 */
export function createKeySet(fetchKeys: () => Promise<JsonObject>, now: () => number): KeySet {
  let keys: JWTVerifyGetKey | undefined
  /** The keys as they were published. */
  let published: readonly { kid?: unknown }[] = []
  let fetchedAt = Number.NEGATIVE_INFINITY
  let triedAt = Number.NEGATIVE_INFINITY
  let pauseMs = FIRST_PAUSE_MS
  let fetching: Promise<JWTVerifyGetKey> | undefined

  return {
    ready: freshKeys,

    async find(header, token) {
      const current = await freshKeys()
      try {
        return await current(header, token)
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
        if (!mayFetch()) {
          // A kid that is known has a key for another use or algorithm: that is final. An unknown one may be new.
          throw published.some(({ kid }) => kid === header.kid) ? error : unavailable()
        }
      }
      const newest = await fetchForUnknownKid()
      return newest(header, token)
    },
  }

  async function freshKeys(): Promise<JWTVerifyGetKey> {
    // Keys that are too old are not used while the provider cannot be asked: one of them may be withdrawn.
    if (keys !== undefined && now() - fetchedAt < MAX_AGE_MS) return keys
    // There was no fetch for an unknown kid in all that time, so the pause begins anew.
    if (now() - triedAt >= MAX_AGE_MS) pauseMs = FIRST_PAUSE_MS
    return fetchOnce()
  }

  function mayFetch(): boolean {
    return fetching !== undefined || now() - triedAt >= pauseMs
  }

  function fetchForUnknownKid(): Promise<JWTVerifyGetKey> {
    // Taken back by a fetch that brings a new key.
    if (fetching === undefined) pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
    return fetchOnce()
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
    keys = createKeys(body)
    fetchedAt = triedAt
    const known = new Set(published.map((key) => JSON.stringify(key)))
    published = body.keys
    if (published.some((key) => !known.has(JSON.stringify(key)))) pauseMs = FIRST_PAUSE_MS
    return keys
  }
}

function createKeys(body: JsonObject): JWTVerifyGetKey {
  try {
    return createLocalJWKSet(body as unknown as JSONWebKeySet)
  } catch {
    throw unusable()
  }
}

function unusable(): ProviderError {
  return new ProviderError('provider_answer_invalid', 'jwks', {
    cause: new Error(`not a key set of at most ${MAX_KEYS} keys`),
  })
}

function unavailable(): ProviderError {
  return new ProviderError('provider_unavailable', 'jwks', {
    cause: new Error('unknown kid, and the keys have just been fetched'),
  })
}
