import { Agent } from 'node:http'
import { EventClient } from '../load/ours/events.ts'
import type { PlannedRequest } from '../load/plan.ts'
import { ask } from '../measure/check.ts'
import { bare, forwarders } from '../peers/index.ts'
import { nodePeer, type Peer, type Place } from '../peers/peer.ts'
import type { Case, Contender } from '../plan/case.ts'
import { EVENTS_PER_SECOND } from '../servers/event-stream.ts'
import { api, gatewayPeer } from '../servers/gateway.ts'

const STREAMS = 500
/** A grant may have 100 streams open. */
const USERS = 10
/** To the upstream: an event stream holds one. */
const CONNECTIONS = 2 * STREAMS

/** Event streams of many users, each event passed on as it comes. */
export const eventStreams: Case = {
  name: 'event-streams',
  title: `${STREAMS} event streams of ${EVENTS_PER_SECOND} events per second each; a request is an event`,
  metric: 'rate',
  mode: 'events',
  connections: STREAMS,
  base: streaming(
    nodePeer({
      name: bare.name,
      title: bare.title,
      script: 'peers/bare/bare.js',
      argument: () => ({ connections: CONNECTIONS }),
    }),
  ),
  contenders: [
    gatewayPeer({
      name: 'gateway',
      title: `the gateway, memory store, ${CONNECTIONS.toLocaleString('en')} upstream connections`,
      change: (place) => ({
        upstreams: [{ ...api(place), scopes: ['orders.read'], connections: CONNECTIONS }],
      }),
    }),
    nodePeer({
      name: 'http-proxy',
      title: '@fastify/http-proxy, no authentication',
      script: 'peers/node/http-proxy-streams.js',
      needsPackages: true,
      environment: { NODE_ENV: 'production' },
      argument: () => ({ connections: CONNECTIONS }),
    }),
    ...forwarders.filter(({ name }) => name === 'nginx'),
  ].map(streaming),
}

function streaming(peer: Peer): Contender {
  return {
    peer,
    async prepare(place) {
      const requests: PlannedRequest[] = []
      for (let user = 0; user < USERS; user += 1) requests.push(await requestOf(peer, place))
      await checkStream(place, requests[0]!)
      if (peer.authenticates) await checkRefusal(place, requests[0]!)
      return { requests, status: 200 }
    },
  }
}

async function requestOf(peer: Peer, place: Place): Promise<PlannedRequest> {
  const authorization = await peer.authorization(place)
  return { method: 'GET', path: '/api/events', headers: { authorization, accept: 'text/event-stream' } }
}

/** Until the first event, which must be as sent. */
async function checkStream({ port }: Place, request: PlannedRequest): Promise<void> {
  const agent = new Agent()
  const problems: string[] = []
  const tally = { answered() {}, failed: (why: string) => problems.push(why) }
  await new EventClient(port, request, agent, tally).next()
  if (problems.length > 0) throw new Error(problems[0])
  agent.destroy()
}

/** No stream for nobody. */
async function checkRefusal({ port }: Place, request: PlannedRequest): Promise<void> {
  const { authorization: _, ...anonymous } = request.headers
  const { status } = await ask(port, { ...request, headers: anonymous })
  if (status !== 401) throw new Error(`without a token it answers ${status}`)
}
