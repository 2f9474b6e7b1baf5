import { join } from 'node:path'
import { nodePeer, type Peer } from '../../peers/peer.ts'
import type { Case, Contender } from '../../plan/case.ts'
import { gatewayPeer } from '../../servers/gateway.ts'
import { forwarding } from '../forward/forward.ts'
import { manyClients, manyUpstreams } from './many.ts'

/**
 * What a start costs: CPU time, wall time and memory at rest, with few and with many clients and routes.
 *
 * The compile cache is of Node 22.8 and newer. Cold: its folder is empty. Warm: the same server was started there
 * before, and has ended. Node before that has none, and both are the same.
 */
export const start: Case = {
  name: 'start',
  title: 'a start, from the making of the process until it is ready',
  metric: 'start',
  mode: 'start',
  connections: 1,
  base: starting(gateway('gateway', 'one client, one route, compile cache cold')),
  contenders: [
    starting(gateway('gateway-again', 'the same again: the noise of this run')),
    starting(gateway('gateway-warm', 'one client, one route, compile cache warm'), 'restart'),
    starting(gateway('gateway-1000-clients', '1,000 clients, cold', { clients: 1000 })),
    starting(gateway('gateway-10000-clients', '10,000 clients, cold', { clients: 10_000 })),
    starting(gateway('gateway-1000-routes', '1,000 routes, cold', { routes: 1000 })),
    starting(httpProxy('http-proxy', 'one route', 1)),
    starting(httpProxy('http-proxy-warm', 'one route, compile cache warm', 1, true), 'restart'),
    starting(httpProxy('http-proxy-1000-routes', '1,000 routes', 1000)),
  ],
}

/** What it answers is checked once it has been measured. */
function starting(peer: Peer, mode: 'start' | 'restart' = 'start'): Contender {
  return { ...forwarding(peer, 'small'), mode }
}

function gateway(name: string, title: string, { clients = 1, routes = 1 } = {}): Peer {
  const peer = gatewayPeer({
    name,
    title: `the gateway: ${title}`,
    change: (place) => ({ clients: manyClients(clients), upstreams: manyUpstreams(routes, place) }),
  })
  return {
    ...peer,
    // The cache of a user is neither asked nor filled.
    commands: (place) =>
      peer.commands(place).map((command) => ({
        ...command,
        environment: { XDG_CACHE_HOME: join(place.folder, 'cache') },
      })),
  }
}

/** As it comes it has no compile cache; `cached`: Node's own, which anybody may switch on. */
function httpProxy(name: string, title: string, routes: number, cached = false): Peer {
  const peer = nodePeer({
    name,
    title: `@fastify/http-proxy, no authentication: ${title}`,
    script: 'peers/node/http-proxy.js',
    needsPackages: true,
    argument: () => ({ routes }),
  })
  return {
    ...peer,
    commands: (place) =>
      peer.commands(place).map((command) => ({
        ...command,
        environment: {
          NODE_ENV: 'production',
          ...(cached && { NODE_COMPILE_CACHE: join(place.folder, 'cache') }),
        },
      })),
  }
}
