import { minimal, nodeOAuth, oidcProvider } from '../../peers/login/index.ts'
import type { Peer } from '../../peers/peer.ts'
import type { Case, Contender } from '../../plan/case.ts'
import { refreshForm, refreshMany, signInMany } from '../../servers/app.ts'
import { unlimitedGateways } from '../../servers/gateway.ts'
import { checkRefused, tokenRequest } from './endpoints.ts'

/** The refresh grant while the provider's token is good for long: rotation alone, and no call to the provider. */
export const refresh: Case = {
  name: 'refresh',
  title: 'POST /oauth2/token with a refresh token, each used once; the provider is not called',
  metric: 'rate',
  mode: 'once',
  connections: 64,
  base: refreshing(minimal),
  contenders: [...unlimitedGateways(), nodeOAuth, oidcProvider].map(refreshing),
}

function refreshing(peer: Peer): Contender {
  return {
    peer,
    async prepare({ port }, count) {
      await checkRefused(port, tokenRequest(refreshForm('a-refresh-token-that-nobody-has-given')))
      // Two refreshes of each, with their answers checked, are the warm-up.
      const first = await signInMany(port, count)
      const tokens = await refreshMany(port, await refreshMany(port, first))
      const requests = tokens.map(({ refreshToken }) => tokenRequest(refreshForm(refreshToken)))
      return { requests, status: 200 }
    },
  }
}
