import { dpopAlgorithms } from './access/dpop-key.ts'
import { formatScope } from './access/scope.ts'
import { OAuthError } from './errors.ts'

/** A relayed access token is the provider's, of a size that we do not choose; ours have 68 characters. */
export const BEARER_TOKEN_MAX = 8192
const BEARER = /^[Bb][Ee][Aa][Rr][Ee][Rr] +[A-Za-z0-9\-._~+/]+=*$/
const DPOP = /^[Dd][Pp][Oo][Pp] +[A-Za-z0-9\-._~+/]+=*$/
/** A client that tries another way has shown no access token, and is told only that one is wanted (RFC 6750 §3.1). */
const OTHER_SCHEME = /^(?!bearer |dpop )[!#$%&'*+\-.^_`|~0-9A-Za-z]+ /i
const SPACE = 0x20
const LOWER_CASE = 0x20
const LETTER_D = 0x64

/**
 * `access_token` as the name of a query parameter, each character plain or escaped: a comparison of decoded
 * names that allocates nothing and cannot fail on a query that is no form.
 */
const TOKEN_IN_QUERY = new RegExp(
  `[?&;]${Array.from('access_token', (c) => `(?:${c}|%${c.charCodeAt(0).toString(16)})`).join('')}(?:[=&;]|$)`,
  'i',
)

/**
 * The credentials of a request to a protected resource: the one `Authorization` value, of the scheme Bearer or DPoP.
 *
 * On the path of every forwarded request: one pass over the headers, and nothing is allocated.
 *
 * @param rawHeaders names and values in turn, as received (`IncomingMessage.rawHeaders`): the joined headers
 *   keep the first `Authorization` of several, in silence.
 * @param rawUrl the request target, as received.
 * @returns the scheme, and at most 8 KiB of token68 characters: for `isDpopScheme` and `tokenIn`.
 * @throws OAuthError `token_in_query`, `token_absent`, `token_malformed`. The challenge is the caller's.
 * Source: RFC 6750 §2.1, §3.1; RFC 9449 §7.1; RFC 9700 §4.3.2.
 */
export function credentialsOf(rawHeaders: readonly string[], rawUrl: string): string {
  if (rawUrl.includes('?') && TOKEN_IN_QUERY.test(rawUrl)) throw new OAuthError('token_in_query')

  let value: string | undefined
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (!isAuthorization(rawHeaders[index]!)) continue
    if (value !== undefined) throw new OAuthError('token_malformed')
    value = rawHeaders[index + 1]!
  }
  if (value === undefined) throw new OAuthError('token_absent')

  const syntax = isDpopScheme(value) ? DPOP : BEARER
  if (value.length > schemeLength(value) + BEARER_TOKEN_MAX || !syntax.test(value)) {
    throw new OAuthError(OTHER_SCHEME.test(value) ? 'token_absent' : 'token_malformed')
  }
  return value
}

/** True for credentials of the scheme DPoP, false for Bearer (RFC 9449 §7.1). */
export function isDpopScheme(credentials: string): boolean {
  return (credentials.charCodeAt(0) | LOWER_CASE) === LETTER_D
}

/** The access token in the credentials. */
export function tokenIn(credentials: string): string {
  let start = schemeLength(credentials)
  while (credentials.charCodeAt(start) === SPACE) start++
  return credentials.slice(start)
}

/** With one space. */
function schemeLength(credentials: string): number {
  return isDpopScheme(credentials) ? 'DPoP '.length : 'Bearer '.length
}

/** True if `token` can be presented as a bearer token here: b64token, at most 8 KiB (RFC 6750 §2.1). */
export function isBearerToken(token: string): boolean {
  return token.length <= BEARER_TOKEN_MAX && BEARER.test(`Bearer ${token}`)
}

/** The length decides for almost every header, so that few names are put into lower case. */
function isAuthorization(name: string): boolean {
  return name.length === 13 && (name === 'authorization' || name.toLowerCase() === 'authorization')
}

/** How an access token is presented: by itself, or with a proof of its key. */
export type TokenScheme = 'Bearer' | 'DPoP'

/** What was wrong with a request to a protected resource, and what would be right. */
export interface ChallengeProblem {
  /** Empty: nothing but the realm is told. */
  readonly error: string
  readonly description?: string | undefined
  /** What the resource requires. */
  readonly scope?: readonly string[] | undefined
  /** How to sign in for the resource (RFC 9470 §3). */
  readonly authentication?:
    | { acr?: readonly string[] | undefined; maxAgeSeconds?: number | undefined }
    | undefined
}

/**
 * A challenge for `WWW-Authenticate` of a protected resource: the bare realm where there were no credentials,
 * otherwise what was wrong with them.
 *
 * @param realm a quoted string's content, so without quotes and backslashes.
 * @param scheme DPoP: with the algorithms that a proof may have.
 * Source: RFC 6750 §3, §3.1; RFC 9449 §7.1.
 */
export function challenge(realm: string, problem?: ChallengeProblem, scheme: TokenScheme = 'Bearer'): string {
  let value = `${scheme} realm="${realm}"`
  if (problem !== undefined && problem.error !== '') {
    value += `, error="${problem.error}"`
    if (problem.description !== undefined) value += `, error_description="${problem.description}"`
    if (problem.scope !== undefined) value += `, scope="${formatScope(problem.scope)}"`
    const { acr, maxAgeSeconds } = problem.authentication ?? {}
    if (acr !== undefined) value += `, acr_values="${acr.join(' ')}"`
    if (maxAgeSeconds !== undefined) value += `, max_age="${maxAgeSeconds}"`
  }
  return scheme === 'DPoP' ? `${value}, algs="${dpopAlgorithms.join(' ')}"` : value
}
