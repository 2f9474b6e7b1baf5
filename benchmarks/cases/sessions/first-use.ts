import type { Peer, Place } from '../../peers/peer.ts'
import type { Case, Contender, Traffic } from '../../plan/case.ts'
import { signInMany } from '../../servers/app.ts'
import { unlimitedGateways } from '../../servers/gateway.ts'
import { checkAnswers, smallTraffic } from '../forward/forward.ts'

/** Requests of a slice, for each that the profile has where none is sent twice: these are quick. */
const TIMES = 4

const [first, ...others] = unlimitedGateways()

/** The first call after a login: the session is read, opened, and noted as arrived, against one that is remembered. */
export const forwardFirstUse: Case = {
  name: 'forward-first-use',
  title:
    'GET with an answer of 200 bytes, 64 connections: a token used before, and each token of a login for the first time',
  metric: 'rate',
  mode: 'once',
  connections: 64,
  oursOnly: true,
  base: usedBefore(first!),
  contenders: [firstUse(first!), ...others.flatMap((peer) => [usedBefore(peer), firstUse(peer)])],
}

function firstUse(gateway: Peer): Contender {
  const peer = {
    ...gateway,
    name: `${gateway.name}-first`,
    title: `${gateway.title}: each token's first use`,
  }
  return { peer, prepare: (place, count) => signedIn(peer, place, count) }
}

/** After as many logins, and as many calls: what is compared is compiled to the same degree, and holds as much. */
function usedBefore(peer: Peer): Contender {
  return {
    peer,
    async prepare(place, count) {
      const traffic = await signedIn(peer, place, count)
      return { ...traffic, requests: traffic.requests.map(() => traffic.requests[0]!) }
    },
  }
}

/** A call with each token of so many logins. */
async function signedIn(peer: Peer, place: Place, count: number): Promise<Traffic> {
  const [spare, ...tokens] = await signInMany(place.port, count * TIMES + 1)
  await checkAnswers(peer, place, smallTraffic([spare!.accessToken]))
  return smallTraffic(tokens.map(({ accessToken }) => accessToken))
}
