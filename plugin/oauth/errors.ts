/**
 * Every way to fail, and its one response on the wire.
 *
 * A `reason` says what happened, for operators; its response says what the client is told: a status, an RFC error
 * code and a constant description. Many reasons share one response on purpose (RFC 6749 §10.10): a caller must
 * not learn which of its guesses was right. A reason without a response does not compile.
 */
import type { RegisteredClient } from './client.ts'

interface ErrorResponse {
  readonly status: number
  readonly error: string
  readonly description: string
}

const INVALID_GRANT: ErrorResponse = {
  status: 400,
  error: 'invalid_grant',
  description: 'The grant is invalid, expired, revoked or was issued to another client.',
}
const INVALID_CLIENT: ErrorResponse = {
  status: 401,
  error: 'invalid_client',
  description: 'Client authentication failed.',
}
const INVALID_TOKEN: ErrorResponse = {
  status: 401,
  error: 'invalid_token',
  description: 'The access token is unknown, expired or revoked.',
}
const UNAVAILABLE: ErrorResponse = {
  status: 503,
  error: 'temporarily_unavailable',
  description: 'The service is temporarily unavailable. Try again later.',
}
const BAD_GATEWAY: ErrorResponse = {
  status: 502,
  error: 'server_error',
  description: 'The identity provider answered with something that cannot be used.',
}
const PAGE_EXPIRED: ErrorResponse = {
  status: 400,
  error: 'invalid_request',
  description:
    'This sign-in link is unknown, expired or already used. If the app is not signed in, start again there.',
}
const CLIENT_DOCUMENT: ErrorResponse = {
  status: 400,
  error: 'invalid_client',
  description: "What is at the app's client_id address is no description that can be used here.",
}
const INVALID_CLIENT_METADATA: ErrorResponse = {
  status: 400,
  error: 'invalid_client_metadata',
  description: 'The client metadata must be a JSON object, with client_name as text if it is there.',
}
const INVALID_REQUEST_URI: ErrorResponse = {
  status: 400,
  error: 'invalid_request_uri',
  description: 'This sign-in link is unknown, expired or already used. Return to the app and start again.',
}
const INVALID_DPOP_PROOF: ErrorResponse = {
  status: 400,
  error: 'invalid_dpop_proof',
  description: 'The DPoP proof is missing or cannot be accepted.',
}
const invalidRequest = (description: string): ErrorResponse => ({
  status: 400,
  error: 'invalid_request',
  description,
})

