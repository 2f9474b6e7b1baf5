import { Tunnel } from '../load/ours/tunnel.ts'
import type { PlannedRequest } from '../load/plan.ts'
import { bare } from '../peers/index.ts'
import { nodePeer, type Peer, type Place } from '../peers/peer.ts'
import type { Case, Contender } from '../plan/case.ts'
import { api, gatewayPeer } from '../servers/gateway.ts'

/** Messages of 100 bytes and their echoes, as fast as they come back. */
export const websocketEcho: Case = {
  name: 'websocket-echo',
  title: '64 WebSockets, a message of 100 bytes and its echo at a time; a request is a message with its echo',
  metric: 'rate',
  mode: 'echo',
  connections: 64,
  base: echoing({ ...bare, title: 'node:http and two sockets joined, no authentication: the limit' }),
  contenders: [
    gatewayPeer({
      name: 'gateway',
      title: 'the gateway, WebSocket switched on, memory store',
      change: (place) => ({ upstreams: [{ ...api(place), scopes: ['orders.read'], websocket: true }] }),
    }),
    nodePeer({
      name: 'http-proxy',
      title: '@fastify/http-proxy, WebSocket switched on, no authentication',
      script: 'peers/node/http-proxy-streams.js',
      needsPackages: true,
      environment: { NODE_ENV: 'production' },
      argument: () => ({ connections: 64 }),
    }),
  ].map(echoing),
}

function echoing(peer: Peer): Contender {
  return {
    peer,
    async prepare(place) {
      const authorization = await peer.authorization(place)
      const request = { method: 'GET', path: '/api/echo', headers: { authorization } } as const
      await echoOnce(place, request)
      if (peer.authenticates) await checkRefusal(place, request)
      return { requests: [request], status: 101 }
    },
  }
}

/** @throws Error with the status line if it is refused. */
function echoOnce({ port }: Place, request: PlannedRequest): Promise<void> {
  return new Promise((resolve, reject) => {
    new Tunnel(port, request, 'is anybody there?', {
      opened: (tunnel) => tunnel.send(),
      echoed(tunnel) {
        tunnel.close()
        resolve()
      },
      failed: (_, why) => reject(new Error(why)),
    })
  })
}

/** No tunnel for nobody. */
async function checkRefusal(place: Place, request: PlannedRequest): Promise<void> {
  const outcome = await echoOnce(place, { ...request, headers: {} }).catch((error: Error) => error.message)
  if (outcome === undefined || !outcome.startsWith('HTTP/1.1 401 ')) {
    throw new Error(`without a token it answers ${outcome ?? 'as with one'}`)
  }
}
