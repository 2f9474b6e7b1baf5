import type { PlannedRequest } from '../../load/plan.ts'
import { ask } from '../../measure/check.ts'
import { fastifyOAuth2, minimal } from '../../peers/login/index.ts'
import type { Peer } from '../../peers/peer.ts'
import type { Case, Contender } from '../../plan/case.ts'
import { beginMany, obtainCodes, type ReturnFromProvider } from '../../servers/app.ts'
import { unlimitedGateways } from '../../servers/gateway.ts'
import { checkRefused } from './endpoints.ts'

/** `GET /oauth2/callback`: state and browser proved, the provider's code kept for the exchange, the app sent its own. */
export const callback: Case = {
  name: 'callback',
  title:
    "GET /oauth2/callback with the provider's code, each login once; @fastify/oauth2 calls the provider here",
  metric: 'rate',
  mode: 'once',
  connections: 64,
  base: returning(minimal),
  contenders: [...unlimitedGateways(), fastifyOAuth2].map(returning),
}

function returning(peer: Peer): Contender {
  return {
    peer,
    async prepare({ port }, count) {
      await checkRefused(
        port,
        callbackRequest({ path: '/oauth2/callback?state=unknown&code=a', cookie: 'a=b' }),
      )
      // Logins up to their codes, with their redirects checked, are the warm-up.
      await obtainCodes(port, 2 * count)
      const [first, ...others] = await beginMany(port, count + 1)
      const { status } = await ask(port, callbackRequest(first!))
      if (status !== 302) throw new Error(`callback answers ${status}`)
      return { requests: others.map(callbackRequest), status }
    },
  }
}

function callbackRequest({ path, cookie }: ReturnFromProvider): PlannedRequest {
  return { method: 'GET', path, headers: { cookie } }
}
