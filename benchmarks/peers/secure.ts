import { gatewayPeer } from '../servers/gateway.ts'
import { secureNginx } from './native/nginx.ts'
import { nodePeer, type Peer } from './peer.ts'

/** Those that forward over TLS, all with the certificate of the run. The client has one cipher suite and one group. */
export const bareHttps = bare('bare-https', 'node:https + undici dispatch, no authentication: the limit')
export const bareHttp2 = bare(
  'bare-http2',
  'node:http2 streams + undici dispatch, no authentication: the limit',
)

export const httpsForwarders: readonly Peer[] = [
  gatewayPeer({ name: 'gateway', title: 'the gateway, listen.tls', secure: 'http/1.1' }),
  again(bareHttps),
  secureNginx('nginx', 'http/1.1'),
]

export const http2Forwarders: readonly Peer[] = [
  gatewayPeer({ name: 'gateway', title: 'the gateway, listen.tls and listen.http2', secure: 'h2' }),
  again(bareHttp2),
  secureNginx('nginx', 'h2'),
]

function bare(name: 'bare-https' | 'bare-http2', title: string): Peer {
  return nodePeer({
    name,
    title,
    script: `peers/bare/${name}.js`,
    secure: name === 'bare-http2' ? 'h2' : 'http/1.1',
    argument: ({ keys: { certificate } }) => ({ cert: certificate.cert, key: certificate.key }),
  })
}

function again(peer: Peer): Peer {
  return { ...peer, name: 'bare-again', title: 'the limit against itself: the noise of this run' }
}