const responses = {
  // Syntax, before any state is touched
  method_not_allowed: {
    status: 405,
    error: 'invalid_request',
    description: 'The method is not allowed here.',
  },
  media_type: invalidRequest('The body must be application/x-www-form-urlencoded in UTF-8.'),
  content_encoding: {
    status: 415,
    error: 'invalid_request',
    description: 'Content-Encoding is not accepted.',
  },
  body_timeout: { status: 408, error: 'invalid_request', description: 'The body did not arrive in time.' },
  body_too_large: { status: 413, error: 'invalid_request', description: 'The body is too large.' },
  form_malformed: invalidRequest('The parameters are not valid application/x-www-form-urlencoded UTF-8.'),
  parameter_repeated: invalidRequest('A parameter is repeated.'),
  parameters_too_many: invalidRequest('There are too many parameters.'),
  parameter_invalid: invalidRequest('A parameter is missing or malformed.'),
  parameters_in_url: invalidRequest('Parameters must be in the body, not in the URL.'),
  request_malformed: invalidRequest('The request is malformed.'),
  url_too_long: { status: 414, error: 'invalid_request', description: 'The URL is too long.' },
  rate_limited: {
    status: 429,
    error: 'temporarily_unavailable',
    description: 'Too many requests. Try again later.',
  },

  overloaded: UNAVAILABLE,

  // Client
  client_unknown: INVALID_CLIENT,
  client_disabled: INVALID_CLIENT,
  client_credentials_missing: INVALID_CLIENT,
  client_credentials_wrong: INVALID_CLIENT,
  client_credentials_malformed: INVALID_CLIENT,
  client_method_not_registered: INVALID_CLIENT,
  client_methods_several: invalidRequest('The client authenticated in more than one way.'),

  // Apps that nobody registered
  client_document_address: {
    status: 400,
    error: 'invalid_client',
    description: 'The client_id is no address at which the description of an app may be here.',
  },
  client_document_unavailable: {
    status: 400,
    error: 'invalid_client',
    description:
      "The app's description could not be fetched from its client_id address. Try again in a minute.",
  },
  client_document_busy: {
    status: 429,
    error: 'temporarily_unavailable',
    description: 'Too many descriptions of apps are being fetched. Try again later.',
  },
  client_document_invalid: CLIENT_DOCUMENT,
  client_document_redirect_uri: {
    status: 400,
    error: 'invalid_client',
    description:
      "The app's description has no redirect_uris, or one that is neither https, nor http on loopback, nor of a scheme with a dot.",
  },
  client_document_method: {
    status: 400,
    error: 'invalid_client',
    description:
      "The app's description asks for what is not supported: only token_endpoint_auth_method none, authorization_code and code are.",
  },
  client_metadata_malformed: INVALID_CLIENT_METADATA,
  client_metadata_redirect_uri: {
    status: 400,
    error: 'invalid_redirect_uri',
    description:
      'redirect_uris must be 1 to 10 addresses, each https, http on 127.0.0.1, [::1] or localhost, or of a scheme with a dot.',
  },
  client_metadata_unsupported: {
    status: 400,
    error: 'invalid_client_metadata',
    description: 'Only grant_types with authorization_code and response_types with code are supported.',
  },
  registrations_full: UNAVAILABLE,
  registration_token_invalid: {
    status: 401,
    error: 'invalid_token',
    description: 'The registration access token is not valid for this client.',
  },
  consent_denied: { status: 400, error: 'access_denied', description: 'The person has not allowed it.' },
  consent_elsewhere: PAGE_EXPIRED,

  // Authorization endpoint
  authorize_client_unknown: invalidRequest('The client is not known here.'),
  redirect_uri_mismatch: invalidRequest('The redirect URI is not registered for this client.'),
  response_type_missing: invalidRequest('response_type is missing.'),
  response_type_unsupported: {
    status: 400,
    error: 'unsupported_response_type',
    description: 'Only response_type=code is supported.',
  },
  response_mode_unsupported: invalidRequest('Only response_mode=query is supported.'),
  challenge_missing: invalidRequest('code_challenge is required.'),
  challenge_malformed: invalidRequest('code_challenge must be 43 base64url characters.'),
  challenge_method_unsupported: invalidRequest('code_challenge_method must be S256.'),
  scope_not_allowed: {
    status: 400,
    error: 'invalid_scope',
    description: 'A requested scope is malformed or not allowed for this client.',
  },
  resource_unknown: {
    status: 400,
    error: 'invalid_target',
    description: 'A requested resource is not known here.',
  },
  resource_not_granted: {
    status: 400,
    error: 'invalid_target',
    description: 'A requested resource was not granted.',
  },
  state_malformed: invalidRequest('state must be printable ASCII characters.'),
  request_object_unsupported: {
    status: 400,
    error: 'request_not_supported',
    description: 'request is not supported.',
  },
  request_uri_unsupported: {
    status: 400,
    error: 'request_uri_not_supported',
    description: 'request_uri is not supported.',
  },
  request_uri_pushed: invalidRequest('request_uri must not be pushed.'),
  par_required: invalidRequest('This client must push its authorization requests.'),
  pushed_request_unknown: INVALID_REQUEST_URI,
  pushed_request_used: INVALID_REQUEST_URI,
  dpop_jkt_malformed: invalidRequest('dpop_jkt must be 43 base64url characters.'),
  registration_unsupported: invalidRequest('registration and claims are not supported.'),
  identity_provider_unknown: invalidRequest('identity_provider is none of those of this client.'),
  prompt_none: { status: 400, error: 'login_required', description: 'prompt=none is not supported.' },
  prefetch_refused: {
    status: 503,
    error: 'temporarily_unavailable',
    description: 'A sign-in takes a visit, not a prefetch.',
  },
  transactions_per_address: {
    status: 429,
    error: 'temporarily_unavailable',
    description: 'Too many sign-ins are under way from this address. Try again later.',
  },
  transactions_full: UNAVAILABLE,

  // Callback
  callback_malformed: PAGE_EXPIRED,
  state_unknown: PAGE_EXPIRED,
  state_used: PAGE_EXPIRED,
  transaction_sealed: PAGE_EXPIRED,
  browser_mismatch: {
    status: 400,
    error: 'invalid_request',
    description: 'This sign-in was started in another browser. Return to the app and start again.',
  },
  issuer_mismatch: PAGE_EXPIRED,
  client_gone: PAGE_EXPIRED,

  // Token endpoint
  grant_type_missing: invalidRequest('grant_type is missing.'),
  grant_type_unsupported: {
    status: 400,
    error: 'unsupported_grant_type',
    description: 'Only authorization_code and refresh_token are supported.',
  },
  verifier_malformed: invalidRequest('code_verifier must be 43 to 128 unreserved characters.'),
  code_missing: invalidRequest('code is missing or too long.'),
  refresh_token_missing: invalidRequest('refresh_token is missing or too long.'),
  token_missing: invalidRequest('token is missing or too long.'),
  code_unknown: INVALID_GRANT,
  code_client_mismatch: INVALID_GRANT,
  code_redirect_uri_mismatch: INVALID_GRANT,
  code_expired: INVALID_GRANT,
  code_verifier_mismatch: INVALID_GRANT,
  code_key_mismatch: INVALID_GRANT,
  code_in_use: INVALID_GRANT,
  code_busy: UNAVAILABLE,
  code_replayed: INVALID_GRANT,
  refresh_unknown: INVALID_GRANT,
  refresh_client_mismatch: INVALID_GRANT,
  refresh_expired: INVALID_GRANT,
  refresh_key_mismatch: INVALID_GRANT,
  refresh_reused: INVALID_GRANT,
  refresh_busy: UNAVAILABLE,
  refresh_overtaken: UNAVAILABLE,
  grant_ended: INVALID_GRANT,
  grant_unreadable: INVALID_GRANT,

  // DPoP proofs (RFC 9449): 400 from an endpoint, 401 from a resource
  dpop_proof_missing: INVALID_DPOP_PROOF,
  dpop_proof_repeated: INVALID_DPOP_PROOF,
  dpop_proof_malformed: INVALID_DPOP_PROOF,
  dpop_proof_key: INVALID_DPOP_PROOF,
  dpop_proof_target: INVALID_DPOP_PROOF,
  dpop_proof_token: INVALID_DPOP_PROOF,
  dpop_proof_time: INVALID_DPOP_PROOF,
  dpop_proof_signature: INVALID_DPOP_PROOF,
  dpop_proof_replayed: INVALID_DPOP_PROOF,
  dpop_nonce: {
    status: 400,
    error: 'use_dpop_nonce',
    description: 'The DPoP proof needs the nonce of DPoP-Nonce.',
  },
  dpop_proofs_full: UNAVAILABLE,

  // Provider
  provider_not_ready: UNAVAILABLE,
  provider_unavailable: UNAVAILABLE,
  provider_refused_grant: INVALID_GRANT,
  provider_refused_client: BAD_GATEWAY,
  provider_answer_invalid: BAD_GATEWAY,
  provider_id_token_invalid: BAD_GATEWAY,
  provider_subject_mismatch: BAD_GATEWAY,

  // The team's own word (`onLogin`)
  login_denied: { status: 400, error: 'access_denied', description: 'The login is not allowed.' },
  login_undecided: { status: 502, error: 'server_error', description: 'The login could not be decided.' },

  // Store
  store_unavailable: UNAVAILABLE,
  commit_failed: UNAVAILABLE,

  // Protected resources (RFC 6750 §3.1)
  token_absent: { status: 401, error: '', description: 'An access token is required.' },
  token_malformed: {
    status: 400,
    error: 'invalid_request',
    description: 'Send exactly one Authorization header with one bearer token.',
  },
  token_in_query: {
    status: 400,
    error: 'invalid_request',
    description: 'Access tokens are not accepted in the URL.',
  },
  token_unknown: INVALID_TOKEN,
  token_expired: INVALID_TOKEN,
  token_client_disabled: INVALID_TOKEN,
  token_sealed: INVALID_TOKEN,
  token_bound: {
    status: 401,
    error: 'invalid_token',
    description: 'The access token is bound to a key: send it as DPoP, with a proof.',
  },
  token_not_bound: {
    status: 401,
    error: 'invalid_token',
    description: 'The access token is bound to no key: send it as Bearer.',
  },
  token_subject_mismatch: INVALID_TOKEN,
  token_resource_mismatch: {
    status: 401,
    error: 'invalid_token',
    description: 'The access token is for other resources.',
  },
  authentication_too_weak: {
    status: 401,
    error: 'insufficient_user_authentication',
    description: 'A different authentication level is required.',
  },
  authentication_too_old: {
    status: 401,
    error: 'insufficient_user_authentication',
    description: 'More recent authentication is required.',
  },
  scope_insufficient: {
    status: 403,
    error: 'insufficient_scope',
    description: 'The access token lacks a required scope.',
  },

  session_unknown: { status: 404, error: 'invalid_request', description: 'There is no such session.' },
  logout_token_invalid: invalidRequest('The logout token cannot be accepted.'),
  logout_token_replayed: invalidRequest('The logout token cannot be accepted.'),

  internal: { status: 500, error: 'server_error', description: 'An internal error occurred.' },
} as const satisfies Record<string, ErrorResponse>

