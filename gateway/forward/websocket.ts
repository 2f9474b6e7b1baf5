import type { Duplex } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { ForwardedRequest } from './answer.ts'
import { UpstreamError } from './errors.ts'
import { Exchange } from './exchange.ts'
import { type Access, PublicRoute } from './policy.ts'
import { answerRefusal } from './problem.ts'
import { responseHead } from './response-headers.ts'
import { switchingHead, type UpgradeResponse } from './upgrade.ts'
import type { UpstreamRoute } from './upstream.ts'
import { handshakeFields, isHandshakeAccepted } from './websocket-handshake.ts'
import { Tunnel } from './websocket-tunnel.ts'

/**
 * Sends an opening handshake to its upstream. The 101 is passed on only after the upstream has given a valid one;
 * whatever else it answers is passed on as an answer.
 *
 * Source: RFC 6455 §4; requirements H-03, H-29.
 */
export function forwardWebSocket(
  route: UpstreamRoute,
  access: Access,
  request: FastifyRequest,
  reply: FastifyReply,
  forwarded: ForwardedRequest,
): void {
  const { fields } = forwarded
  if (!(access instanceof PublicRoute)) fields.push(...route.fieldsFor(access))
  fields.push(...handshakeFields(request.raw))
  new WebSocketExchange(route, access, request, reply, forwarded, 'websocket').send()
}

/** A handshake and its answer, whichever it is. */
class WebSocketExchange extends Exchange {
  onUpgrade(status: number, raw: Buffer[], upstream: Duplex): void {
    this.target.answered()
    try {
      if (!isHandshakeAccepted(raw, this.request)) throw new UpstreamError('answer_malformed')
      const { fields } = responseHead(raw, status, this.route, this.path)
      fields.push('x-request-id', this.requestId, 'connection', 'Upgrade', 'upgrade', 'websocket')
      this.#open(switchingHead(fields), upstream)
    } catch (cause) {
      upstream.destroy()
      this.onError(new UpstreamError('answer_malformed', cause))
    }
  }

  #open(head: Buffer, upstream: Duplex): void {
    const { target, session } = this
    const { streams, websocket } = this.route
    // The client has left meanwhile.
    if (websocket === false || !this.settle(false)) {
      upstream.destroy()
      return
    }
    // Only upgrade requests come so far, and their answer is one of these.
    const response = this.response as UpgradeResponse
    if (streams.isFull(session)) {
      upstream.destroy()
      answerRefusal(this.request, response, this.requestId, 'too_many_streams')
      return
    }
    const { idleMs, maxMessageBytes } = websocket
    target.tunnels++
    const client = response.switchProtocols(head)
    const tunnel = new Tunnel(client, upstream, { session, idleMs, maxMessageBytes }, () => {
      target.tunnels--
      streams.delete(tunnel)
    })
    streams.add(tunnel)
  }
}
