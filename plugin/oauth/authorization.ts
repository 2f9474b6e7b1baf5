import type { RegisteredClient } from '../options/resolved.ts'
import { OAuthError, type Reason } from './errors.ts'
import type { FormParameters } from './form.ts'
import { selectPassThrough } from './pass-through.ts'
import { isCodeChallenge } from './pkce.ts'
import { appendToRedirectUri, redirectUriMatches } from './redirect-uri.ts'
import { grantScope } from './scope.ts'

declare const verified: unique symbol

/** An authorization request that has passed every check. Only `validateAuthorizationRequest` makes one. */
export interface VerifiedAuthorizationRequest {
  readonly [verified]: true
  readonly client: RegisteredClient
  /** As sent: for a loopback redirect, with the port of this request. */
  readonly redirectUri: string
  /** S256, 43 characters. */
  readonly codeChallenge: string
  /** The app's own, to be returned byte for byte. */
  readonly state: string | undefined
  /** Granted scopes of ours. */
  readonly scope: readonly string[]
  /** Those of `scope` that the provider is asked for as well. */
  readonly providerScope: readonly string[]
  /** Parameters for the provider, from the client's list, their values checked. */
  readonly passThrough: Readonly<Record<string, string>>
  /** `max_age`, if it is passed through. */
  readonly maxAgeSeconds: number | undefined
}

type ResponseTarget = Pick<VerifiedAuthorizationRequest, 'client' | 'redirectUri' | 'state'>

/**
 * A refusal that the app is told about at its redirect URI.
 *
 * The target is private, because loggers copy the enumerable properties of an error and this one holds the app's
 * state and the registered client, secret included. Source: RFC 6749 §4.1.2.1.
 */
export class AuthorizationResponseError extends OAuthError {
  readonly #target: ResponseTarget

  constructor(reason: Reason, target: ResponseTarget) {
    super(reason)
    this.#target = target
  }

  get client(): RegisteredClient {
    return this.#target.client
  }

  get redirectUri(): string {
    return this.#target.redirectUri
  }

  /** Undefined also where it was malformed, so that it is never echoed. */
  get state(): string | undefined {
    return this.#target.state
  }
}

const STATE = /^[\x20-\x7e]{1,512}$/

/**
 * Checks an authorization request, in the one order that is safe: client, redirect URI, everything else.
 *
 * @param parameters the parsed query; a repeated parameter has been refused there.
 * @throws OAuthError `authorize_client_unknown`, `redirect_uri_mismatch`: answer locally, never redirect.
 * @throws AuthorizationResponseError all others: answer at its `redirectUri`.
 * Source: RFC 6749 §4.1.1, §4.1.2.1; RFC 7636 §4.3, §4.4.1; RFC 9700 §2.1.
 */
export function validateAuthorizationRequest(
  parameters: FormParameters,
  clients: ReadonlyMap<string, RegisteredClient>,
): VerifiedAuthorizationRequest {
  const client = clients.get(parameters.client_id ?? '')
  if (client === undefined || !client.enabled) throw new OAuthError('authorize_client_unknown')

  const redirectUri = parameters.redirect_uri
  if (redirectUri === undefined || !client.redirectUris.some((uri) => redirectUriMatches(uri, redirectUri))) {
    throw new OAuthError('redirect_uri_mismatch')
  }

  // Whatever is refused first, the app needs its state to tell which of its requests failed.
  const stateIsValid = parameters.state === undefined || STATE.test(parameters.state)
  const state = stateIsValid ? parameters.state : undefined
  try {
    assertResponseType(parameters)
    assertNoRequestObject(parameters)
    const codeChallenge = requireCodeChallenge(parameters)
    const scope = grantScope(parameters.scope, client.scopes)
    if (!stateIsValid) throw new OAuthError('state_malformed')
    const passThrough = selectPassThrough(parameters, client)
    const { max_age } = passThrough

    const request: Omit<VerifiedAuthorizationRequest, typeof verified> = {
      client,
      redirectUri,
      codeChallenge,
      state,
      scope,
      providerScope: scope.filter((token) => client.providerScopes.includes(token)),
      passThrough,
      maxAgeSeconds: max_age === undefined ? undefined : Number(max_age),
    }
    return request as VerifiedAuthorizationRequest
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    throw new AuthorizationResponseError(error.reason, { client, redirectUri, state })
  }
}

function assertResponseType(parameters: FormParameters): void {
  if (parameters.response_type === undefined) throw new OAuthError('response_type_missing')
  if (parameters.response_type !== 'code') throw new OAuthError('response_type_unsupported')
  if ((parameters.response_mode ?? 'query') !== 'query') throw new OAuthError('response_mode_unsupported')
}

/** Ignoring these would run a request other than the one that the app signed or pushed (OIDC Core §6). */
function assertNoRequestObject(parameters: FormParameters): void {
  if (parameters.request !== undefined) throw new OAuthError('request_object_unsupported')
  if (parameters.request_uri !== undefined) throw new OAuthError('request_uri_unsupported')
  if (parameters.registration !== undefined || parameters.claims !== undefined) {
    throw new OAuthError('registration_unsupported')
  }
}

function requireCodeChallenge(parameters: FormParameters): string {
  if (parameters.code_challenge === undefined) throw new OAuthError('challenge_missing')
  // An absent method means `plain` (RFC 7636 §4.3), which proves nothing to whoever saw the request.
  if (parameters.code_challenge_method !== 'S256') throw new OAuthError('challenge_method_unsupported')
  if (!isCodeChallenge(parameters.code_challenge)) throw new OAuthError('challenge_malformed')
  return parameters.code_challenge
}

/** What the app is told at its redirect URI, in the names of the wire. `iss` is our issuer (RFC 9207 §2). */
export type AuthorizationResponseParameters = { state: string | undefined; iss: string } & (
  | { code: string }
  | { error: string; error_description?: string }
)

/**
 * The URL that carries an authorization response to the app.
 *
 * @param redirectUri as stored with the grant, never as received at the callback.
 * Source: RFC 6749 §4.1.2, §4.1.2.1, RFC 9207 §2.
 */
export function authorizationResponse(
  redirectUri: string,
  response: AuthorizationResponseParameters,
): string {
  const { state, iss, ...outcome } = response
  return appendToRedirectUri(redirectUri, { ...outcome, state, iss })
}
