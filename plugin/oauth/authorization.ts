import { isThumbprint } from './access/dpop-key.ts'
import { type Resources, requestedResources } from './access/resource.ts'
import { grantScope } from './access/scope.ts'
import type { RegisteredClient } from './client.ts'
import { OAuthError } from './errors.ts'
import { type FormParameters, formatForm, formValues, parseForm } from './form.ts'
import { isCodeChallenge } from './pkce.ts'
import { appendToRedirectUri, redirectUriMatches } from './redirect-uri.ts'

declare const verified: unique symbol

/** An authorization request that has passed every check. Only this file makes one. */
export interface VerifiedAuthorizationRequest {
  readonly [verified]: true
  readonly client: RegisteredClient
  /** As sent: for a loopback redirect, with the port of this request. */
  readonly redirectUri: string
  /** S256, 43 characters. */
  readonly codeChallenge: string
  /** Thumbprint of the key that the code is to be bound to (RFC 9449 §10); undefined: to none. */
  readonly dpopJkt: string | undefined
  /** The app's own, to be returned byte for byte. */
  readonly state: string | undefined
  /** Granted scopes of ours. */
  readonly scope: readonly string[]
  /** Those of `scope` that the provider is asked for as well. */
  readonly providerScope: readonly string[]
  /** What the tokens are for (RFC 8707). Undefined: every resource that the scopes allow. */
  readonly resources: readonly string[] | undefined
  /** The provider that the app has named, where it has. Nothing is known of it. */
  readonly identityProvider: string | undefined
  /** The languages that the app asks our pages to be in (OIDC Core §3.1.2.1). Nothing is known of it. */
  readonly uiLocales: string | undefined
  /** Parameters for the provider, from the client's list, their values checked. */
  readonly passThrough: Readonly<Record<string, string>>
}

const PASS_THROUGH_SYNTAX: ReadonlyMap<string, RegExp> = new Map([
  ['prompt', /^(?:login|consent|select_account|create)(?: (?:login|consent|select_account|create)){0,3}$/],
  ['login_hint', /^.{1,256}$/u],
  ['ui_locales', /^[A-Za-z0-9 -]{1,256}$/],
  ['max_age', /^[0-9]{1,9}$/],
  ['acr_values', /^[\x20-\x7e]{1,512}$/],
])

/** What `clients[].passThrough` may list (OIDC Core §3.1.2.1). */
export const passThroughNames: readonly string[] = [...PASS_THROUGH_SYNTAX.keys()]

/** VSCHAR (RFC 6749 A.5). Its length is limited by the URL's alone: apps keep what they like in it. */
const STATE = /^[\x20-\x7e]+$/

/** What is read of every authorization request; those on a client's `passThrough` list are read besides. */
const REQUEST_PARAMETERS = [
  'client_id',
  'redirect_uri',
  'response_type',
  'response_mode',
  'code_challenge',
  'code_challenge_method',
  'dpop_jkt',
  'scope',
  'state',
  'identity_provider',
  'ui_locales',
  'prompt',
  'request',
  'request_uri',
  'registration',
  'claims',
] as const
/** As many characters as a URL may have, so that nobody can have more kept by pushing it. */
const PUSHED_MAX = 8192
type RequestParameters = FormParameters<(typeof REQUEST_PARAMETERS)[number]>

/**
 * Checks an authorization request, in the one order that is safe: client, redirect URI, everything else.
 *
 * @param query raw, without its question mark. @param client whom it names: `requireClient` has found it.
 * @throws OAuthError `redirect_uri_mismatch` and those of `parseForm`: respond here, never redirect. All others have a `redirectTo`: respond there.
 * Source: RFC 6749 §4.1.1, §4.1.2.1; RFC 7636 §4.3, §4.4.1; RFC 9700 §2.1.
 */
export function validateAuthorizationRequest(
  query: string,
  client: RegisteredClient,
  resources: Resources,
): VerifiedAuthorizationRequest {
  const parameters = parseForm(query, REQUEST_PARAMETERS)
  return validate(client, { parameters, text: query, mustBePushed: client.requirePar }, resources)
}

/**
 * Checks an authorization request that has been pushed, or was pushed before, in the same order.
 *
 * @param form raw, or as `formatPushedRequest` has it. @param client who has pushed it.
 * @throws OAuthError `request_uri_pushed`, and those of `validateAuthorizationRequest`.
 * Source: RFC 9126 §2.1.
 */
export function validatePushedRequest(
  form: string,
  client: RegisteredClient,
  resources: Resources,
): VerifiedAuthorizationRequest {
  const parameters = parseForm(form, REQUEST_PARAMETERS)
  if (parameters.request_uri !== undefined) throw new OAuthError('request_uri_pushed')
  return validate(client, { parameters, text: form, mustBePushed: false }, resources)
}

/**
 * What counts of a pushed request, as a form again: without the client's secret, and without what nobody reads.
 *
 * @param jkt of the key that was proved when it was pushed: the same as `dpop_jkt` (RFC 9449 §10.1).
 * @throws OAuthError `dpop_proof_key` where there is another `dpop_jkt`.
 * @throws OAuthError `body_too_large` where it would not fit into a URL of ours.
 */
