import type { Peer } from '../../peers/peer.ts'
import { bareHttp2, bareHttps, http2Forwarders, httpsForwarders } from '../../peers/secure.ts'
import type { Case } from '../../plan/case.ts'
import { forwarding } from '../forward/forward.ts'

const small = (peer: Peer) => forwarding(peer, 'small')

/** A forward over TLS, and what a handshake costs: whole, and with the session of the connection before. */
export const secure: readonly Case[] = [
  {
    ...common('https-get', 'GET with an answer of 200 bytes over TLS 1.3, HTTP/1.1, 64 connections'),
    base: small(bareHttps),
    contenders: httpsForwarders.map(small),
  },
  {
    ...common('http2-get', 'GET with an answer of 200 bytes over HTTP/2, 64 streams on 4 connections'),
    base: small(bareHttp2),
    contenders: http2Forwarders.map(small),
  },
  {
    ...common('handshakes', 'a TLS 1.3 connection for each GET, with a whole handshake; 64 at a time'),
    base: small(bareHttps),
    contenders: httpsForwarders.map(small),
    handshakes: 'full',
  },
  {
    ...common(
      'handshakes-resumed',
      'a TLS 1.3 connection for each GET, with a session resumed; 64 at a time',
    ),
    base: small(bareHttps),
    contenders: httpsForwarders.map(small),
    handshakes: 'resumed',
  },
]

function common(name: string, title: string) {
  return { name, title, metric: 'rate', mode: 'repeat', connections: 64, oursOnly: true } as const
}
