import type { Duplex } from 'node:stream'
import { UpstreamError } from '../../http/refusals.ts'
import { switchingHead, type UpgradeResponse } from '../../listener/upgrade.ts'
import { Exchange } from '../exchange/exchange.ts'
import { responseHead } from '../headers/response-headers.ts'
import { isHandshakeAccepted } from './handshake.ts'
import { Tunnel } from './tunnel.ts'

/**
 * An opening handshake and its answer. The 101 is passed on only after the upstream has given a valid one; whatever
 * else it answers is passed on as an answer.
 *
 * Source: RFC 6455 §4; requirements H-03, H-29.
 */
export class WebSocketExchange extends Exchange {
  protected override get upgrade(): string {
    return 'websocket'
  }

  onUpgrade(status: number, raw: Buffer[], upstream: Duplex): void {
    this.target.answered()
    try {
      if (!isHandshakeAccepted(raw, this.request.raw)) throw new UpstreamError('answer_malformed')
      const { fields } = responseHead(raw, status, this.route, this.path)
      fields.push('x-request-id', this.request.id, 'connection', 'Upgrade', 'upgrade', 'websocket')
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
    if (!this.settle(false) || websocket === false) {
      upstream.destroy()
      return
    }
    // Only upgrade requests come so far, and their answer is one of these.
    const response = this.response as UpgradeResponse
    if (streams.isFull(session)) {
      upstream.destroy()
      this.request.refuse('too_many_streams')
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
