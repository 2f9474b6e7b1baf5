import type { Refusal } from '../../http/refusals.ts'
import type { ClientRequest } from '../client-request.ts'
import type { UpstreamRoute } from '../upstream/route.ts'
import { refuseHandshake } from '../websocket/handshake.ts'

/** What a message to this upstream may not be (H-18, H-19, H-29). */
export function refuseMessage({ headers, raw }: ClientRequest, route: UpstreamRoute): Refusal | null {
  if (headers.websocket) return route.websocket ? refuseHandshake(raw, headers) : 'upgrade_unsupported'
  if (!headers.hasBody) return null
  if (raw.method === 'GET' || raw.method === 'HEAD') return 'body_not_allowed'
  return headers.contentLength > route.bodyLimitBytes ? 'body_too_large' : null
}
