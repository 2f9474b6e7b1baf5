import type { JSONWebKeySet, JWTVerifyGetKey } from 'jose'
import * as errors from 'jose/errors'
import { createRemoteJWKSet, customFetch } from 'jose/jwks/remote'
import { ProviderError } from '../../oauth/errors.ts'
import type { JsonObject } from '../transport/response.ts'

const MAX_KEYS = 50
const MAX_AGE_MS = 600_000
/** Between two fetches for an unknown `kid`: doubled, up to the longest, by each fetch that brings nothing new. */
const FIRST_PAUSE_MS = 1000
const LONGEST_PAUSE_MS = 30_000

/** The provider's signing keys. */
export interface KeySet {
  /** For jose. @throws jose's errors, or the ProviderError of a fetch. */
  readonly find: JWTVerifyGetKey
}

/** Asked by jose of every remote set. Our own call knows the address, from the metadata. */
const ADDRESS = new URL('https://jwks.invalid/')

/**
 * The provider's signing keys, chosen by `kid`, `alg` and `use`. They are fetched when first needed, then every ten
 * minutes, and for an unknown `kid`: at most once a second, and then once per 2, 4 … 30 s while the fetches bring
 * nothing new, whatever the tokens say. In between, an unknown `kid` is `provider_unavailable` (F-13). Nothing in a
 * token (`jku`, `x5u`, `jwk`) is followed.
 *
 * jose keeps the keys, shares a fetch among those who wait for it, and selects. When there is a fetch is decided here:
 * its own pause is fixed, and it takes ages from `Date.now`, which the host may set back.
 *
 * @param fetchKeys asks the `jwks_uri`, within our limits and deadlines.
 * @param now the clock, in milliseconds.
 */
export function createKeySet(fetchKeys: () => Promise<JsonObject>, now: () => number): KeySet {
  let fetchedAt = Number.NEGATIVE_INFINITY
  let triedAt = Number.NEGATIVE_INFINITY
  let pauseMs = FIRST_PAUSE_MS
  const keys = createRemoteJWKSet(ADDRESS, {
    cacheMaxAge: Number.POSITIVE_INFINITY,
    cooldownDuration: Number.POSITIVE_INFINITY,
    [customFetch]: async () => Response.json(await fetchNow()),
  })

  return {
    async find(header, token) {
      await ready()
      try {
        return await keys(header, token)
      } catch (error) {
        if (!(error instanceof errors.JWKSNoMatchingKey)) throw error
        const mayFetch = keys.reloading || now() - triedAt >= pauseMs
        // A kid that is known has a key for another use or algorithm: that is final. An unknown one may be new.
        if (!mayFetch) throw published().some(({ kid }) => kid === header.kid) ? error : unavailable()
      }
      // Taken back by a fetch that brings a new key.
      if (!keys.reloading) pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
      await reload()
      return keys(header, token)
    },
  }

  async function ready(): Promise<void> {
    // Keys that are too old are not used while the provider cannot be asked: one of them may be withdrawn.
    if (now() - fetchedAt < MAX_AGE_MS) return
    // There was no fetch for an unknown kid in all that time, so the pause begins anew.
    if (now() - triedAt >= MAX_AGE_MS) pauseMs = FIRST_PAUSE_MS
    await reload()
  }

  async function reload(): Promise<void> {
    try {
      await keys.reload()
      fetchedAt = triedAt
    } catch (error) {
      throw error instanceof errors.JWKSInvalid ? unusable() : error
    }
  }

  async function fetchNow(): Promise<JsonObject> {
    triedAt = now()
    const { keys: fetched } = await fetchKeys()
    if (!Array.isArray(fetched) || fetched.length > MAX_KEYS) throw unusable()
    const found = fetched.map(withoutNull)
    const known = new Set(published().map((key) => JSON.stringify(key)))
    if (found.some((key) => !known.has(JSON.stringify(key)))) pauseMs = FIRST_PAUSE_MS
    return { keys: found }
  }

  function published(): JSONWebKeySet['keys'] {
    return keys.jwks()?.keys ?? []
  }
}

/** A key whose `alg`, say, is null has none (F-15). What is no object is left to jose to refuse. */
function withoutNull(key: unknown): unknown {
  if (typeof key !== 'object' || key === null || Array.isArray(key)) return key
  return Object.fromEntries(Object.entries(key).filter(([, value]) => value !== null))
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
