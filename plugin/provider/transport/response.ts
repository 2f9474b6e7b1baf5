import { ProviderError } from '../../oauth/errors.ts'
import { refusalWords } from '../refusals/words.ts'
import type { EndpointName, ProviderResponse } from './request.ts'

/** Members of a JSON object, none of them checked. */
export type JsonObject = Record<string, unknown>

/** Codes that say "this grant, this code, this refresh token": RFC 6749 §5.2, and the spellings of GitHub and Slack. */
const GRANT_REFUSED = [
  'invalid_grant',
  'bad_verification_code',
  'bad_refresh_token',
  'invalid_code',
  'invalid_refresh_token',
]
/** `slow_down` is of RFC 8628 §3.5, and some use it in place of 429. */
const TRY_LATER = ['temporarily_unavailable', 'server_error', 'slow_down']
/** Codes that are about us, or about what we are registered for, whatever token is presented. */
const CLIENT_REFUSED = [
  'invalid_client',
  'unauthorized_client',
  'invalid_scope',
  'incorrect_client_credentials',
  'invalid_client_id',
  'bad_client_secret',
]
const OTHER_KNOWN = [
  'invalid_request',
  'invalid_token',
  'access_denied',
  'unsupported_grant_type',
  'insufficient_scope',
  'unsupported_token_type',
]
const KNOWN = new Set([...GRANT_REFUSED, ...TRY_LATER, ...CLIENT_REFUSED, ...OTHER_KNOWN])

/**
 * The members of a successful response. It is read by its content, whatever text type labels it (F-09). What
 * providers are known to send is evened out: an error under status 200, a form-encoded body, and `null` or `""` for
 * "absent" (RFC 6749 §3.2: no value counts as omitted).
 *
 * @param isRefresh it answers a refresh, where a refusal is about the refresh token (D-10).
 * @throws ProviderError `provider_refused_grant`, `provider_refused_client`, `provider_unavailable` or
 * `provider_answer_invalid`. Its cause holds a status and the provider's own short words, nothing else of the response.
 */
export function readResponse(
  endpoint: EndpointName,
  response: ProviderResponse,
  isRefresh = false,
): JsonObject {
  const { status } = response
  const body = parse(response, endpoint)
  const isError = body?.error !== undefined || (status >= 400 && status < 500)
  if (isError) throw refusal(endpoint, status, body ?? {}, isRefresh)
  if (body === undefined || (status !== 200 && status !== 201)) {
    throw new ProviderError('provider_answer_invalid', endpoint, {
      cause: new Error(`status ${status}, not a JSON object`),
    })
  }
  return body
}

const CLIENT_WORDS = /"error"\s*:\s*"(?:invalid_client|incorrect_client_credentials|bad_client_secret)"/
const CLIENT_WORDS_OF_401 =
  /"error"\s*:\s*"(?:invalid_client|incorrect_client_credentials|bad_client_secret|unauthorized_client|access_denied)"/

/** True if it is our client authentication that has been refused (RFC 6749 §5.2, and the spellings of GitHub and Slack). */
export function refusesClient({ status, text }: ProviderResponse): boolean {
  if (status >= 500) return false
  // Auth0 and Keycloak have words for it that mean something else under another status.
  const words = status === 401 ? CLIENT_WORDS_OF_401 : CLIENT_WORDS
  return words.test(text)
}

function refusal(
  endpoint: EndpointName,
  status: number,
  body: JsonObject,
  isRefresh: boolean,
): ProviderError {
  const { error } = body
  const code = typeof error === 'string' && KNOWN.has(error) ? error : 'other'
  const words = refusalWords(body)
  const cause = new Error(`status ${status}, error ${words.toReversed().join(' ') || 'without a code'}`)
  if (TRY_LATER.includes(code)) return new ProviderError('provider_unavailable', endpoint, { cause, words })
  const isAboutGrant = GRANT_REFUSED.includes(code) || (isRefresh && refusesRefreshToken(status, error, code))
  return new ProviderError(isAboutGrant ? 'provider_refused_grant' : 'provider_refused_client', endpoint, {
    ...{ cause, words },
  })
}

/**
 * Tells a refresh token that has been refused from a client that has. Our request is well formed, so every OAuth error
 * of a 4xx is about the token, whatever its word, unless it is one about the client (D-10). Under 401 (RFC 6749 §5.2)
 * and under a status of success only a word for a token counts. A response without an error can be of somebody in
 * between who has not asked the provider at all.
 */
function refusesRefreshToken(status: number, error: unknown, code: string): boolean {
  if (error === undefined || CLIENT_REFUSED.includes(code)) return false
  return status < 400 || status === 401 ? code === 'invalid_token' : true
}

const FORM = 'application/x-www-form-urlencoded'
/** Types that label JSON at one provider or another; the empty one is no label. */
const TEXTUAL = /^(?:|text\/.+|application\/(?:json|octet-stream|x-www-form-urlencoded|.+\+json))$/
/** A form, and nothing that could be a page. */
const LOOKS_LIKE_FORM = /^[\w.-]+=[^\s&<>"{}]*(?:&[\w.-]+=[^\s&<>"{}]*)*$/

function parse({ contentType, text }: ProviderResponse, endpoint: EndpointName): JsonObject | undefined {
  const type = contentType.split(';', 1)[0]!.trim().toLowerCase()
  if (!TEXTUAL.test(type)) return undefined
  const json = parseJson(text)
  if (json !== undefined || endpoint !== 'token') return json
  const isForm = type === FORM || LOOKS_LIKE_FORM.test(text.trim())
  return isForm ? present(Object.fromEntries(new URLSearchParams(text.trim()))) : undefined
}

function parseJson(text: string): JsonObject | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null && !Array.isArray(value)
      ? present(value as JsonObject)
      : undefined
  } catch {
    return undefined
  }
}

function present(members: JsonObject): JsonObject {
  for (const name in members) {
    if (members[name] === null || members[name] === '') delete members[name]
  }
  return members
}
