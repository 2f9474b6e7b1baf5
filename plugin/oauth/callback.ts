import { OAuthError } from './errors.ts'
import { parseForm } from './form.ts'

/** Claims of a validated id_token, or of userinfo (OIDC Core §5.1). */
export type Claims = Readonly<Record<string, unknown>>
/** Claims, and never an identity (M-03). */
export type UserClaims = Readonly<Partial<Record<'name' | 'email', string>>>

/** The provider's authorization response. Its syntax is checked; whose it is, is not. */
export type AuthorizationResponse = {
  /** As received, to be judged by `issuerMatches`. */
  readonly iss: string | undefined
} & (
  | {
      /** A state handle by its looks. */
      readonly state: string
      readonly code: string
      /** Of `form_post`: what the provider says of the person at a first login. The browser brings it, unsigned. */
      readonly user?: UserClaims
      readonly error?: undefined
    }
  | {
      /** The same; undefined from providers that leave it out when the user declines (B-08). */
      readonly state: string | undefined
      /** For the app, already mapped. */
      readonly error: string
      /** For the log: what the provider said, one line of at most 256 characters. Untrusted. */
      readonly detail: string
      readonly code?: undefined
    }
)

const STATE_HANDLE = /^pks_[A-Za-z0-9_-]{64}$/
const CODE = /^[\x20-\x7e]{1,4096}$/
/** What is read of a response; `error_description` is for the log, and read by itself. */
const RESPONSE_PARAMETERS = ['state', 'code', 'error', 'iss'] as const
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
/** Words of providers for a user who does not want to sign in. */
const CANCELLATIONS = ['user_cancelled_authorize', 'user_cancelled_login', 'consent_denied']

/**
 * Reads the query or the form of the callback. Pure syntax: whatever it throws, no grant has been touched.
 *
 * @param text raw, a query without its question mark.
 * @throws OAuthError `state_unknown` where the state cannot be one of ours; `callback_malformed` where a
 *   code comes without one, or there is not exactly one of code and error, or a code that is no code; and those of `parseForm`.
 * Source: RFC 6749 §4.1.2, §4.1.2.1, Appendix A.11; OAuth 2.0 Form Post Response Mode §2.
 */
export function parseAuthorizationResponse(
  text: string,
  responseMode: 'query' | 'form_post' = 'query',
): AuthorizationResponse {
  const { state, code, error, iss } = parseForm(text, RESPONSE_PARAMETERS)

  if (state !== undefined && !STATE_HANDLE.test(state)) throw new OAuthError('state_unknown')
  if (error !== undefined && code === undefined) {
    // Descriptions come in any bytes, and a declined consent must still reach the app: the lenient parser will do.
    const description = new URLSearchParams(text).get('error_description')
    return { state, iss, error: mapProviderError(error), detail: oneLine(error, description) }
  }
  if (state === undefined || error !== undefined || code === undefined || !CODE.test(code)) {
    throw new OAuthError('callback_malformed')
  }
  return responseMode === 'query' ? { state, iss, code } : { state, iss, code, user: parseUser(text) }
}

const NAME = /^[^\p{Cc}\u2028\u2029]{1,128}$/u
const EMAIL = /^[^\s@]{1,64}@[^\s@]{1,255}$/

/** Apple's `user`, in any bytes: what cannot be read costs its claims and not the login. */
function parseUser(form: string): UserClaims {
  try {
    const { name, email } = JSON.parse(new URLSearchParams(form).get('user') ?? '{}')
    const names = [name?.firstName, name?.lastName].filter((part) => typeof part === 'string' && part !== '')
    return {
      ...(names.length > 0 && names.every((part) => NAME.test(part)) && { name: names.join(' ') }),
      ...(typeof email === 'string' && EMAIL.test(email) && { email }),
    }
  } catch {
    return {}
  }
}

/**
 * True if the response is the configured provider's, for codes and errors alike. A mismatch ends the grant:
 * somebody is mixing providers up. An error without `state` may lack `iss` as well: such providers send nothing but
 * the error, and `iss` is no secret that would prove where it comes from (B-08).
 *
 * Source: RFC 9207 §2.4. Simple string comparison (RFC 3986 §6.2.1).
 */
export function issuerMatches(
  response: AuthorizationResponse,
  provider: { isIssuer(iss: string): boolean; readonly issRequired: boolean },
): boolean {
  if (response.iss === undefined) return !provider.issRequired || response.state === undefined
  return provider.isIssuer(response.iss)
}

/** The provider's error code if an app may see it, `access_denied` for a user's cancel, otherwise `server_error`. */
export function mapProviderError(error: string): string {
  if (CANCELLATIONS.includes(error)) return 'access_denied'
  return ERRORS.includes(error) ? error : 'server_error'
}

function oneLine(error: string, description: string | null): string {
  const text = !description ? error : `${error}: ${description}`
  return text.slice(0, 256).replace(/[\p{Cc}\u2028\u2029]+/gu, ' ')
}
