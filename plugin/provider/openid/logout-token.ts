import type { JWTVerifyGetKey } from 'jose'
import { OAuthError, ProviderError } from '../../oauth/errors.ts'
import type { Claims, LogoutToken } from '../provider.ts'
import { errorCode } from '../transport/network.ts'
import {
  type ClaimFailure,
  findIssuerFailure,
  findTimeFailure,
  type TrustedClaims,
  verifySignature,
} from './signed-claims.ts'

/** The member of `events` that makes a JWT a logout token (Back-Channel Logout §2.4). */
const EVENT = 'http://schemas.openid.net/event/backchannel-logout'
/** With the prefix that RFC 7515 §4.1.9 lets out. */
const TYPE = /^(?:application\/)?logout\+jwt$/i
/** What is older is no news of a logout. Bounds how long a `jti` has to be remembered. */
const MAX_AGE_SECONDS = 86_400
const MAX_CHARACTERS = 255

/** The provider's logout tokens. */
export interface LogoutTokens {
  /**
   * Verifies the signature by a key of the metadata's `jwks_uri`, the algorithm allow-list, `typ` if there is one, and
   * `iss`, `aud`, `iat`, `exp`, `jti`, `events`, `sub` and `sid`; there must be no `nonce`. `null` counts as absent.
   * That its `jti` has not been used is the caller's to check.
   * Source: Back-Channel Logout 1.0 §2.4, §2.6; requirements E-09.
   *
   * @throws OAuthError `logout_token_invalid`, whose cause names the check. @throws ProviderError of the key fetch.
   */
  read(jwt: string): Promise<LogoutToken>
}

/**
 * @see LogoutTokens
 * @param now the clock, in milliseconds.
 */
export function createLogoutTokens(options: {
  trusted: TrustedClaims
  keys: JWTVerifyGetKey
  now: () => number
}): LogoutTokens {
  const { trusted, keys, now } = options

  return {
    async read(jwt) {
      const { claims, typ } = await verifySignature(jwt, keys).catch((error: unknown) => {
        if (error instanceof ProviderError) throw error
        throw invalid(errorCode(error))
      })
      const nowSeconds = now() / 1000
      const failure =
        findTypeFailure(typ) ??
        findIssuerFailure(claims, trusted) ??
        findTimeFailure(claims, Math.floor(nowSeconds), trusted) ??
        findLogoutFailure(claims, nowSeconds - trusted.clockToleranceSeconds)
      if (failure) throw invalid(`${failure.claim}: ${failure.words}`)
      const { jti, sid, sub, iat, exp } = claims as {
        readonly [name in 'iat' | 'exp']: number
      } & { readonly jti: string; readonly sid?: string; readonly sub?: string }
      const refusedAt = Math.min(exp, iat + MAX_AGE_SECONDS) + trusted.clockToleranceSeconds
      // A second more: it is judged by whole seconds.
      return { jti, sid, subject: sub, remainingMs: Math.ceil((refusedAt + 1 - nowSeconds) * 1000) }
    },
  }
}

/** Other JWTs of the provider may say whose they are; what says nothing is told by `events` alone. */
function findTypeFailure(typ: unknown): ClaimFailure | undefined {
  if (typ === undefined || (typeof typ === 'string' && TYPE.test(typ))) return undefined
  return { claim: 'typ', words: 'is another than logout+jwt' }
}

/** @param notBefore seconds, by the slowest clock that is accepted. */
function findLogoutFailure(claims: Claims, notBefore: number): ClaimFailure | undefined {
  const { iat, exp, jti, events, nonce, sub, sid } = claims
  if (exp === undefined) return { claim: 'exp', words: 'is missing' }
  if (iat === undefined) return { claim: 'iat', words: 'is missing' }
  if ((iat as number) + MAX_AGE_SECONDS <= notBefore)
    return { claim: 'iat', words: 'is longer ago than a day' }
  if (nonce !== undefined) return { claim: 'nonce', words: 'is in a logout token: it may be an id_token' }
  if (!isObject(isObject(events) && Object.hasOwn(events, EVENT) && events[EVENT])) {
    return { claim: 'events', words: 'does not name a back-channel logout' }
  }
  if (!isText(jti)) return { claim: 'jti', words: `is not text of 1 to ${MAX_CHARACTERS} characters` }
  for (const [claim, value] of Object.entries({ sub, sid })) {
    if (value !== undefined && !isText(value)) {
      return { claim, words: `is not text of 1 to ${MAX_CHARACTERS} characters` }
    }
  }
  return sub === undefined && sid === undefined
    ? { claim: 'sub', words: 'is missing, and so is sid: nobody is named' }
    : undefined
}

function isText(value: unknown): boolean {
  return typeof value === 'string' && value !== '' && value.length <= MAX_CHARACTERS
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function invalid(words: string | undefined): OAuthError {
  return new OAuthError('logout_token_invalid', { cause: new Error(words) })
}