/** What happened, for the log and the audit trail. No client is sent it; a page may show developers one that `isDistinct`. */
export type Reason = keyof typeof responses
/** All of them, in the order of a login. */
export const reasons = Object.keys(responses) as readonly Reason[]

/**
 * True if no other reason has the same description: who is told the one, knows the other. Several share one on purpose, so
 * that nobody learns which of his guesses was right (RFC 6749 §10.10).
 */
export function isDistinct(reason: Reason): boolean {
  const { description } = responses[reason]
  return reasons.every((other) => other === reason || responses[other].description !== description)
}

/** Where a reason is explained, for whoever reads a log line. Undefined for what is none of ours. */
export function helpFor(reason: unknown): string | undefined {
  const isOurs = typeof reason === 'string' && Object.hasOwn(responses, reason)
  return isOurs
    ? `https://github.com/fastify-pkce/fastify-pkce/blob/main/docs/errors.md#${reason}`
    : undefined
}

/** Where an authorization endpoint's error goes: to an app whose redirect URI has been proved (RFC 6749 §4.1.2.1). */
export interface AuthorizationErrorTarget {
  readonly client: RegisteredClient
  readonly redirectUri: string
  /** The app's own. Undefined also where it was malformed, so that it is never echoed. */
  readonly state: string | undefined
}

