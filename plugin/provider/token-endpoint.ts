import { ProviderError } from '../oauth/errors.ts'
import type { Metadata } from './endpoints.ts'
import type { ExpectedIdToken } from './id-token.ts'
import type { Claims, Provider, ProviderTokens } from './provider.ts'
import { readTokens, revocable } from './tokens.ts'
import type { Calls } from './transport/calls.ts'
import type { JsonObject } from './transport/response.ts'
import { IF_UNSENT, ONCE, type RetryRule } from './transport/retry.ts'

/**
 * The provider's token endpoint: code exchange (RFC 6749 §4.1.3) and refresh (§6).
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
}): Pick<Provider, 'exchangeCode' | 'refresh'> {
  const { calls, callbackUrl, relaysTokens, accepted, keysReady, validateIdToken, revoke } = options

  return {
    async exchangeCode({ code, codeVerifier, nonce, maxAge }) {
      const answer = await request(ONCE, {
        grant_type: 'authorization_code',
        code,
        redirect_uri: callbackUrl,
        ...(codeVerifier !== undefined && { code_verifier: codeVerifier }),
      })
      return accept(answer, { at: 'login', nonce, maxAge })
    },

    async refresh({ refreshToken, subject }) {
      // Before anything is sent: a provider that rotates forgets the old token, whether or not its answer can be read.
      await keysReady()
      const answer = await request(IF_UNSENT, { grant_type: 'refresh_token', refresh_token: refreshToken })
      return accept(answer, { at: 'refresh', subject })
    },
  }

  async function request(rule: RetryRule, parameters: Record<string, string>): Promise<JsonObject> {
    return calls.read('token', await calls.post('token', rule, accepted().token_endpoint, parameters))
  }

  /** Tokens that are refused here exist at the provider all the same, so they are taken back (F-15). */
  async function accept(answer: JsonObject, expected: Expected): Promise<ProviderTokens> {
    try {
      const { tokens, idToken } = readTokens(answer, relaysTokens)
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
      const issued = isKept ? undefined : revocable(answer)
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
