import { bare, forwarders, gateway } from '../../peers/index.ts'
import type { Peer, Place } from '../../peers/peer.ts'
import type { Case, Contender } from '../../plan/case.ts'
import { eventStreams } from '../event-streams.ts'
import { forwarding } from '../forward/forward.ts'
import { websocketEcho } from '../websocket-echo.ts'

const HELD = 1000
/** A session may have 100 streams open, and an address may log in fifteen times a minute. */
const USERS = 12
const held = HELD.toLocaleString('en')

/** What a connection costs while nothing happens on it: each was used once, and is held. */
export const idleMemory: readonly Case[] = [
  {
    ...common('idle-connections', `memory of ${held} kept connections, each after one GET`),
    mode: 'idle-connections',
    base: forwarding(bare, 'small'),
    contenders: [gateway, again(bare), ...only('http-proxy', 'nginx')].map((peer) =>
      forwarding(peer, 'small'),
    ),
  },
  {
    ...common('idle-events', `memory of ${held} event streams, each after one event`),
    mode: 'idle-events',
    base: ofUsers(eventStreams.base, '/api/quiet'),
    contenders: eventStreams.contenders.map((one) => ofUsers(one, '/api/quiet')),
  },
  {
    ...common('idle-websockets', `memory of ${held} WebSockets, each after one message and its echo`),
    mode: 'idle-echo',
    base: ofUsers(websocketEcho.base),
    contenders: websocketEcho.contenders.map((one) => ofUsers(one)),
  },
]

function common(name: string, title: string) {
  return { name, title, metric: 'connection-memory', connections: HELD, oursOnly: true } as const
}

function only(...names: readonly string[]): readonly Peer[] {
  return forwarders.filter(({ name }) => names.includes(name))
}

function again(peer: Peer): Peer {
  return { ...peer, name: 'bare-again', title: 'the limit against itself: the noise of this run' }
}

/** The same server, checked in the same way, asked by so many users. */
function ofUsers({ peer, prepare }: Contender, path?: string): Contender {
  return {
    peer,
    async prepare(place: Place, count: number) {
      const traffic = await prepare(place, count)
      const requests = [...traffic.requests]
      while (requests.length < USERS) {
        const authorization = await peer.authorization(place)
        const { headers, ...request } = requests[0]!
        requests.push({ ...request, headers: { ...headers, authorization } })
      }
      return { ...traffic, requests: requests.map((one) => ({ ...one, path: path ?? one.path })) }
    },
  }
}
