import { createHash } from 'node:crypto'
import {
  errors,
  type JWTPayload,
  type JWTVerifyGetKey,
  type JWTVerifyOptions,
  type JWTVerifyResult,
  jwtVerify,
} from 'jose'
import { ProviderError } from '../oauth/errors.ts'
import type { Claims } from './provider.ts'
import { errorCode } from './transport/network.ts'

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

/** What this id_token must say besides what all must. `accessToken` came with it (for `at_hash`). */
export type ExpectedIdToken =
  | {
      readonly at: 'login'
      readonly accessToken: string
      /** As it was sent, or undefined if none was. */
      readonly nonce: string | undefined
      /** Seconds, if `max_age` was sent. */
      readonly maxAge: number | undefined
    }
  | { readonly at: 'refresh'; readonly accessToken: string; readonly subject: string | undefined }

/**
 * Makes the validator of the provider's id_tokens: signature by a key of the metadata's `jwks_uri`, algorithm
 * allow-list, `iss`, `aud` (us and nobody else), `azp`, `exp`, `iat`, `nonce`, `at_hash`, `auth_time`; an unknown
 * `crit` is refused, and so is an encrypted token. Clocks may differ by 60 s.
 * Source: OIDC Core §3.1.3.7, §3.1.3.6; RFC 7515 §4.1.11.
 *
 * @param now the clock, in milliseconds.
 * @returns the claims. It throws ProviderError `provider_id_token_invalid`; at a refresh
 * `provider_subject_mismatch` when `iss`, `sub` or `aud` are not those of the login (OIDC Core §12.2); or the one
 * of the key fetch.
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
      const { payload, protectedHeader } = await verifyIdToken(idToken, keys, {
        algorithms: ALGORITHMS,
        issuer,
        audience: clientId,
        requiredClaims: ['iss', 'sub', 'aud', 'exp', 'iat'],
        clockTolerance: SKEW_SECONDS,
        currentDate: new Date(now()),
      })
      const wrong = wrongClaim(payload, protectedHeader.alg, expected)
      if (wrong) throw invalid(wrong, expected.at)
      return payload
    } catch (error) {
      if (error instanceof ProviderError) throw error
      throw invalid(
        error instanceof errors.JWTClaimValidationFailed ? error.claim : errorCode(error),
        expected.at,
      )
    }
  }

  /** The first claim that does not hold, of those that jose leaves to us. */
  function wrongClaim(claims: JWTPayload, alg: string, expected: ExpectedIdToken): string | undefined {
    const nowSeconds = Math.floor(now() / 1000)
    if (typeof claims.sub !== 'string' || claims.sub === '' || claims.sub.length > 255) return 'sub'
    if (typeof claims.aud !== 'string' && claims.aud!.some((audience) => audience !== clientId)) return 'aud'
    if (claims.azp !== undefined && claims.azp !== clientId) return 'azp'
    if (claims.iat! > nowSeconds + SKEW_SECONDS) return 'iat'
    if (claims.at_hash !== undefined && claims.at_hash !== halfHash(expected.accessToken, alg))
      return 'at_hash'
    if (expected.at === 'refresh') {
      return expected.subject !== undefined && claims.sub !== expected.subject ? 'sub' : undefined
    }
    if (claims.nonce !== expected.nonce) return 'nonce'
    if (expected.maxAge !== undefined) {
      const oldest = nowSeconds - SKEW_SECONDS - expected.maxAge
      if (typeof claims.auth_time !== 'number' || claims.auth_time < oldest) return 'auth_time'
    }
    return undefined
  }
}

/** Verifies with the key of the token's `kid`. Where several keys have it, each of them is tried (F-13). */
async function verifyIdToken(
  idToken: string,
  keys: JWTVerifyGetKey,
  options: JWTVerifyOptions,
): Promise<JWTVerifyResult> {
  try {
    return await jwtVerify(idToken, keys, options)
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) throw error
    for await (const key of error) {
      try {
        return await jwtVerify(idToken, key, options)
      } catch (failure) {
        if (!(failure instanceof errors.JWSSignatureVerificationFailed)) throw failure
      }
    }
    throw new errors.JWSSignatureVerificationFailed()
  }
}

/** The left half of the hash that belongs to `alg` (OIDC Core §3.1.3.6); Ed25519 hashes with SHA-512. */
function halfHash(accessToken: string, alg: string): string {
  const digest = createHash(/256$/.test(alg) ? 'sha256' : /384$/.test(alg) ? 'sha384' : 'sha512')
    .update(accessToken, 'ascii')
    .digest()
  return digest.subarray(0, digest.length / 2).toString('base64url')
}

function invalid(what: string, at: ExpectedIdToken['at']): ProviderError {
  const someoneElse = at === 'refresh' && ['iss', 'sub', 'aud'].includes(what)
  return new ProviderError(someoneElse ? 'provider_subject_mismatch' : 'provider_id_token_invalid', 'token', {
    cause: new Error(what),
  })
}
