import type { Duplex } from 'node:stream'
import type { Session } from '../../../plugin/index.ts'
import { switchingHead, type UpgradeResponse } from '../../listener/http1-upgrade.ts'
import type { ClientRequest } from '../client-request.ts'
import { responseHead } from '../headers/response-headers.ts'
import type { UpstreamRoute } from '../upstream/route.ts'
import { UpstreamError } from '../upstream/upstream-error.ts'
import { isHandshakeAccepted } from './handshake.ts'
import { Tunnel } from './tunnel.ts'

/**
 * The 101 for the client, from the upstream's own. It is passed on only if it accepts just this handshake; whatever
 * else an upstream answers is forwarded as a response.
 *
 * @param received the upstream's header, names and values in turn.
 * @throws UpstreamError `answer_malformed`; TypeError for a field that may not be sent.
 * Source: RFC 6455 §4; requirements H-03, H-29.
 */
export function switchingResponse(
  received: string[],
  status: number,
  request: ClientRequest,
  { route, path }: { readonly route: UpstreamRoute; readonly path: string },
): Buffer {
  if (!isHandshakeAccepted(received, request.raw)) throw new UpstreamError('answer_malformed')
  const { fields } = responseHead(received, status, route, path)
  fields.push('x-request-id', request.id, 'connection', 'Upgrade', 'upgrade', 'websocket')
  return switchingHead(fields)
}

/** What the connection belongs to, and what is to be done when both sides have closed it. */
export interface TunnelOwner {
  readonly session: Session | undefined
  readonly route: UpstreamRoute
  onClose(): void
}

/**
 * Splices the client's connection with the upstream's.
 *
 * @param head of `switchingResponse`.
 */
export function openTunnel(
  head: Buffer,
  upstream: Duplex,
  request: ClientRequest,
  { session, route, onClose }: TunnelOwner,
): void {
  const { streams, websocket, counters } = route
  // Without it no handshake is sent.
  if (websocket === false) throw new TypeError(`no WebSocket at ${route.name}`)
  const { idleMs, maxMessageBytes } = websocket
  route.underWay++
  if (counters) counters.webSockets++
  // Only upgrade requests come so far, and their response is one of these.
  const client = (request.response as UpgradeResponse).switchProtocols(head)
  request.record?.switched(client)
  const tunnel = new Tunnel(client, upstream, { session, idleMs, maxMessageBytes }, () => {
    route.underWay--
    if (counters) counters.webSockets--
    streams.delete(tunnel)
    onClose()
  })
  streams.add(tunnel)
}
