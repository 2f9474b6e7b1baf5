import { gateway } from '../../peers/index.ts'
import type { Peer } from '../../peers/peer.ts'
import type { Case } from '../../plan/case.ts'
import { gatewayPeer } from '../../servers/gateway.ts'
import { forwarding } from '../forward/forward.ts'
import { manyUpstreams } from './many.ts'

/** What the search for the longest prefix costs: a request to one of a thousand, against one to the only one. */
export const prefixes: Case = {
  name: 'prefixes',
  title: 'GET with an answer of 200 bytes, 64 connections: with one upstream prefix, and with a thousand',
  metric: 'rate',
  mode: 'repeat',
  connections: 64,
  base: forwarding(gateway, 'small'),
  contenders: [
    { ...gateway, name: 'gateway-again', title: 'the gateway against itself: the noise of this run' },
    withPrefixes(1000),
  ].map((peer) => forwarding(peer, 'small')),
}

function withPrefixes(count: number): Peer {
  return gatewayPeer({
    name: `gateway-${count}-prefixes`,
    title: `the gateway with ${count.toLocaleString('en')} upstream prefixes`,
    change: (place) => ({ upstreams: manyUpstreams(count, place) }),
  })
}
