import { gateway } from '../../peers/index.ts'
import type { Peer, Place } from '../../peers/peer.ts'
import type { Case, Contender, Traffic } from '../../plan/case.ts'
import { smallAnswer } from '../../servers/bodies.ts'
import { gatewayConfiguration, gatewayPeer } from '../../servers/gateway.ts'
import { BoundApp, type ProofAlgorithm } from './bound-app.ts'
import { checkAnswers, forwarding } from './forward.ts'

/**
 * Requests of a slice, for each that the profile has where none is sent twice. All must be sent while the nonce lives
 * that is in them, some 28 s; and a signature by RSA takes twenty times as long as one by P-256.
 */
const TIMES: Readonly<Record<ProofAlgorithm, number>> = { ES256: 4, PS256: 1.5 }

/** What a proof costs: each request has one of its own, made before, by one key; against a bearer token. */
export const forwardDpop: Case = {
  name: 'forward-dpop',
  title: 'GET with an answer of 200 bytes, 64 connections: as a bearer token, and with a DPoP proof',
  metric: 'rate',
  mode: 'once',
  connections: 64,
  oursOnly: true,
  base: asBearer(gateway),
  contenders: [
    asBearer({
      ...gateway,
      name: 'gateway-again',
      title: 'the gateway, a bearer token again: the noise of this run',
    }),
    proving('ES256'),
    proving('PS256'),
  ],
}

/** As many requests as there are with proofs, so that as much is compiled when the time begins. */
function asBearer(peer: Peer): Contender {
  const { prepare } = forwarding(peer, 'small')
  return {
    peer,
    async prepare(place, count) {
      const traffic = await prepare(place, count)
      return { ...traffic, requests: Array(count * TIMES.ES256).fill(traffic.requests[0]) }
    },
  }
}

function proving(alg: ProofAlgorithm): Contender {
  const peer = gatewayPeer({
    name: `gateway-dpop-${alg.toLowerCase()}`,
    title: `the gateway, a DPoP proof with each request, ${alg}`,
    change: (place) => ({
      clients: gatewayConfiguration(place).clients.map((client) => ({ ...client, dpop: 'required' })),
    }),
  })
  return {
    peer,
    async prepare(place, count) {
      const app = await BoundApp.signIn(place.port, alg)
      await checkAnswers(peer, place, trafficOf(app, 1, place))
      await app.waitForNonce(place.port)
      return trafficOf(app, Math.ceil(count * TIMES[alg]), place)
    },
  }
}

function trafficOf(app: BoundApp, count: number, { port }: Place): Traffic {
  const requests = Array.from({ length: count }, () => ({
    method: 'GET' as const,
    path: '/api/small',
    headers: {
      ...app.headers(port, 'GET', '/api/small'),
      accept: 'application/json',
      'user-agent': 'benchmark/1',
    },
  }))
  return { requests, status: 200, answer: smallAnswer.toString() }
}
