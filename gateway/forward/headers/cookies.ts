import { isBindingCookie } from '../../../plugin/api/internal.ts'

/**
 * The cookies of a request that an upstream may see.
 *
 * @param cookie  Cookie field values, joined with `; `.
 * @param allowed exact names.
 * @returns a Cookie field value, or null when none is left. Source: requirements H-17.
 */
export function allowedCookies(cookie: string, allowed: ReadonlySet<string>): string | null {
  if (allowed.size === 0) return null
  const kept = cookie.split(';').filter((pair) => isAllowed(cookieName(pair), allowed))
  return kept.length === 0 ? null : kept.map((pair) => pair.trim()).join('; ')
}

/** True if an upstream may set this cookie. @param setCookie a Set-Cookie field value. */
export function isSetCookieAllowed(setCookie: string, allowed: ReadonlySet<string>): boolean {
  return allowed.size > 0 && isAllowed(cookieName(setCookie.split(';', 1)[0] ?? ''), allowed)
}

function cookieName(pair: string): string {
  const equals = pair.indexOf('=')
  return (equals === -1 ? '' : pair.slice(0, equals)).trim()
}

/** The browser binding of a login is ours: it goes to no upstream and comes from none. */
function isAllowed(name: string, allowed: ReadonlySet<string>): boolean {
  return allowed.has(name) && !isBindingCookie(name)
}
