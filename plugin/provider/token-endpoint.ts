import { isBearerToken } from '../oauth/bearer.ts'
import { ProviderError } from '../oauth/errors.ts'
import type { Metadata } from './endpoints.ts'
import type { ExpectedIdToken } from './openid/id-token.ts'
import type { Claims, Provider, ProviderTokens } from './provider.ts'
import type { Calls } from './transport/calls.ts'
import type { JsonObject } from './transport/response.ts'
import { IF_UNSENT, ONCE, type RetryRule } from './transport/retry.ts'

const ACCESS_TOKEN = /^[\x21-\x7e]{1,16384}$/
const REFRESH_TOKEN = /^[\x20-\x7e]{1,16384}$/
const DEFAULT_SECONDS = 300
const MAX_SECONDS = 31_536_000

/**
 * The provider's token endpoint: token exchange (RFC 6749 §4.1.3) and refresh (§6).
 *
 * @param accepted the metadata; it throws while there is none.
 * @param relaysTokens apps get the access tokens themselves.
 * @param keysReady makes sure that an id_token could be verified now.
 * @param revoke takes back what was issued and then refused here.
 */
export function createTokenEndpoint(options: {
  calls: Calls
  callbackUrl: string
  relaysTokens: boolean
  accepted: () => Metadata
  keysReady: () => Promise<unknown>
  validateIdToken: (idToken: string, expected: ExpectedIdToken) => Promise<Claims>
  revoke: Provider['revoke']
}): Pick<Provider, 'redeemCode' | 'refresh'> {
  const { calls, callbackUrl, relaysTokens, accepted, keysReady, validateIdToken, revoke } = options

  return {
    async redeemCode({ code, codeVerifier, nonce, maxAge }) {
      const response = await request(ONCE, {
        grant_type: 'authorization_code',
        code,
        redirect_uri: callbackUrl,
        ...(codeVerifier !== undefined && { code_verifier: codeVerifier }),
      })
      return accept(response, { at: 'login', nonce, maxAge })
    },

    async refresh({ refreshToken, subject }) {
      // Before anything is sent: a provider that rotates forgets the old token, whether or not its answer can be read.
      await keysReady()
      const response = await request(IF_UNSENT, { grant_type: 'refresh_token', refresh_token: refreshToken })
      return accept(response, { at: 'refresh', subject })
    },
  }

  async function request(rule: RetryRule, parameters: Record<string, string>): Promise<JsonObject> {
    const response = await calls.post('token', rule, accepted().token_endpoint, parameters)
    return calls.read('token', response, parameters.grant_type === 'refresh_token')
  }

  /** Tokens that are refused here exist at the provider all the same, so they are taken back (F-15). */
  async function accept(response: JsonObject, expected: Expected): Promise<ProviderTokens> {
    try {
      const { tokens, idToken } = readTokens(response, relaysTokens)
      if (idToken === undefined) {
        if (asksForIdToken(expected)) {
          throw new ProviderError('provider_id_token_invalid', 'token', { cause: new Error('there is none') })
        }
        return tokens
      }
      // Without a jwks_uri nothing was asked of OpenID Connect, and an id_token means nothing here.
      if (accepted().jwks_uri === undefined) return tokens
      const claims = await validateIdToken(idToken, { ...expected, accessToken: tokens.accessToken })
      return { ...tokens, claims }
    } catch (error) {
      // A session that is kept needs its refresh token, which may be the one in this answer (D-10).
      const isKept = expected.at === 'refresh' && error instanceof ProviderError && error.transient
      const issued = isKept ? undefined : revocable(response)
      if (issued) revoke(issued)
      throw error
    }
  }
}

/** Of the id_token, if there is one; without the access token, which comes in the same answer. */
type Expected =
  | Omit<Extract<ExpectedIdToken, { at: 'login' }>, 'accessToken'>
  | Omit<Extract<ExpectedIdToken, { at: 'refresh' }>, 'accessToken'>

function asksForIdToken(expected: Expected): boolean {
  return expected.at === 'login' && (expected.nonce !== undefined || expected.maxAge !== undefined)
}

/**
 * Checks a token response (RFC 6749 §5.1): an access token that fits in a header, type `Bearer` (a missing type
 * means that), every other member of its type. `scope` as a list is what real providers send (F-15).
 *
 * @param relayed the app will get the access token itself, and must be able to present it to us.
 * @returns with the id_token, which is not validated yet.
 * @throws ProviderError `provider_answer_invalid`, naming the member.
 */
function readTokens(body: JsonObject, relayed: boolean): { tokens: ProviderTokens; idToken?: string } {
  const { access_token, token_type = 'Bearer', refresh_token, scope, id_token } = body
  if (!matches(access_token, ACCESS_TOKEN) || (relayed && !isBearerToken(access_token))) {
    throw invalid('access_token')
  }
  // Any other type (`mac`, `DPoP`) needs a proof with each use that we do not make.
  if (!matches(token_type, /^bearer$/i)) throw invalid('token_type')
  if (refresh_token !== undefined && !matches(refresh_token, REFRESH_TOKEN)) throw invalid('refresh_token')
  if (id_token !== undefined && typeof id_token !== 'string') throw invalid('id_token')
  return {
    tokens: {
      accessToken: access_token,
      tokenType: token_type,
      expiresInSeconds: expiresIn(body.expires_in),
      ...(refresh_token !== undefined && { refreshToken: refresh_token }),
      ...(scope !== undefined && { scope: readScope(scope) }),
    },
    ...(id_token !== undefined && { idToken: id_token }),
  }
}

/** As text (RFC 6749 §3.3), or as a list; `null` in a list is nothing. */
function readScope(scope: unknown): string[] {
  const values = [scope].flat().filter((value) => value !== null)
  if (!values.every((value) => typeof value === 'string' || typeof value === 'number')) throw invalid('scope')
  return values.join(' ').split(' ').filter(Boolean)
}

/** What can be taken back of a response that was refused. */
function revocable(body: JsonObject): { accessToken: string; refreshToken?: string } | undefined {
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
