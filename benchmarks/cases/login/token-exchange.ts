import { minimal, nodeOAuth, oidcProvider } from '../../peers/login/index.ts'
import type { Peer } from '../../peers/peer.ts'
import type { Case, Contender } from '../../plan/case.ts'
import { codeForm, obtainCodes, signInMany } from '../../servers/app.ts'
import { unlimitedGateways } from '../../servers/gateway.ts'
import { checkRefused, tokenRequest } from './endpoints.ts'

/** `POST /oauth2/token` with a code: verifier proved, provider called, tokens sealed, one record in two swaps. */
export const tokenExchange: Case = {
  name: 'token-exchange',
  title: 'POST /oauth2/token with a code, each used once; the provider gives no id_token',
  metric: 'rate',
  mode: 'once',
  connections: 64,
  base: exchanging(minimal),
  contenders: [...unlimitedGateways(), nodeOAuth, oidcProvider].map(exchanging),
  allocation: true,
}

function exchanging(peer: Peer): Contender {
  return {
    peer,
    async prepare({ port }, count) {
      await checkRefused(port, tokenRequest(codeForm('a-code-that-nobody-has-given')))
      // Whole logins, whose every answer is checked. They are also the warm-up: codes live for a minute, so there
      // cannot be as many as it takes until everything is compiled.
      await signInMany(port, 2 * count)
      const codes = await obtainCodes(port, count)
      return { requests: codes.map((code) => tokenRequest(codeForm(code))), status: 200 }
    },
  }
}
