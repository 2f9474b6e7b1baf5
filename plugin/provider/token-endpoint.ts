import { isBearerToken } from '../oauth/bearer.ts'
import { ProviderError } from '../oauth/errors.ts'
import { hasOpenId } from '../options/provider/rules.ts'
import type { ResolvedProvider } from '../options/resolved.ts'
import type { Metadata } from './metadata/endpoints.ts'
import type { ExpectedLogin, IdTokens } from './openid/id-token.ts'
import type { Provider, ProviderRefresh, ProviderTokens } from './provider.ts'
import { createOfflineAccessWarning, tokenSeconds } from './token-life.ts'
import type { Calls, ProviderLog } from './transport/calls.ts'
import type { JsonObject } from './transport/response.ts'
import { IF_UNSENT, ONCE, type RetryRule } from './transport/retry.ts'

const ACCESS_TOKEN = /^[\x21-\x7e]{1,16384}$/
const REFRESH_TOKEN = /^[\x20-\x7e]{1,16384}$/
const NO_ID_TOKEN = 'there is none: if the provider has no OpenID Connect, take openid out of provider.scope'

/**
 * The provider's token endpoint: token exchange (RFC 6749 §4.1.3) and refresh (§6).
 *
 * @param accepted the metadata; it throws while there is none.
 * @param relaysTokens apps get the access tokens themselves.
 * @param revoke takes back what was issued and then refused here.
 */
export function createTokenEndpoint(options: {
  provider: ResolvedProvider
  calls: Calls
  log: ProviderLog
  callbackUrl: string
  relaysTokens: boolean
  accepted: () => Metadata
  idTokens: IdTokens
  revoke: Provider['revoke']
}): Pick<Provider, 'redeemCode' | 'refresh'> {
  const { provider, calls, log, callbackUrl, relaysTokens, accepted, idTokens, revoke } = options
  const warnOfMissingRefreshToken = createOfflineAccessWarning(provider, log)

  return {
    async redeemCode({ code, codeVerifier, ...login }) {
      const response = await request(ONCE, {
        grant_type: 'authorization_code',
        code,
        redirect_uri: callbackUrl,
        ...(codeVerifier !== undefined && { code_verifier: codeVerifier }),
      })
      try {
        const tokens = read(response, response.refresh_token !== undefined)
        const idToken = isOpenIdConnect() ? readIdToken(response.id_token) : undefined
        if (idToken === undefined && isIdTokenRequired(login)) {
          throw new ProviderError('provider_id_token_invalid', 'token', { cause: new Error(NO_ID_TOKEN) })
        }
        warnOfMissingRefreshToken(tokens)
        if (idToken === undefined) return tokens
        const { accessToken } = tokens
        return {
          ...tokens,
          claims: await idTokens.validate(idToken, { accessToken, login }),
        }
      } catch (error) {
        takeBack(response)
        throw error
      }
    },

    async refresh({ refreshToken, subject }) {
      const response = await request(IF_UNSENT, { grant_type: 'refresh_token', refresh_token: refreshToken })
      const { id_token } = response
      const idToken = typeof id_token === 'string' && isOpenIdConnect() ? id_token : undefined
      const foreign = idToken !== undefined && idTokens.findForeignClaim(idToken, subject)
      if (foreign) {
        takeBack(response)
        throw foreign
      }
      return {
        ...(matches(response.refresh_token, REFRESH_TOKEN) && { refreshToken: response.refresh_token }),
        tokens: readRefreshedTokens(response),
        ...(idToken !== undefined && { idToken }),
      }
    },
  }

  async function request(rule: RetryRule, parameters: Record<string, string>): Promise<JsonObject> {
    const response = await calls.post('token', rule, accepted().token_endpoint, parameters)
    return calls.read('token', response, parameters.grant_type === 'refresh_token')
  }

  /** Without a jwks_uri nothing was asked of OpenID Connect, and an id_token means nothing here. */
  function isOpenIdConnect(): boolean {
    return provider.idToken === 'check' && accepted().jwks_uri !== undefined
  }

  /** Where no nonce was sent, it is the scope that has asked for one. */
  function isIdTokenRequired(login: ExpectedLogin): boolean {
    return (
      Object.values(login).some((value) => value !== undefined) || (!provider.nonce && hasOpenId(provider))
    )
  }

  function read(response: JsonObject, isRenewable: boolean): ProviderTokens {
    const expiresInSeconds = tokenSeconds(response.expires_in, isRenewable, provider)
    return { ...readTokens(response, relaysTokens), expiresInSeconds }
  }

  function readRefreshedTokens(response: JsonObject): ProviderRefresh['tokens'] {
    try {
      return read(response, true)
    } catch (error) {
      if (error instanceof ProviderError) return error
      throw error
    }
  }

  /** Tokens that are refused here exist at the provider all the same (F-15). */
  function takeBack({ access_token, refresh_token }: JsonObject): void {
    if (!matches(access_token, ACCESS_TOKEN)) return
    revoke({
      accessToken: access_token,
      ...(matches(refresh_token, REFRESH_TOKEN) && { refreshToken: refresh_token }),
    })
  }
}

/**
 * Checks a token response (RFC 6749 §5.1): an access token that fits in a header, type `Bearer` (a missing type
 * means that), every other member of its type. `scope` as a list is what real providers send (F-15).
 *
 * @param relayed the app will get the access token itself, and must be able to present it to us.
 * @throws ProviderError `provider_answer_invalid`, naming the member.
 */
function readTokens(body: JsonObject, relayed: boolean): Omit<ProviderTokens, 'expiresInSeconds'> {
  const { access_token, token_type = 'Bearer', refresh_token, scope } = body
  if (!matches(access_token, ACCESS_TOKEN) || (relayed && !isBearerToken(access_token))) {
    throw invalid('access_token')
  }
  // Any other type (`mac`, `DPoP`) needs a proof with each use that we do not make.
  if (!matches(token_type, /^bearer$/i)) throw invalid('token_type')
  if (refresh_token !== undefined && !matches(refresh_token, REFRESH_TOKEN)) throw invalid('refresh_token')
  return {
    accessToken: access_token,
    tokenType: token_type,
    ...(refresh_token !== undefined && { refreshToken: refresh_token }),
    ...(scope !== undefined && { scope: readScope(scope) }),
  }
}

function readIdToken(idToken: unknown): string | undefined {
  if (idToken === undefined || typeof idToken === 'string') return idToken
  throw invalid('id_token')
}

/** As text (RFC 6749 §3.3), or as a list; `null` in a list is nothing. */
function readScope(scope: unknown): string[] {
  const values = [scope].flat().filter((value) => value !== null)
  if (!values.every((value) => typeof value === 'string' || typeof value === 'number')) throw invalid('scope')
  return values.join(' ').split(' ').filter(Boolean)
}

function matches(value: unknown, pattern: RegExp): value is string {
  return typeof value === 'string' && pattern.test(value)
}

function invalid(member: string): ProviderError {
  return new ProviderError('provider_answer_invalid', 'token', { cause: new Error(member) })
}
