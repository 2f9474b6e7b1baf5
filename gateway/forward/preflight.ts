import type { IncomingMessage } from 'node:http'
import type { Pkce } from '../../plugin/index.ts'
import type { UpstreamRoute } from './upstream/route.ts'

const MAX_AGE_SECONDS = '600'
const FIELD_NAMES = /^[!#$%&'*+\-.^_`|~0-9A-Za-z, ]{1,1024}$/

/**
 * The answer to a preflight, or null if this is none, or its origin belongs to no client.
 *
 * Given before the session check, because a preflight carries no credentials, and never forwarded.
 * Source: Fetch §3.2.2; requirements H-28.
 */
export function preflightFields(
  request: IncomingMessage,
  route: UpstreamRoute,
  sessions: Pick<Pkce, 'corsHeaders'>,
): Record<string, string> | null {
  const {
    origin,
    'access-control-request-method': method,
    'access-control-request-headers': requested,
  } = request.headers
  if (request.method !== 'OPTIONS' || origin === undefined || method === undefined) return null
  const allowed = sessions.corsHeaders(origin)
  if (allowed['access-control-allow-origin'] === undefined) return null
  return {
    ...allowed,
    'access-control-allow-methods': route.allow,
    ...(requested !== undefined &&
      FIELD_NAMES.test(requested) && { 'access-control-allow-headers': requested }),
    'access-control-max-age': MAX_AGE_SECONDS,
  }
}
