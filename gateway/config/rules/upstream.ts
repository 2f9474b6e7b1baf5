import { isAcr, isBindingCookie } from '../../../plugin/api/internal.ts'
import type { ConfigProblem } from '../../../plugin/index.ts'
import { isReservedField } from '../../http/request-fields.ts'
import type { Upstream, WebSocketOptions } from '../schemas/config.ts'
import { checkTargets, type Report } from './upstream-target.ts'

/** An upstream with the schema's defaults. */
export type UpstreamInput = Omit<Upstream, DependentDefault | 'websocket'> &
  Partial<Pick<Upstream, DependentDefault>> & { websocket: boolean | WebSocketOptions }

type DependentDefault = 'methods' | 'credentials' | 'connectionsPerSession'

/** Whole segments of unreserved characters (RFC 3986 §2.3), which have one spelling only (requirements H-08). */
const PREFIX = /^(\/[A-Za-z0-9._~-]+)+$/
const DOT_SEGMENT = /\/\.{1,2}(\/|$)/
/** RFC 9110 §5.6.2, without `_`: names with it are dropped from every request (requirements H-12). */
const HEADER_NAME = /^[A-Za-z0-9!#$%&'*+.^`|~-]+$/
const COOKIE_NAME = /^[A-Za-z0-9!#$%&'*+.^_`|~-]+$/
/**
 * What is wrong with the upstreams, each taken alone and all together (requirements H-01).
 * @param upstreams by their place in the list.
 * @param forwardAuth true: a proxy forwards, so that an upstream may have no target.
 */
export function upstreamProblems(
  upstreams: ReadonlyMap<number, UpstreamInput>,
  routePrefix: string,
  forwardAuth: boolean,
): ConfigProblem[] {
  const problems: ConfigProblem[] = []
  const prefixes = new Set<string>()
  for (const [index, upstream] of upstreams) {
    const report: Report = (problem, ...path) =>
      problems.push({ path: ['upstreams', index, ...path], problem })
    if (prefixes.has(upstream.prefix)) report('is the prefix of another upstream too', 'prefix')
    prefixes.add(upstream.prefix)
    checkPrefix(upstream.prefix, routePrefix, report)
    if (upstream.target.length === 0 && !forwardAuth) report('is required', 'target')
    checkTargets(upstream, report)
    checkPolicy(upstream, report)
    checkIdentityHeaders(upstream.identityHeaders, report)
    checkCookies(upstream.cookies, report)
    checkWebSocket(upstream, report)
  }
  return problems
}

function checkPrefix(prefix: string, routePrefix: string, report: Report): void {
  if (prefix !== '/' && (!PREFIX.test(prefix) || DOT_SEGMENT.test(prefix))) {
    const form =
      'must be / or segments of letters, digits and -._~ that begin with /, without a slash at the end'
    report(form, 'prefix')
  }
  for (const own of [routePrefix, '/.well-known']) {
    if (prefix === own || prefix.startsWith(`${own}/`)) report(`is inside of ${own}, which is ours`, 'prefix')
  }
}

function checkPolicy(upstream: UpstreamInput, report: Report): void {
  if (upstream.audience !== undefined && upstream.credentials !== 'identity-jwt')
    report('is for credentials: identity-jwt alone', 'audience')
  for (const [index, value] of upstream.acr.entries()) {
    if (!isAcr(value)) report('must be visible ASCII without spaces, quotes and backslashes', 'acr', index)
  }
  if (!upstream.public) return
  const needsSession = 'needs a session, and public is true'
  if (upstream.scopes.length > 0) report(needsSession, 'scopes')
  if (upstream.acr.length > 0) report(needsSession, 'acr')
  if (upstream.maxAgeSeconds !== undefined) report(needsSession, 'maxAgeSeconds')
  if (upstream.credentials !== undefined && upstream.credentials !== 'none')
    report(needsSession, 'credentials')
  if (Object.keys(upstream.identityHeaders).length > 0) report(needsSession, 'identityHeaders')
}

function checkIdentityHeaders(headers: Upstream['identityHeaders'], report: Report): void {
  const seen = new Set<string>()
  for (const name of Object.keys(headers)) {
    const lower = name.toLowerCase()
    if (!HEADER_NAME.test(name)) {
      report('must be a header name without _', 'identityHeaders', name)
    } else if (isReservedField(lower)) {
      report('is a header that we or HTTP itself give a meaning to', 'identityHeaders', name)
    } else if (seen.has(lower)) {
      report('is there twice: header names know no case', 'identityHeaders', name)
    }
    seen.add(lower)
  }
}

function checkCookies(cookies: Upstream['cookies'], report: Report): void {
  for (const side of ['request', 'response'] as const) {
    for (const [index, name] of cookies[side].entries()) {
      if (!COOKIE_NAME.test(name)) report('must be a cookie name (RFC 6265 §4.1.1)', 'cookies', side, index)
      if (isBindingCookie(name)) report('is a cookie of ours', 'cookies', side, index)
    }
  }
}

function checkWebSocket({ websocket, methods }: UpstreamInput, report: Report): void {
  if (websocket === false) return
  // RFC 6455 §4.1: the handshake is a GET.
  if (methods !== undefined && !methods.includes('GET')) report('needs GET among the methods', 'websocket')
  if (websocket === true) return
  for (const [index, origin] of websocket.origins.entries()) {
    const exact = /^https?:/.test(origin) && URL.canParse(origin) && new URL(origin).origin === origin
    if (!exact) report('must be an origin, e.g. https://app.example.com', 'websocket', 'origins', index)
  }
}
