import { createHash } from 'node:crypto'
import type { JWTVerifyGetKey } from 'jose'
import { ProviderError } from '../../oauth/errors.ts'
import type { Claims } from '../provider.ts'
import { errorCode } from '../transport/network.ts'
import {
  type ClaimFailure,
  findIssuerFailure,
  findTimeFailure,
  type TrustedClaims,
  verifySignature,
} from './signed-claims.ts'

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
 * allow-list, `iss`, `aud`, `azp`, `exp`, `iat`, `nonce`, `at_hash`, `auth_time`. `null` counts as absent.
 * Source: OIDC Core §3.1.3.7, §3.1.3.6; F-14.
 *
 * @param now the clock, in milliseconds.
 * @returns the claims. It throws ProviderError `provider_id_token_invalid`, whose cause names the check; at a refresh
 * `provider_subject_mismatch` when `iss`, `sub` or `aud` are not those of the login (OIDC Core §12.2); or the one
 * of the key fetch.
 */
export function createIdTokenValidator(options: {
  trusted: TrustedClaims
  keys: JWTVerifyGetKey
  now: () => number
}): (idToken: string, expected: ExpectedIdToken) => Promise<Claims> {
  const { trusted, keys, now } = options

  return async (idToken, expected) => {
    const { claims, alg } = await verifySignature(idToken, keys).catch((error: unknown) => {
      if (error instanceof ProviderError) throw error
      throw new ProviderError('provider_id_token_invalid', 'token', { cause: new Error(errorCode(error)) })
    })
    const failure = findFailure(claims, alg, expected)
    if (failure) throw invalid(failure, expected.at)
    return claims
  }

  function findFailure(claims: Claims, alg: string, expected: ExpectedIdToken): ClaimFailure | undefined {
    const nowSeconds = Math.floor(now() / 1000)
    return (
      findIssuerFailure(claims, trusted) ??
      findMissing(claims) ??
      findTimeFailure(claims, nowSeconds, trusted) ??
      findAccessTokenFailure(claims, alg, expected) ??
      (expected.at === 'refresh'
        ? findSubjectFailure(claims, expected.subject)
        : findLoginFailure(claims, expected, nowSeconds - trusted.clockToleranceSeconds))
    )
  }
}

function findMissing({ sub, exp, iat }: Claims): ClaimFailure | undefined {
  if (typeof sub !== 'string' || sub === '' || sub.length > 255) {
    return { claim: 'sub', words: 'is not text of 1 to 255 characters' }
  }
  if (exp === undefined) return { claim: 'exp', words: 'is missing' }
  return iat === undefined ? { claim: 'iat', words: 'is missing' } : undefined
}

function findAccessTokenFailure(
  { at_hash }: Claims,
  alg: string,
  { accessToken }: ExpectedIdToken,
): ClaimFailure | undefined {
  if (at_hash === undefined || at_hash === halfHash(accessToken, alg)) return undefined
  return { claim: 'at_hash', words: 'belongs to another access token' }
}

function findSubjectFailure({ sub }: Claims, subject: string | undefined): ClaimFailure | undefined {
  return subject === undefined || sub === subject ? undefined : { claim: 'sub', words: 'another subject' }
}

/** @param notBefore seconds: with `max_age` before it, the oldest `auth_time` that is accepted. */
function findLoginFailure(
  { nonce, auth_time }: Claims,
  expected: Extract<ExpectedIdToken, { at: 'login' }>,
  notBefore: number,
): ClaimFailure | undefined {
  if (nonce !== expected.nonce) return { claim: 'nonce', words: 'is not the one that was sent' }
  if (expected.maxAge === undefined) return undefined
  if (typeof auth_time !== 'number') return { claim: 'auth_time', words: 'is required: max_age was sent' }
  return auth_time < notBefore - expected.maxAge
    ? { claim: 'auth_time', words: 'is longer ago than max_age' }
    : undefined
}

/** The left half of the hash that belongs to `alg` (OIDC Core §3.1.3.6); Ed25519 hashes with SHA-512. */
function halfHash(accessToken: string, alg: string): string {
  const digest = createHash(/256$/.test(alg) ? 'sha256' : /384$/.test(alg) ? 'sha384' : 'sha512')
    .update(accessToken, 'ascii')
    .digest()
  return digest.subarray(0, digest.length / 2).toString('base64url')
}

function invalid({ claim, words }: ClaimFailure, at: ExpectedIdToken['at']): ProviderError {
  const someoneElse = at === 'refresh' && ['iss', 'sub', 'aud'].includes(claim)
  return new ProviderError(someoneElse ? 'provider_subject_mismatch' : 'provider_id_token_invalid', 'token', {
    cause: new Error(`${claim}: ${words}`),
  })
}
