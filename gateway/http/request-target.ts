import type { Refusal } from './refusals.ts'

const MAX_TARGET_LENGTH = 8192
/**
 * No `;`, `\`, `#`, control or non-ASCII character; every `%` begins an escape. Of what RFC 3986 does not allow, the
 * characters that browsers and HTTP clients send as they are.
 */
const PATH = /^\/(?:[A-Za-z0-9\-._~!$&'()*+,=:@/[\]|^{}"`]|%[0-9A-Fa-f]{2})*$/
/**
 * Escapes of unreserved characters, `/`, `\` and controls: a second spelling of some other path. `%25` is the only
 * spelling of a percent sign, and nothing here decodes.
 */
const SECOND_SPELLING = /%(?:2[DEF]|3[0-9]|4[1-9A-F]|5[0-9ACF]|6[1-9A-F]|7[0-9AEF]|[01][0-9A-F])/i
const DOT_SEGMENT = /\/\.{1,2}(?:\/|$)/
const QUERY = /^[\x21\x22\x24-\x7e]*$/

/**
 * Accepts a request target only in origin-form and canonical spelling, so that policy, routing and the upstream
 * can all work with the same bytes. `%2F` and `;` are refused here, and allowed by a route (`Routes.allows`).
 *
 * @param target as received, e.g. `/api/orders?page=2`.
 * @returns why it is refused, or null.
 * Source: RFC 9112 §3.2.1, RFC 3986 §6.2.2; requirements H-07, H-08, Appendix D, P-17.
 */
export function refuseTarget(target: string): Refusal | null {
  if (target.length > MAX_TARGET_LENGTH) return 'target_too_long'
  if (target.charCodeAt(0) !== 0x2f) return 'target_form'
  const queryAt = target.indexOf('?')
  const path = queryAt === -1 ? target : target.slice(0, queryAt)
  if (!PATH.test(path) || path.includes('//') || DOT_SEGMENT.test(path)) return 'path_not_canonical'
  if (path.includes('%') && (SECOND_SPELLING.test(path) || !isUtf8(path))) return 'path_not_canonical'
  if (queryAt !== -1 && !QUERY.test(target.slice(queryAt + 1))) return 'query_malformed'
  return null
}

/** Over-long forms such as `%c0%ae` are a second spelling too (P-17). */
function isUtf8(path: string): boolean {
  try {
    decodeURIComponent(path)
    return true
  } catch {
    return false
  }
}

/** Forms of a path that some upstreams need and others take for another path. */
export interface PathForms {
  /** `%2F`, as in `/@scope%2Fname`. */
  readonly encodedSlash: boolean
  /** `;`, as in `/cars;colour=red`. */
  readonly matrixParameters: boolean
}

/**
 * The targets without these forms that an upstream may read a target as: with `%2F` decoded or not, with parameters
 * removed or not, in either order. A form that is not allowed stays, so that `refuseTarget` refuses its reading.
 *
 * Source: RFC 3986 §3.3, Java Servlet 6.0 §3.5.2 (path parameters are removed, then the segments are decoded).
 */
export function targetReadings(target: string, allowed: PathForms): string[] {
  const queryAt = target.indexOf('?')
  const path = queryAt === -1 ? target : target.slice(0, queryAt)
  const query = queryAt === -1 ? '' : target.slice(queryAt)
  const { encodedSlash, matrixParameters } = allowed
  const decoded = (text: string) => (encodedSlash ? text.replace(/%2f/gi, '/') : text)
  const removed = (text: string) => (matrixParameters ? text.replace(/;[^/]*/g, '') : text)
  // Neither form means anything: other characters that mean nothing stand for them.
  const plainSlash = (text: string) => (encodedSlash ? text.replace(/%2f/gi, '%20') : text)
  const plainParameters = (text: string) => (matrixParameters ? text.replaceAll(';', ',') : text)
  return [
    plainParameters(plainSlash(path)),
    plainParameters(decoded(path)),
    removed(plainSlash(path)),
    removed(decoded(path)),
    decoded(removed(path)),
  ].map((reading) => reading + query)
}

/**
 * The target as the upstream gets it: `base` in the place of `prefix`, every other byte as received.
 *
 * @param prefix without a trailing slash; `''` for the root.
 * @param base   the target's path without a trailing slash, `''` for none.
 * Source: requirements H-10.
 */
export function upstreamTarget(target: string, prefix: string, base: string): string {
  const rest = target.slice(prefix.length)
  return base === '' && rest.charCodeAt(0) !== 0x2f ? `/${rest}` : base + rest
}

/** `reg-name`, IPv4 or bracketed IPv6, and a port (RFC 9110 §7.2); no userinfo, no path. */
const HOST = /^(?:[A-Za-z0-9\-._~]+|\[[0-9A-Fa-f:.]+\])(?::[0-9]{1,5})?$/
const DEFAULT_PORT: Readonly<Record<string, string>> = { 'http:': '80', 'https:': '443' }

/**
 * The Host values that are served: the public URL's, with and without its scheme's default port, and
 * `allowedHosts`. The port that is listened on plays no part: a client is told the public URL and nothing else.
 */
export function servedHosts(publicUrl: string, allowedHosts: readonly string[]): ReadonlySet<string> {
  const { host, hostname, port, protocol } = new URL(publicUrl)
  const served = new Set([host, ...allowedHosts.map((allowed) => allowed.toLowerCase())])
  if (port === '') served.add(`${hostname}:${DEFAULT_PORT[protocol]}`)
  return served
}

/**
 * Checks the one Host value of a request.
 *
 * @param host as received; undefined if there was none.
 * Source: RFC 9110 §7.2, §15.5.20; requirements H-13.
 */
export function refuseHost(host: string | undefined, served: ReadonlySet<string>): Refusal | null {
  if (host === undefined) return 'host_malformed'
  if (served.has(host) || served.has(host.toLowerCase())) return null
  return HOST.test(host) ? 'host_unknown' : 'host_malformed'
}
