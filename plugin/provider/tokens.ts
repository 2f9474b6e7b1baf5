import { isBearerToken } from '../oauth/bearer.ts'
import { ProviderError } from '../oauth/errors.ts'
import type { ProviderTokens } from './provider.ts'
import type { JsonObject } from './transport/response.ts'

const ACCESS_TOKEN = /^[\x21-\x7e]{1,16384}$/
const REFRESH_TOKEN = /^[\x20-\x7e]{1,16384}$/
const DEFAULT_SECONDS = 300
const MAX_SECONDS = 31_536_000

/** A token answer that has the right shape; the id_token is not validated yet. */
export interface TokenAnswer {
  readonly tokens: ProviderTokens
  readonly idToken?: string
}

/**
 * Checks a token answer (RFC 6749 §5.1): an access token that fits in a header, type `Bearer` (a missing type
 * means that), every other member of its type.
 *
 * @param relayed the app will get the access token itself, and must be able to present it to us.
 * @throws ProviderError `provider_answer_invalid`, naming the member.
 */
export function readTokens(body: JsonObject, relayed: boolean): TokenAnswer {
  const { access_token, token_type = 'Bearer', refresh_token, scope, id_token } = body
  if (!matches(access_token, ACCESS_TOKEN) || (relayed && !isBearerToken(access_token))) {
    throw invalid('access_token')
  }
  // Any other type (`mac`, `DPoP`) needs a proof with each use that we do not make.
  if (!matches(token_type, /^bearer$/i)) throw invalid('token_type')
  if (refresh_token !== undefined && !matches(refresh_token, REFRESH_TOKEN)) throw invalid('refresh_token')
  if (scope !== undefined && typeof scope !== 'string') throw invalid('scope')
  if (id_token !== undefined && typeof id_token !== 'string') throw invalid('id_token')
  return {
    tokens: {
      accessToken: access_token,
      tokenType: token_type,
      expiresInSeconds: expiresIn(body.expires_in),
      ...(refresh_token !== undefined && { refreshToken: refresh_token }),
      ...(scope !== undefined && { scope: scope.split(' ').filter((value) => value !== '') }),
    },
    ...(id_token !== undefined && { idToken: id_token }),
  }
}

/** What can be taken back of an answer that was refused. */
export function revocable(body: JsonObject): { accessToken: string; refreshToken?: string } | undefined {
  const { access_token, refresh_token } = body
  if (!matches(access_token, ACCESS_TOKEN)) return undefined
  return {
    accessToken: access_token,
    ...(matches(refresh_token, REFRESH_TOKEN) && { refreshToken: refresh_token }),
  }
}

/** Whole seconds (D-15). What is not a positive number says nothing, and nothing means 300. */
function expiresIn(value: unknown): number {
  const seconds = Math.floor(
    typeof value === 'string' ? Number(value) : typeof value === 'number' ? value : NaN,
  )
  return seconds >= 1 ? Math.min(seconds, MAX_SECONDS) : DEFAULT_SECONDS
}

function matches(value: unknown, pattern: RegExp): value is string {
  return typeof value === 'string' && pattern.test(value)
}

function invalid(member: string): ProviderError {
  return new ProviderError('provider_answer_invalid', 'token', { cause: new Error(member) })
}