export function formatPushedRequest(form: string, client: RegisteredClient, jkt?: string): string {
  const own = parseForm(form, REQUEST_PARAMETERS)
  const { dpop_jkt = jkt } = own
  if (jkt !== undefined && dpop_jkt !== jkt) throw new OAuthError('dpop_proof_key')
  const parameters = { ...own, ...parseForm(form, client.passThrough), dpop_jkt }
  const resources = formValues(form, 'resource').map((resource) => formatForm({ resource }))
  const formatted = [formatForm(parameters), ...resources].join('&')
  if (formatted.length > PUSHED_MAX) throw new OAuthError('body_too_large')
  return formatted
}

/**
 * The client that an authorization request names.
 *
 * @param client as it was found; undefined: it was not. @throws OAuthError `authorize_client_unknown`.
 */
export function requireClient(client: RegisteredClient | undefined): RegisteredClient {
  if (client === undefined || !client.enabled) throw new OAuthError('authorize_client_unknown')
  return client
}

interface ReceivedRequest {
  readonly parameters: RequestParameters
  /** What they were read from. */
  readonly text: string
  readonly mustBePushed: boolean
}

function validate(
  client: RegisteredClient,
  { parameters, text, mustBePushed }: ReceivedRequest,
  known: Resources,
): VerifiedAuthorizationRequest {
  const redirectUri = parameters.redirect_uri
  if (redirectUri === undefined || !client.redirectUris.some((uri) => redirectUriMatches(uri, redirectUri))) {
    throw new OAuthError('redirect_uri_mismatch')
  }

  const forProvider = parseForm(text, client.passThrough)

  // Whatever is refused first, the app needs its state to tell which of its requests failed.
  const stateIsValid = parameters.state === undefined || STATE.test(parameters.state)
  const state = stateIsValid ? parameters.state : undefined
  try {
    if (mustBePushed) throw new OAuthError('par_required')
    assertResponseType(parameters)
    assertNoRequestObject(parameters)
    const codeChallenge = requireCodeChallenge(parameters)
    const dpopJkt = client.dpop === 'off' ? undefined : parameters.dpop_jkt
    if (dpopJkt !== undefined && !isThumbprint(dpopJkt)) throw new OAuthError('dpop_jkt_malformed')
    const scope = grantScope(parameters.scope, client.scopes)
    const resources = requestedResources(text, known)
    if (!stateIsValid) throw new OAuthError('state_malformed')
    // The provider sees one client for all apps: a silent login for one could ride on consent given to another.
    if (parameters.prompt?.split(' ').includes('none')) throw new OAuthError('prompt_none')

    const request: Omit<VerifiedAuthorizationRequest, typeof verified> = {
      client,
      redirectUri,
      codeChallenge,
      dpopJkt,
      state,
      scope,
      resources,
      identityProvider: parameters.identity_provider || undefined,
      uiLocales: parameters.ui_locales,
      providerScope: scope.filter((token) => client.providerScopes.includes(token)),
      passThrough: checkPassThrough(forProvider),
    }
    return request as VerifiedAuthorizationRequest
  } catch (error) {
    if (!(error instanceof OAuthError)) throw error
    throw new OAuthError(error.reason, { redirectTo: { client, redirectUri, state } })
  }
}

function assertResponseType(parameters: RequestParameters): void {
  if (parameters.response_type === undefined) throw new OAuthError('response_type_missing')
  if (parameters.response_type !== 'code') throw new OAuthError('response_type_unsupported')
  if ((parameters.response_mode ?? 'query') !== 'query') throw new OAuthError('response_mode_unsupported')
}

/** Ignoring these would run a request other than the one that the app signed or pushed (OIDC Core §6). */
function assertNoRequestObject(parameters: RequestParameters): void {
  if (parameters.request !== undefined) throw new OAuthError('request_object_unsupported')
  if (parameters.request_uri !== undefined) throw new OAuthError('request_uri_unsupported')
  if (parameters.registration !== undefined || parameters.claims !== undefined) {
    throw new OAuthError('registration_unsupported')
  }
}

function requireCodeChallenge(parameters: RequestParameters): string {
  if (parameters.code_challenge === undefined) throw new OAuthError('challenge_missing')
  // An absent method means `plain` (RFC 7636 §4.3), which proves nothing to whoever saw the request.
  if (parameters.code_challenge_method !== 'S256') throw new OAuthError('challenge_method_unsupported')
  if (!isCodeChallenge(parameters.code_challenge)) throw new OAuthError('challenge_malformed')
  return parameters.code_challenge
}

/**
 * The parameters that an app has sent for the provider, each value checked.
 *
 * @param parameters those on the client's list, and no others.
 * @throws OAuthError `parameter_invalid` for a value that is not as it should be.
 */
function checkPassThrough(parameters: FormParameters): Record<string, string> {
  const checked: Record<string, string> = {}
  for (const [name, value] of Object.entries(parameters)) {
    if (value === undefined) continue
    if (!PASS_THROUGH_SYNTAX.get(name)!.test(value)) throw new OAuthError('parameter_invalid')
    checked[name] = value
  }
  return checked
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
