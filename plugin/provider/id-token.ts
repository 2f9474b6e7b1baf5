import { createHash } from 'node:crypto'
import { type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose'
import { ProviderError } from '../errors.ts'
import { errorCode } from './network.ts'
import type { Claims } from './provider.ts'

/** Signatures only: no `none`, and nothing keyed with a secret that a public key could pass for. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
]
const SKEW_SECONDS = 60

/** What this id_token must say besides what all must. */
export interface ExpectedIdToken {
  /** The access token that came with it, for `at_hash`. */
  readonly accessToken: string
  /** The value that was sent, or undefined if none was; `'any'` at a refresh (OIDC Core §12.2). */
  readonly nonce: { readonly sent: string | undefined } | 'any'
  /** Seconds. */
  readonly maxAge?: number | undefined
}

/**
 * Makes the validator of the provider's id_tokens: signature by a key of the metadata's `jwks_uri`, algorithm
 * allow-list, `iss`, `aud` (us and nobody else), `azp`, `exp`, `iat`, `nonce`, `at_hash`, `auth_time`; an unknown
 * `crit` is refused, and so is an encrypted token. Clocks may differ by 60 s.
 * Source: OIDC Core §3.1.3.7, §3.1.3.6; RFC 7515 §4.1.11.
 *
 * @param now the clock, in milliseconds.
 * @returns the claims. It throws ProviderError `provider_id_token_invalid`, or the one of the key fetch.
 */
export function createIdTokenValidator(options: {
  issuer: string
  clientId: string
  keys: JWTVerifyGetKey
  now: () => number
}): (idToken: string, expected: ExpectedIdToken) => Promise<Claims> {
  const { issuer, clientId, keys, now } = options

  return async (idToken, expected) => {
    try {
      const { payload, protectedHeader } = await jwtVerify(idToken, keys, {
        algorithms: ALGORITHMS,
        issuer,
        audience: clientId,
        requiredClaims: ['iss', 'sub', 'aud', 'exp', 'iat'],
        clockTolerance: SKEW_SECONDS,
        currentDate: new Date(now()),
      })
      const wrong = wrongClaim(payload, protectedHeader.alg, expected)
      if (wrong) throw invalid(wrong)
      return payload
    } catch (error) {
      throw error instanceof ProviderError ? error : invalid(errorCode(error))
    }
  }

  /** The first claim that does not hold, of those that jose leaves to us. */
  function wrongClaim(claims: JWTPayload, alg: string, expected: ExpectedIdToken): string | undefined {
    const nowSeconds = Math.floor(now() / 1000)
    if (typeof claims.sub !== 'string' || claims.sub === '' || claims.sub.length > 255) return 'sub'
    if (typeof claims.aud !== 'string' && claims.aud!.some((audience) => audience !== clientId)) return 'aud'
    if (claims.azp !== undefined && claims.azp !== clientId) return 'azp'
    if (claims.iat! > nowSeconds + SKEW_SECONDS) return 'iat'
    if (expected.nonce !== 'any' && claims.nonce !== expected.nonce.sent) return 'nonce'
    if (claims.at_hash !== undefined && claims.at_hash !== halfHash(expected.accessToken, alg))
      return 'at_hash'
    if (expected.maxAge !== undefined) {
      const { auth_time } = claims
      if (typeof auth_time !== 'number' || auth_time + expected.maxAge < nowSeconds - SKEW_SECONDS)
        return 'auth_time'
    }
    return undefined
  }
}

/** The left half of the hash that belongs to `alg` (OIDC Core §3.1.3.6); Ed25519 hashes with SHA-512. */
function halfHash(accessToken: string, alg: string): string {
  const digest = createHash(/256$/.test(alg) ? 'sha256' : /384$/.test(alg) ? 'sha384' : 'sha512')
    .update(accessToken, 'ascii')
    .digest()
  return digest.subarray(0, digest.length / 2).toString('base64url')
}

function invalid(what: string): ProviderError {
  return new ProviderError('provider_id_token_invalid', 'token', { cause: new Error(what) })
}
