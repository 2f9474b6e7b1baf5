import { nodeCommand, type Peer } from '../peers/peer.ts'
import type { Case, Contender } from '../plan/case.ts'
import { signIn } from '../servers/app.ts'
import { gatewayConfiguration, gatewayPeer, lifted, otherGateways } from '../servers/gateway.ts'
import { forwarding } from './forward/forward.ts'
import { beginning } from './login/authorize.ts'

/** What the gateway does to be quick, and what each of these is worth: the gateway without it, against the gateway. */
export const fastPaths: readonly Case[] = [
  {
    ...common('fast-paths-get', 'GET with an answer of 200 bytes, without one fast path'),
    ...without(['coalesced responses', 'header-only requests'], (peer) => forwarding(peer, 'small')),
  },
  {
    ...common('fast-paths-post', 'POST of 1 KiB, without one fast path'),
    ...without(['whole bodies', 'coalesced responses'], (peer) => forwarding(peer, { up: 1024 })),
  },
  {
    ...common('fast-paths-authorize', 'GET /oauth2/authorize, without one fast path'),
    ...without(['coalesced responses', 'header-only requests'], beginning),
  },
]

/** What the access log costs: the gateway with each `log.requests`, against the one that has none. */
export const accessLog: Case = {
  ...common('access-log', 'GET with an answer of 200 bytes: off, errors, all of log.requests'),
  base: forwarding(logging('off'), 'small'),
  contenders: [logging('off', '-again'), logging('errors'), logging('all'), ...otherGateways()].map((peer) =>
    forwarding(peer, 'small'),
  ),
}

function logging(requests: 'off' | 'errors' | 'all', again = ''): Peer {
  return gatewayPeer({
    name: `gateway-${requests}${again}`,
    title: `the gateway, log.requests: ${requests}${again && ', against itself: the noise'}`,
    change: () => ({ log: { requests } }),
  })
}

/** What the metrics cost: the gateway that counts, against the one that does not. */
export const metrics: Case = {
  ...common('metrics', 'GET with an answer of 200 bytes: admin.metrics off and on'),
  base: forwarding(counting(false), 'small'),
  contenders: [counting(false, '-again'), counting(true)].map((peer) => forwarding(peer, 'small')),
}

function counting(isOn: boolean, again = ''): Peer {
  return gatewayPeer({
    name: `gateway-metrics-${isOn ? 'on' : 'off'}${again}`,
    title: `the gateway, admin.metrics: ${isOn}${again && ', against itself: the noise'}`,
    change: ({ helperPort }) => ({ admin: { host: '127.0.0.1', port: helperPort, metrics: isOn } }),
  })
}

function common(name: string, title: string) {
  return { name, title, metric: 'rate', mode: 'repeat', connections: 64, oursOnly: true } as const
}

function without(names: readonly string[], contender: (peer: Peer) => Contender) {
  return {
    base: contender(plainGateway(null)),
    contenders: [
      contender(plainGateway(null, 'again')),
      ...names.map((name) => contender(plainGateway(name))),
    ],
  }
}

function plainGateway(name: string | null, again = ''): Peer {
  return {
    name: name === null ? `gateway${again && `-${again}`}` : `without ${name}`,
    title:
      name === null
        ? `the gateway with all of them${again && ', against itself: the noise'}`
        : `without ${name}`,
    isNode: true,
    authenticates: true,
    commands: (place) => {
      const config = { ...gatewayConfiguration(place), ...lifted }
      return [nodeCommand(place, 'servers/plain-gateway.js', { config, without: name })]
    },
    authorization: async ({ port }) => `Bearer ${(await signIn(port)).accessToken}`,
  }
}