/**
 * A response in the 4xx or 5xx range, made from its reason alone.
 *
 * `error` is the RFC code, `message` a constant description that is safe to send; evidence stays in `cause`.
 * Source: RFC 6749 §4.1.2.1 and §5.2, RFC 6750 §3.1.
 */
export class OAuthError extends Error {
  override readonly name = 'OAuthError'
  readonly code = 'PKCE_OAUTH'
  readonly reason: Reason
  readonly statusCode: number
  readonly error: string
  /** Those of `WWW-Authenticate`, each with its scheme. */
  readonly challenges: readonly string[]
  /** Response headers that belong to this response, e.g. `www-authenticate`. Fastify sends them. */
  headers: Readonly<Record<string, string>>
  /** Private, because loggers copy the enumerable properties of an error: this holds the app's state and secret. */
  readonly #redirectTo: AuthorizationErrorTarget | undefined

  constructor(
    reason: Reason,
    options: {
      cause?: unknown
      headers?: Record<string, string>
      redirectTo?: AuthorizationErrorTarget
      /** In place of the reason's own: what an endpoint and a resource tell differently. */
      status?: number
      challenges?: readonly string[]
    } = {},
  ) {
    const response: ErrorResponse = responses[reason]
    super(response.description, options.cause === undefined ? undefined : { cause: options.cause })
    this.reason = reason
    this.statusCode = options.status ?? response.status
    this.error = response.error
    this.challenges = options.challenges ?? []
    const retryLater = response.status === 503 || response.status === 429
    const challenge = this.challenges.join(', ')
    this.headers = {
      ...(retryLater && { 'retry-after': '5' }),
      ...(challenge !== '' && { 'www-authenticate': challenge }),
      ...options.headers,
    }
    this.#redirectTo = options.redirectTo
    // A refusal is no fault of the code: where it was thrown would fill the log of an app, whose serializers are its own.
    if (this.statusCode < 500) this.stack = `${this.name}: ${this.message}`
  }

  /** The same, for a request that cannot succeed when it is repeated: without `Retry-After` (C-17). */
  final(): this {
    const { 'retry-after': _, ...headers } = this.headers
    this.headers = headers
    return this
  }

  /** The app that is told at its redirect URI; undefined: whoever sent the request is told here. */
  get redirectTo(): AuthorizationErrorTarget | undefined {
    return this.#redirectTo
  }
}

/** The reasons of a failed provider call. */
export type ProviderReason = Extract<Reason, `provider_${string}`>

/**
 * The provider refused or could not be used. `transient` failures (5xx, 429, timeouts, network) keep the grant
 * and answer 503; the others are final for this call. The message and fields hold nothing that the provider
 * or the client sent, but for error codes.
 */
export class ProviderError extends OAuthError {
  readonly endpoint: string
  /** True if no byte of the request can have reached the provider, so that one retry is safe (D-09). */
  readonly unsent: boolean
  /** The provider's own short words for a refusal. */
  readonly words: readonly string[]

  constructor(
    reason: ProviderReason,
    endpoint: string,
    options: { cause?: unknown; unsent?: boolean; words?: readonly string[] } = {},
  ) {
    super(reason, options)
    this.endpoint = endpoint
    this.unsent = options.unsent ?? false
    this.words = options.words ?? []
  }

  get transient(): boolean {
    return this.statusCode === 503
  }
}
