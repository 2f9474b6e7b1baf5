import { createServices } from '../../../gateway/app.ts'
import { gatewayConfig } from '../../../gateway/index.ts'
import { createTestGrantIssuer } from '../../../plugin/api/testing.ts'
import { bare, gateway } from '../../peers/index.ts'
import { letsEverybodyThrough, type Place } from '../../peers/peer.ts'
import type { Case, Contender } from '../../plan/case.ts'
import { api, gatewayConfiguration, gatewayPeer } from '../../servers/gateway.ts'
import { inRedis, SESSION_SECONDS } from '../../servers/redis.ts'
import { checkAnswers, forwarding, smallTraffic } from './forward.ts'

/** Requests of a slice, for each that the profile has where none is sent twice: these are quick. */
const TIMES = 10
const CONCURRENT = 64

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
      const [spare, ...tokens] = await makeSessions(place, count * TIMES + 1)
      await checkAnswers(peer, place, smallTraffic([spare!]))
      return smallTraffic(tokens)
    },
  }
}

/** In the Redis of the gateway that listens. @returns their access tokens. */
async function makeSessions(place: Place, count: number): Promise<string[]> {
  const config = gatewayConfig({ ...gatewayConfiguration(place), ...inRedis(place) })
  const { store, options } = createServices(config)
  try {
    await store.prepare()
    const issuer = createTestGrantIssuer(options)
    const tokens: string[] = []
    const users = Array(count).keys()
    const work = async () => {
      for (const user of users) {
        const session = { subject: `user-${user}`, expiresInSeconds: SESSION_SECONDS }
        tokens.push((await issuer.issue(session)).accessToken)
      }
    }
    await Promise.all(Array.from({ length: CONCURRENT }, work))
    return tokens
  } finally {
    await store.close()
  }
}
