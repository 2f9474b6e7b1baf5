import { parseCookie, stringifySetCookie } from 'cookie'
import type { ResolvedOptions } from '../../options/resolved.ts'
import { hashCredential, sameHash } from '../../secrets/handles.ts'
import { randomBytes } from '../../secrets/random.ts'

/**
 * Ties a transaction to the browser that began it: PKCE binds who started the login to who redeems the code,
 * but not to the human whose browser finished it (RFC 9700 §4.7, requirements A-18, B-04).
 */

/** Logins under way in one browser; the oldest cookies go first. */
const COOKIES_MAX = 5
/** Names that we never made are not repeated in a header of ours. */
const SELECTOR = /^[A-Za-z0-9_-]{22}$/

/** A new binding: the cookies to set, and the hash to store with the transaction. */
export function bindBrowser(
  options: Pick<ResolvedOptions, 'publicUrl' | 'lifetimes'>,
  selector: string,
  cookieHeader: string | undefined,
): { browserHash: string; setCookies: string[] } {
  const secret = randomBytes(32).toString('base64url')
  const prefix = cookiePrefix(options)
  // Browsers send older cookies first (RFC 6265 §5.4).
  const present = Object.keys(parseCookie(cookieHeader ?? '')).filter(
    (name) => name.startsWith(prefix) && SELECTOR.test(name.slice(prefix.length)),
  )
  const surplus = present.slice(0, Math.max(0, present.length - COOKIES_MAX + 1))
  return {
    browserHash: hashCredential(secret),
    setCookies: [
      ...surplus.map((name) => setCookie(options, name, '', 0)),
      setCookie(options, prefix + selector, secret, options.lifetimes.transactionSeconds),
    ],
  }
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
export function unbindBrowser(options: Pick<ResolvedOptions, 'publicUrl'>, selector: string): string {
  return setCookie(options, cookiePrefix(options) + selector, '', 0)
}

/** Browsers refuse `__Host-` without `Secure`, and `Secure` over http: a loopback issuer does without both. */
function cookiePrefix({ publicUrl }: Pick<ResolvedOptions, 'publicUrl'>): string {
  return publicUrl.startsWith('https:') ? '__Host-pkce-' : 'pkce-'
}

function setCookie(
  options: Pick<ResolvedOptions, 'publicUrl'>,
  name: string,
  value: string,
  maxAge: number,
): string {
  const secure = options.publicUrl.startsWith('https:')
  return stringifySetCookie({ name, value, path: '/', httpOnly: true, sameSite: 'lax', secure, maxAge })
}
