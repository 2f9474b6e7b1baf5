import { formatScope, grantScope } from './access/scope.ts'
import { BEARER_TOKEN_MAX } from './bearer.ts'
import type { RegisteredClient } from './client.ts'
import { clientParameters } from './client-authentication.ts'
import { OAuthError } from './errors.ts'
import type { FormParameters } from './form.ts'
import { isCodeVerifier } from './pkce.ts'

/** The grant types of the token endpoint. */
export type GrantType = 'authorization_code' | 'refresh_token'

/** All that a token request's reader looks at; everything else in it is ignored (RFC 6749 §3.2, requirements C-05). */
export const tokenRequestParameters = [
  ...clientParameters,
  'grant_type',
  'code',
  'redirect_uri',
  'code_verifier',
  'refresh_token',
  'scope',
] as const
/** The parameters of a token request. */
export type TokenRequestParameters = FormParameters<(typeof tokenRequestParameters)[number]>

/** The same for a revocation or introspection request; the hint is not needed (RFC 7009 §2.1, RFC 7662 §2.1). */
export const tokenParameters = [...clientParameters, 'token'] as const

/** Our handles have 68 characters; what is longer than this cannot be one and is not hashed. */
const MAX_HANDLE_LENGTH = 512

/**
 * The grant type of a token request.
 *
 * @throws OAuthError `grant_type_missing`, `grant_type_unsupported`.
 * Source: RFC 6749 §5.2.
 */
export function parseGrantType(parameters: TokenRequestParameters): GrantType {
  const grantType = parameters.grant_type
  if (grantType === undefined) throw new OAuthError('grant_type_missing')
  if (grantType !== 'authorization_code' && grantType !== 'refresh_token') {
    throw new OAuthError('grant_type_unsupported')
  }
  return grantType
}

/**
 * The parameters of an authorization code grant, by their syntax. Nothing has been looked up yet, so a malformed
 * request leaves the code usable.
 *
 * @throws OAuthError `verifier_malformed`, `code_missing`: both 400 `invalid_request`.
 * Source: RFC 6749 §4.1.3, RFC 7636 §4.5.
 */
export function parseAuthorizationCodeRequest(parameters: TokenRequestParameters): {
  code: string
  /** Undefined if it was left out, as OAuth 2.1 clients do: the verifier binds the code (draft-ietf-oauth-v2-1 §10.2). */
  redirectUri: string | undefined
  codeVerifier: string
} {
  const { code, redirect_uri, code_verifier } = parameters
  if (code_verifier === undefined || !isCodeVerifier(code_verifier)) {
    throw new OAuthError('verifier_malformed')
  }
  if (code === undefined || code.length > MAX_HANDLE_LENGTH) throw new OAuthError('code_missing')
  return { code, redirectUri: redirect_uri, codeVerifier: code_verifier }
}

/**
 * The parameters of a refresh grant, by their syntax. The scope is checked against the grant, by `narrowScope`.
 *
 * @throws OAuthError `refresh_token_missing`.
 * Source: RFC 6749 §6.
 */
export function parseRefreshRequest(parameters: TokenRequestParameters): {
  refreshToken: string
  scope: string | undefined
} {
  const { refresh_token, scope } = parameters
  if (refresh_token === undefined || refresh_token.length > MAX_HANDLE_LENGTH) {
    throw new OAuthError('refresh_token_missing')
  }
  return { refreshToken: refresh_token, scope }
}

/**
 * Refuses a `scope` that the client may not have, before its code or refresh token is touched.
 *
 * @throws OAuthError `scope_not_allowed`.
 * Source: RFC 6749 §5.2.
 */
export function assertScopeAllowed(parameters: TokenRequestParameters, client: RegisteredClient): void {
  grantScope(parameters.scope, client.scopes)
}

/**
 * The `token` of a revocation or introspection request.
 *
 * @throws OAuthError `token_missing`.
 * Source: RFC 7009 §2.1, RFC 7662 §2.1.
 */
export function parseTokenParameter(parameters: FormParameters<(typeof tokenParameters)[number]>): string {
  const { token } = parameters
  if (token === undefined || token.length > BEARER_TOKEN_MAX) throw new OAuthError('token_missing')
  return token
}

/** The body of a successful token response, in the names of the wire. */
export interface TokenResponse {
  readonly access_token: string
  readonly token_type: string
  /** Whole seconds from now. */
  readonly expires_in: number
  /** Absent, never null, when there is none. */
  readonly refresh_token?: string
  readonly scope: string
}

/**
 * The body of a successful token response.
 *
 * Source: RFC 6749 §5.1. `scope` is always there, so that no client has to guess what it was given.
 */
export function tokenResponse(issued: {
  accessToken: string
  tokenType: string
  expiresInSeconds: number
  refreshToken?: string | undefined
  scope: readonly string[]
}): TokenResponse {
  return {
    access_token: issued.accessToken,
    token_type: issued.tokenType,
    // Rounded down: a client that trusts a second too many meets a 401.
    expires_in: Math.max(0, Math.floor(issued.expiresInSeconds)),
    ...(issued.refreshToken !== undefined && { refresh_token: issued.refreshToken }),
    scope: formatScope(issued.scope),
  }
}
