import { parseCookie, stringifySetCookie } from 'cookie'
import type { ResolvedOptions, ResolvedProvider } from '../../options/resolved.ts'
import { hashCredential, sameHash } from '../../secrets/handles.ts'
import { randomBytes } from '../../secrets/random.ts'

/**
 * Ties a transaction to the browser that began it: PKCE binds who started the login to who redeems the code,
 * but not to the human whose browser finished it (RFC 9700 §4.7, requirements A-18, B-04).
 */

/** Logins under way in one browser; the oldest cookies go first. */
const COOKIES_MAX = 5
/** The first for https. Browsers refuse `__Host-` without `Secure`, and `Secure` over http. */
const PREFIXES = { https: '__Host-pkce-', loopback: 'pkce-' }
const ANY_PREFIX = new RegExp(`^(?:${Object.values(PREFIXES).join('|')})`, 'i')
/** Who made the cookie, and by which way the browser comes back. */
export interface Binding {
  readonly publicUrl: string
  readonly responseMode: ResolvedProvider['responseMode']
}
/** Names that we never made are not repeated in a header of ours. */
const SELECTOR = /^[A-Za-z0-9_-]{22}$/

/**
 * True for the name of a cookie that could bind a browser to a login, in whatever case it is written. Such cookies are
 * between the browser and us: a proxy passes them on to nobody, and takes them from nobody (requirements H-17).
 */
export function isBindingCookie(name: string): boolean {
  return ANY_PREFIX.test(name)
}

/** What a browser keeps of a transaction, and what the transaction keeps of the browser. */
export interface BrowserBinding {
  readonly browserHash: string
  readonly setCookies: string[]
}

/** A new binding: its secret, the cookies to set, and the hash to store with the transaction. */
export function bindBrowser(
  options: Binding & { readonly transactionSeconds: number },
  selector: string,
  cookieHeader: string | undefined,
): BrowserBinding & { readonly secret: string } {
  const secret = randomBytes(32).toString('base64url')
  const prefix = cookiePrefix(options)
  const present = boundTransactions(options, cookieHeader)
  const surplus = present.slice(0, Math.max(0, present.length - COOKIES_MAX + 1))
  return {
    secret,
    browserHash: hashCredential(secret),
    setCookies: [
      ...surplus.map((id) => unbindBrowser(options, id)),
      setCookie(options, prefix + selector, secret, options.transactionSeconds),
    ],
  }
}

/** The same binding for a while longer, once its person has answered. */
export function bindAgain(
  options: Binding & { readonly transactionSeconds: number },
  selector: string,
  secret: string,
): BrowserBinding {
  const cookie = setCookie(options, cookiePrefix(options) + selector, secret, options.transactionSeconds)
  return { browserHash: hashCredential(secret), setCookies: [cookie] }
}

/** What the browser holds for this transaction, whether it is right or not; undefined: nothing. */
export function boundSecret(
  options: Pick<ResolvedOptions, 'publicUrl'>,
  selector: string,
  cookieHeader: string | undefined,
): string | undefined {
  if (!SELECTOR.test(selector)) return undefined
  return parseCookie(cookieHeader ?? '')[cookiePrefix(options) + selector]
}

/** The transactions that the browser has cookies of, the oldest first (RFC 6265 §5.4). Nothing is proved by it. */
export function boundTransactions(
  options: Pick<ResolvedOptions, 'publicUrl'>,
  cookieHeader: string | undefined,
): string[] {
  const prefix = cookiePrefix(options)
  return Object.keys(parseCookie(cookieHeader ?? ''))
    .filter((name) => name.startsWith(prefix))
    .map((name) => name.slice(prefix.length))
    .filter((selector) => SELECTOR.test(selector))
}

/** True if the browser holds the secret of this transaction. */
export function isSameBrowser(
  options: Pick<ResolvedOptions, 'publicUrl'>,
  grant: { id: string; browserHash: string },
  cookieHeader: string | undefined,
): boolean {
  const secret = parseCookie(cookieHeader ?? '')[cookiePrefix(options) + grant.id]
  return secret !== undefined && sameHash(hashCredential(secret), grant.browserHash)
}

/** The `Set-Cookie` value that removes a transaction's cookie. */
export function unbindBrowser(options: Binding, selector: string): string {
  return setCookie(options, cookiePrefix(options) + selector, '', 0)
}

/** A loopback issuer on http does without `__Host-` and `Secure`. */
function cookiePrefix({ publicUrl }: Pick<ResolvedOptions, 'publicUrl'>): string {
  return publicUrl.startsWith('https:') ? PREFIXES.https : PREFIXES.loopback
}

/**
 * A form that another site posts brings along only cookies of `SameSite=None`, which must be `Secure` (B-01). Chromium
 * takes such a one from a loopback address on http, too.
 */
function setCookie(
  { publicUrl, responseMode }: Binding,
  name: string,
  value: string,
  maxAge: number,
): string {
  const isPosted = responseMode === 'form_post'
  const secure = isPosted || publicUrl.startsWith('https:')
  const sameSite = isPosted ? 'none' : 'lax'
  return stringifySetCookie({ name, value, path: '/', httpOnly: true, sameSite, secure, maxAge })
}
