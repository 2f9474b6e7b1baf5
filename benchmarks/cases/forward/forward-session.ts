import { bare, gateway } from '../../peers/index.ts'
import { letsEverybodyThrough } from '../../peers/peer.ts'
import type { Case, Contender } from '../../plan/case.ts'
import { api, gatewayPeer } from '../../servers/gateway.ts'
import { plantedTokens, plantInRedis } from '../../servers/sessions/planted.ts'
import { checkAnswers, forwarding, smallTraffic } from './forward.ts'

/** Requests of a slice, for each that the profile has where none is sent twice: these are quick. */
const TIMES = 10

/** What a session costs: none is asked for, it is in the memory, as a signed identity, it was read from Redis before, or is read now. */
export const forwardSession: Case = {
  name: 'forward-session',
  title:
    'GET with an answer of 200 bytes, 64 connections: without a session, with one in memory, and in Redis',
  metric: 'rate',
  mode: 'repeat',
  connections: 64,
  oursOnly: true,
  base: forwarding(bare, 'small'),
  contenders: [
    forwarding(
      {
        ...gatewayPeer({
          name: 'gateway-public',
          title: 'the gateway, public route: no session',
          change: (place) => ({ upstreams: [{ ...api(place), public: true }] }),
        }),
        ...letsEverybodyThrough,
      },
      'small',
    ),
    forwarding(gateway, 'small'),
    forwarding(
      gatewayPeer({
        name: 'gateway-identity-jwt',
        title: "the gateway, a JWT of its own in the place of the provider's token",
        change: (place) => ({
          upstreams: [{ ...api(place), scopes: ['orders.read'], credentials: 'identity-jwt' }],
        }),
      }),
      'small',
    ),
    forwarding(
      gatewayPeer({
        name: 'gateway-redis-warm',
        title: 'the gateway, session in Redis, read before',
        redis: true,
      }),
      'small',
    ),
    cold(),
  ],
}

/** Every request is the first one of its session. */
function cold(): Contender {
  const peer = gatewayPeer({
    name: 'gateway-redis-cold',
    title: 'the gateway, session in Redis, read now: each token used once',
    redis: true,
  })
  return {
    peer,
    mode: 'once',
    async prepare(place, count) {
      const sessions = count * TIMES + 1
      await plantInRedis(place, sessions)
      const [spare, ...tokens] = plantedTokens(sessions, place.folder)
      await checkAnswers(peer, place, smallTraffic([spare!]))
      return smallTraffic(tokens)
    },
  }
}
