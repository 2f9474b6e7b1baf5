import type { Session } from '../../../plugin/index.ts'
import type { ClientRequest } from '../client-request.ts'
import { type Access, PublicRoute } from '../policy.ts'
import type { UpstreamRoute } from '../upstream/route.ts'
import { handshakeFields } from '../websocket/handshake.ts'
import { allowedCookies } from './cookies.ts'
import { sessionFields } from './identity.ts'

/**
 * The header of the upstream request, but for its Host: what passed, then what we say ourselves, the session last.
 *
 * @returns a flat list. Source: requirements H-13, H-15 to H-17, H-19, Appendix C.
 */
export function upstreamFields(
  { headers, raw, id, startedAt, context }: ClientRequest,
  route: UpstreamRoute,
  access: Access,
): string[] {
  const fields = headers.passed
  fields.push(
    'x-forwarded-for',
    context.proxies.forwardedFor(raw.socket, headers.forwardedFor),
    'x-forwarded-proto',
    context.scheme,
    'x-forwarded-host',
    headers.host ?? '',
    'x-request-id',
    id,
  )
  if (route.forwardedPrefix !== '') fields.push('x-forwarded-prefix', route.forwardedPrefix)
  if (headers.acceptsTrailers) fields.push('te', 'trailers')
  if (headers.cookie !== undefined) {
    const cookie = allowedCookies(headers.cookie, route.requestCookies)
    if (cookie !== null) fields.push('cookie', cookie)
  }
  if (!(access instanceof PublicRoute)) fields.push(...preparedFields(access, route, startedAt))
  // We decide on the framing: this length, or else chunked (CVE-2026-1525).
  if (headers.contentLength > 0) fields.push('content-length', String(headers.contentLength))
  if (headers.websocket) fields.push(...handshakeFields(raw))
  return fields
}

/**
 * Once per session, and again when a signed identity grows old: it is shared by all requests that carry its token.
 *
 * @param now by `performance.now()`. @returns a flat list.
 */
export function preparedFields(session: Session, route: UpstreamRoute, now: number): readonly string[] {
  let prepared = route.preparedFields.get(session)
  const revision = route.identityTokens === undefined ? 0 : route.identityTokens().revision
  if (prepared === undefined || prepared.freshUntil <= now || prepared.revision !== revision) {
    prepared = sessionFields(session, route, now)
    route.preparedFields.set(session, prepared)
  }
  return prepared.fields
}
