import { OAuthError } from './errors.ts'
import { parseForm } from './form.ts'

/** The provider's authorization response. Its syntax is checked; whose it is, is not. */
export type AuthorizationResponse = {
  /** A state handle by its looks. */
  readonly state: string
  /** As received, to be judged by `issuerMatches`. */
  readonly iss: string | undefined
} & (
  | { readonly code: string; readonly error?: undefined }
  | {
      /** For the app, already mapped. */
      readonly error: string
      /** For the log: what the provider said, one line of at most 256 characters. Untrusted. */
      readonly detail: string
      readonly code?: undefined
    }
)

const STATE_HANDLE = /^pks_[A-Za-z0-9_-]{64}$/
const CODE = /^[\x20-\x7e]{1,4096}$/
const ERRORS = [
  'access_denied',
  'login_required',
  'consent_required',
  'interaction_required',
  'account_selection_required',
  'invalid_scope',
  'temporarily_unavailable',
  'server_error',
]

/**
 * Reads the query of the callback. Pure syntax: whatever it throws, no grant has been touched.
 *
 * @param query raw, without its question mark.
 * @throws OAuthError `state_unknown` where the state cannot be one of ours; `callback_malformed` where there is
 *   none, or not exactly one of code and error, or a code that is no code; and those of `parseForm`.
 * Source: RFC 6749 §4.1.2, §4.1.2.1, Appendix A.11.
 */
export function parseAuthorizationResponse(query: string): AuthorizationResponse {
  // Providers break the lines of their descriptions, and a declined consent must still reach the app.
  const { state, code, error, error_description, iss } = parseForm(query, ['error_description'])

  if (state === undefined) throw new OAuthError('callback_malformed')
  if (!STATE_HANDLE.test(state)) throw new OAuthError('state_unknown')
  if (error !== undefined && code === undefined) {
    return { state, iss, error: mapProviderError(error), detail: oneLine(error, error_description) }
  }
  if (error !== undefined || code === undefined || !CODE.test(code)) {
    throw new OAuthError('callback_malformed')
  }
  return { state, iss, code }
}

/**
 * True if the response is the configured provider's, for codes and errors alike. A mismatch ends the grant:
 * somebody is mixing providers up.
 *
 * Source: RFC 9207 §2.4. Simple string comparison (RFC 3986 §6.2.1).
 */
export function issuerMatches(
  response: AuthorizationResponse,
  provider: { readonly issuer: string; readonly issRequired: boolean },
): boolean {
  return response.iss === undefined ? !provider.issRequired : response.iss === provider.issuer
}

/** The provider's error code if an app may see it, otherwise `server_error`. */
export function mapProviderError(error: string): string {
  return ERRORS.includes(error) ? error : 'server_error'
}

function oneLine(error: string, description: string | undefined): string {
  const text = description === undefined ? error : `${error}: ${description}`
  return text.slice(0, 256).replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
}
