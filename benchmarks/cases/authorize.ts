import { ask } from '../measure/check.ts'
import type { Peer } from '../peers/peer.ts'
import type { Case, Contender } from '../plan/case.ts'
import { authorizationPath } from '../servers/app.ts'
import { unlimitedGateways } from '../servers/gateway.ts'
import { greeted } from './hello.ts'

/** `GET /oauth2/authorize`: from the app's request to the redirect to the provider. */
export const authorize: Case = {
  name: 'authorize',
  title: 'GET /oauth2/authorize, 64 connections',
  metric: 'rate',
  mode: 'repeat',
  connections: 64,
  base: greeted,
  contenders: unlimitedGateways().map(beginning),
}

/** A server whose `authorize` is asked over and over. */
export function beginning(peer: Peer): Contender {
  return {
    peer,
    async prepare({ port }) {
      const request = { method: 'GET', path: authorizationPath, headers: {} } as const
      const { status } = await ask(port, request)
      if (status !== 302) throw new Error(`authorize answers ${status}`)
      return { requests: [request], status: 302 }
    },
  }
}
