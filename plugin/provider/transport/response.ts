import { ProviderError } from '../../oauth/errors.ts'
import type { EndpointName, ProviderResponse } from './request.ts'

/** Members of a JSON object, none of them checked. */
export type JsonObject = Record<string, unknown>

/** Codes that say "this grant, this code, this refresh token": RFC 6749 §5.2, and GitHub's own spellings. */
const GRANT_REFUSED = ['invalid_grant', 'bad_verification_code', 'bad_refresh_token']
const TRY_LATER = ['temporarily_unavailable', 'server_error']
const OTHER_KNOWN = [
  'invalid_request',
  'invalid_client',
  'unauthorized_client',
  'unsupported_grant_type',
  'invalid_scope',
  'invalid_token',
  'insufficient_scope',
  'unsupported_token_type',
  'incorrect_client_credentials',
]
const KNOWN = new Set([...GRANT_REFUSED, ...TRY_LATER, ...OTHER_KNOWN])

/**
 * The members of a successful response. What providers are known to send is evened out here: an error under
 * status 200, a form-encoded body, and `null` or `""` for "absent" (RFC 6749 §3.2: no value counts as omitted).
 *
 * @throws ProviderError `provider_refused_grant`, `provider_refused_client`, `provider_unavailable` or
 * `provider_answer_invalid`. Its cause holds a status and an RFC error code, nothing else of the response.
 */
export function readResponse(
  endpoint: EndpointName,
  { status, contentType, text }: ProviderResponse,
): JsonObject {
  const body = parse(text, mediaType(contentType), endpoint)
  const isError = body?.error !== undefined || (status >= 400 && status < 500)
  if (isError) throw refusal(endpoint, status, body?.error)
  if (body === undefined || (status !== 200 && status !== 201)) {
    throw new ProviderError('provider_answer_invalid', endpoint, {
      cause: new Error(`status ${status}, not a JSON object`),
    })
  }
  return body
}

function refusal(endpoint: EndpointName, status: number, error: unknown): ProviderError {
  const code = typeof error === 'string' && KNOWN.has(error) ? error : 'other'
  const cause = new Error(`status ${status}, error ${code}`)
  if (TRY_LATER.includes(code)) return new ProviderError('provider_unavailable', endpoint, { cause })
  if (GRANT_REFUSED.includes(code)) return new ProviderError('provider_refused_grant', endpoint, { cause })
  return new ProviderError('provider_refused_client', endpoint, { cause })
}

function mediaType(contentType: string): string {
  return contentType.split(';', 1)[0]!.trim().toLowerCase()
}

function parse(text: string, type: string, endpoint: EndpointName): JsonObject | undefined {
  if (type === 'application/x-www-form-urlencoded' && endpoint === 'token') {
    return present(Object.fromEntries(new URLSearchParams(text)))
  }
  if (type !== 'application/json' && !(type === 'application/jwk-set+json' && endpoint === 'jwks')) {
    return undefined
  }
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
