import { formatForm, parseForm } from './form.ts'

/**
 * Redirect URIs are raw strings here and never pass through `URL`, which folds `127.1` and `0x7f.1` into
 * `127.0.0.1`, resolves dot segments and drops tabs: two different strings must stay two.
 */
const LOOPBACK =
  /^http:\/\/(127\.0\.0\.1|\[::1\]|localhost)(?::([1-9][0-9]{0,4}))?(\/[^\s\\?#]*)?(\?[^\s\\#]*)?$/
const HTTPS = /^https:\/\/(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([1-9][0-9]{0,4}))?(?:[/?]|$)/
const PRIVATE_USE = /^[a-z][a-z0-9+-]*(?:\.[a-z0-9+-]+)+:\/\/?(?!\/)/
const URI_CHARACTERS = /^(?:[A-Za-z0-9\-._~:/?[\]@!$&'()+,;=]|%[0-9A-Fa-f]{2})+$/
const RESPONSE_PARAMETERS = ['code', 'state', 'iss', 'error', 'error_description', 'error_uri']

/**
 * True if an authorization request may use `requested`: byte for byte the registered string, or, where both are
 * on one loopback host, the same but for the port, which the operating system chooses for the app. There, an absent
 * path equals `/`.
 *
 * Source: RFC 9700 §2.1, RFC 8252 §7.3, RFC 3986 §6.2.3.
 */
export function redirectUriMatches(registered: string, requested: string): boolean {
  if (registered === requested) return true
  const one = LOOPBACK.exec(registered)
  const other = LOOPBACK.exec(requested)
  return (
    one !== null &&
    other !== null &&
    one[1] === other[1] &&
    (one[3] ?? '/') === (other[3] ?? '/') &&
    one[4] === other[4] &&
    isPort(one[2]) &&
    isPort(other[2])
  )
}

/**
 * The paths of those https redirect URIs that are at our own origin, each once.
 *
 * @param publicUrl our origin.
 */
export function claimedPaths(redirectUris: readonly string[], publicUrl: string): readonly string[] {
  const behindOrigin = redirectUris
    .filter((uri) => uri.startsWith('https:') && uri.startsWith(publicUrl))
    .map((uri) => uri.slice(publicUrl.length))
    .filter((rest) => rest === '' || rest.startsWith('/') || rest.startsWith('?'))
  return [...new Set(behindOrigin.map((rest) => rest.split('?')[0] || '/'))]
}

/** What kind of address a registered redirect URI is; only https can be claimed by one app alone. */
export type RedirectUriKind = 'https' | 'loopback' | 'private-use'

/** The kind of a URI that `redirectUriProblem` has accepted (RFC 8252 §7). */
export function redirectUriKind(uri: string): RedirectUriKind {
  if (uri.startsWith('https:')) return 'https'
  return uri.startsWith('http:') ? 'loopback' : 'private-use'
}

/**
 * Why `uri` may not be registered, as a clause to follow "redirectUris[0]: "; undefined if it may.
 *
 * An allow-list, because every list of forbidden schemes has been walked around (`java\nscript:`).
 * Source: RFC 6749 §3.1.2, RFC 8252 §7.1, §7.3, §8.3, §8.4.
 */
export function redirectUriProblem(uri: string): string | undefined {
  if (uri.includes('#')) return 'must not have a fragment (RFC 6749 §3.1.2)'
  if (uri.includes('*')) return 'must not hold *: redirect URIs are compared exactly, there are no wildcards'
  if (!URI_CHARACTERS.test(uri)) return 'must be a URI: no spaces, control characters, backslashes or bare %'
  return schemeProblem(uri) ?? queryProblem(uri)
}

function schemeProblem(uri: string): string | undefined {
  if (/^[^:/?]*:\/\/[^/?]*@/.test(uri)) return 'must not hold a user name or password'
  if (uri.startsWith('https:')) {
    const match = HTTPS.exec(uri)
    return match !== null && isPort(match[1])
      ? undefined
      : 'must be https://, a host, an optional port and a path'
  }
  if (uri.startsWith('http:')) {
    const match = LOOPBACK.exec(uri)
    if (match !== null && isPort(match[2])) return undefined
    return 'must be https, or http with 127.0.0.1, [::1] or localhost and an optional port (RFC 8252 §7.3)'
  }
  if (PRIVATE_USE.test(uri)) {
    // After two slashes there is an authority, which only browsers parse: what they cannot parse never opens the app.
    return URL.canParse(uri) ? undefined : 'must be a URI that browsers can open: its host or port is none'
  }
  const scheme = /^([a-z][a-z0-9+-]*):\/\/?(?!\/)/i.exec(uri)?.[1]?.toLowerCase()
  const isUnowned = scheme !== undefined && !BROWSER_SCHEMES.includes(scheme)
  return isUnowned
    ? ADVICE_ON_SCHEMES
    : 'must be https, http on loopback, or a lower-case scheme with a dot and one slash or two, as com.example.app:/callback (RFC 8252 §7.1)'
}

/** What browsers open by themselves. */
const BROWSER_SCHEMES = [
  'http',
  'https',
  'javascript',
  'data',
  'file',
  'ftp',
  'ws',
  'wss',
  'about',
  'blob',
  'vbscript',
  'intent',
]
const ADVICE_ON_SCHEMES = [
  'must have a scheme with a dot, in lower case: any other app can take the name that it has now (RFC 8252 §7.1)',
  'turn a domain of yours around: com.example.app:/callback, or com.example.app://callback where a library wants an authority',
  'and set it in the app too: Expo `scheme` in app.json, iOS CFBundleURLSchemes, Android appAuthRedirectScheme or the intent filter',
].join('\n    ')

/** The response's own parameters would appear twice, and an app's reader may take the first (RFC 6749 §3.1). */
function queryProblem(uri: string): string | undefined {
  const start = uri.indexOf('?')
  if (start === -1) return undefined
  const query = uri.slice(start + 1)
  try {
    const names = Object.keys(parseForm(query, [...new URLSearchParams(query).keys()]))
    const taken = names.find((name) => RESPONSE_PARAMETERS.includes(name))
    return taken === undefined ? undefined : `must not have ${taken} in its query: the response adds it`
  } catch {
    return 'must have a query in application/x-www-form-urlencoded, each name once (RFC 6749 §3.1.2)'
  }
}

/**
 * True for a loopback redirect URI by name, which a resolver may send to another interface (RFC 8252 §8.3: NOT
 * RECOMMENDED).
 */
export function isLocalhostRedirectUri(uri: string): boolean {
  return LOOPBACK.exec(uri)?.[1] === 'localhost'
}

/**
 * The redirect URI with parameters added to its query; those that are undefined are left out.
 *
 * The URI's own bytes stay as they are. Source: RFC 6749 §3.1.2, §4.1.2.
 */
export function appendToRedirectUri(
  uri: string,
  parameters: Readonly<Record<string, string | undefined>>,
): string {
  const query = formatForm(parameters)
  if (query === '') return uri
  const separator = !uri.includes('?') ? '?' : /[?&]$/.test(uri) ? '' : '&'
  return uri + separator + query
}

function isPort(text: string | undefined): boolean {
  return text === undefined || Number(text) <= 65535
}
