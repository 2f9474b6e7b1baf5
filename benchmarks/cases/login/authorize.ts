import { ask } from '../../measure/check.ts'
import { fastifyOAuth2, minimal, oidcProvider } from '../../peers/login/index.ts'
import type { Peer } from '../../peers/peer.ts'
import type { Case, Contender } from '../../plan/case.ts'
import { authorizationPath, obtainCodes } from '../../servers/app.ts'
import { unlimitedGateways } from '../../servers/gateway.ts'

/** `GET /oauth2/authorize`: from the app's request to the redirect to the provider, or to the server's own login. */
export const authorize: Case = {
  name: 'authorize',
  title: 'GET /oauth2/authorize, 64 connections',
  metric: 'rate',
  mode: 'repeat',
  connections: 64,
  base: beginning(minimal),
  contenders: [...unlimitedGateways(), oidcProvider, fastifyOAuth2].map(beginning),
}

/** A server whose `authorize` is asked over and over. */
export function beginning(peer: Peer): Contender {
  return {
    peer,
    async prepare({ port }) {
      // What is begun there can be brought to its end.
      await obtainCodes(port, 1)
      const request = { method: 'GET', path: authorizationPath, headers: {} } as const
      const { status } = await ask(port, request)
      if (status !== 302 && status !== 303) throw new Error(`authorize answers ${status}`)
      return { requests: [request], status }
    },
  }
}
