import { OAuthError } from '../errors.ts'

const SCOPE_TOKEN = /^[\x21\x23-\x5b\x5d-\x7e]+$/

/**
 * Scopes that OpenID clients send without being asked. Accepted from every client so that they work unmodified,
 * and never granted: identity comes from the userinfo endpoint.
 */
const TOLERATED = new Set(['openid', 'profile', 'email', 'address', 'phone', 'offline_access'])

/** True for one scope of ours or of the provider's (RFC 6749 Appendix A.4). */
export function isScopeToken(text: string): boolean {
  return SCOPE_TOKEN.test(text)
}

/**
 * The scopes in `text`, each once, in its order.
 *
 * @throws OAuthError `scope_not_allowed`.
 * Source: RFC 6749 §3.3, Appendix A.4.
 */
export function parseScope(text: string): readonly string[] {
  const tokens = text.split(' ')
  if (!tokens.every(isScopeToken)) throw new OAuthError('scope_not_allowed')
  return [...new Set(tokens)]
}

/**
 * What an authorization request gets: what it asks for, if the client may have it; all that the client may have
 * if it does not ask. A request for nothing but OpenID scopes has asked, and gets no scope of ours.
 *
 * @param requested the `scope` parameter, if there was one.
 * @throws OAuthError `scope_not_allowed` if it is malformed or wider than `allowed`.
 * Source: RFC 6749 §3.3.
 */
export function grantScope(requested: string | undefined, allowed: readonly string[]): readonly string[] {
  const wanted = requested === undefined ? allowed : parseScope(requested)
  const scope = wanted.filter((token) => !TOLERATED.has(token))
  if (!scope.every((token) => allowed.includes(token))) throw new OAuthError('scope_not_allowed')
  return scope
}

/**
 * What a refresh request gets: the same rule, within what was granted. The grant itself keeps its scope.
 *
 * @throws OAuthError `scope_not_allowed`.
 * Source: RFC 6749 §6.
 */
export function narrowScope(requested: string | undefined, granted: readonly string[]): readonly string[] {
  return grantScope(requested, granted)
}

/** What is left of a granted scope, should the client have been registered with less meanwhile (H-04). */
export function stillAllowed(granted: readonly string[], allowed: readonly string[]): readonly string[] {
  return granted.filter((token) => allowed.includes(token))
}

/** The `scope` parameter of a response. */
export function formatScope(scope: readonly string[]): string {
  return scope.join(' ')
}
