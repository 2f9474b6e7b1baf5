import { createHash } from 'node:crypto'
import type { JWTVerifyGetKey } from 'jose'
import { decodeJwt } from 'jose/jwt/decode'
import { ProviderError, type ProviderReason } from '../../oauth/errors.ts'
import { issProblem } from '../../options/provider/tenants.ts'
import type { Claims, ProviderCodeRedemption } from '../provider.ts'
import { errorCode } from '../transport/network.ts'
import {
  type ClaimFailure,
  findIssuerFailure,
  findTimeFailure,
  type TrustedClaims,
  verifySignature,
} from './signed-claims.ts'

/** What this id_token must say besides what all must. */
export interface ExpectedIdToken {
  /** It came with it (for `at_hash`). */
  readonly accessToken: string
  readonly login?: ExpectedLogin
}

/** What was sent at a login: `nonce`, `max_age` in seconds, `acr_values`. */
export type ExpectedLogin = Pick<ProviderCodeRedemption, 'nonce' | 'maxAge' | 'acrValues'>

/** The provider's id_tokens. */
export interface IdTokens {
  /**
   * Validates: signature by a key of the metadata's `jwks_uri`, algorithm allow-list, `iss`, `aud`, `azp`, `exp`,
   * `iat`, `at_hash`, and at a login `nonce`, `auth_time` and `acr`. `null` counts as absent.
   * Source: OIDC Core §3.1.3.7, §3.1.3.6; F-14.
   *
   * @returns the claims.
   * @throws ProviderError `provider_id_token_invalid`, whose cause names the check; or the one of the key fetch.
   */
  validate(idToken: string, expected: ExpectedIdToken): Promise<Claims>

  /**
   * Tells whether the id_token of a refresh speaks of another `iss`, `sub` or `aud` than that of the login
   * (OIDC Core §12.2). Its signature is not asked for: it came from the token endpoint by TLS (§3.1.3.7 (6)), and
   * whoever it names, its tokens are not to be used for anybody else (D-14). What cannot be read names nobody.
   *
   * @param subject undefined where the login has told none.
   * @returns ProviderError `provider_subject_mismatch`, whose cause names the claim.
   */
  findForeignClaim(idToken: string, subject: string | undefined): ProviderError | undefined
}

/**
 * @see IdTokens
 * @param now the clock, in milliseconds.
 */
export function createIdTokens(options: {
  trusted: TrustedClaims
  keys: JWTVerifyGetKey
  now: () => number
}): IdTokens {
  const { trusted, keys, now } = options

  return {
    async validate(idToken, expected) {
      const { claims, alg } = await verifySignature(idToken, keys).catch((error: unknown) => {
        if (error instanceof ProviderError) throw error
        throw invalid('provider_id_token_invalid', errorCode(error))
      })
      const failure = findFailure(claims, alg, expected)
      if (failure) throw invalid('provider_id_token_invalid', `${failure.claim}: ${failure.words}`)
      return claims
    },

    findForeignClaim(idToken, subject) {
      const { iss, sub, aud } = claimsOf(idToken)
      const isForeign = {
        iss: iss != null && issProblem(iss, trusted) !== undefined,
        sub: sub != null && subject !== undefined && String(sub) !== subject,
        aud: aud != null && ![aud].flat().includes(trusted.clientId),
      }
      const claim = (['iss', 'sub', 'aud'] as const).find((name) => isForeign[name])
      return claim && invalid('provider_subject_mismatch', `${claim}: another than at the login`)
    },
  }

  function findFailure(
    claims: Claims,
    alg: string,
    { accessToken, login }: ExpectedIdToken,
  ): ClaimFailure | undefined {
    const nowSeconds = Math.floor(now() / 1000)
    return (
      findIssuerFailure(claims, trusted) ??
      findMissing(claims) ??
      findTimeFailure(claims, nowSeconds, trusted) ??
      findAccessTokenFailure(claims, alg, accessToken) ??
      (login && findLoginFailure(claims, login, nowSeconds - trusted.clockToleranceSeconds))
    )
  }
}

function claimsOf(idToken: string): Claims {
  try {
    return decodeJwt(idToken)
  } catch {
    return {}
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
  accessToken: string,
): ClaimFailure | undefined {
  if (at_hash === undefined || at_hash === halfHash(accessToken, alg)) return undefined
  return { claim: 'at_hash', words: 'belongs to another access token' }
}

/** @param notBefore seconds: with `max_age` before it, the oldest `auth_time` that is accepted. */
function findLoginFailure(
  { nonce, auth_time, acr }: Claims,
  expected: ExpectedLogin,
  notBefore: number,
): ClaimFailure | undefined {
  if (nonce !== expected.nonce) return { claim: 'nonce', words: 'is not the one that was sent' }
  if (expected.acrValues !== undefined && !expected.acrValues.split(' ').includes(acr as string)) {
    return { claim: 'acr', words: 'is none of those that were asked for (acr_values)' }
  }
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

function invalid(reason: ProviderReason, words: string): ProviderError {
  return new ProviderError(reason, 'token', { cause: new Error(words) })
}
