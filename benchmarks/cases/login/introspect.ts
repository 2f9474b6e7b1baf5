import { ask } from '../../measure/check.ts'
import type { Peer } from '../../peers/peer.ts'
import type { Case, Contender } from '../../plan/case.ts'
import { signIn } from '../../servers/app.ts'
import { RESOURCE_SERVER, unlimitedGateways } from '../../servers/gateway.ts'
import { greeted } from './hello.ts'

const { clientId, clientSecret } = RESOURCE_SERVER

/** `POST /oauth2/introspect` by a resource server, for one live token. */
export const introspect: Case = {
  name: 'introspect',
  title: 'POST /oauth2/introspect of a live token, 64 connections',
  metric: 'rate',
  mode: 'repeat',
  connections: 64,
  base: greeted,
  contenders: unlimitedGateways({ resourceServers: [RESOURCE_SERVER] }).map(asking),
}

function asking(peer: Peer): Contender {
  return {
    peer,
    async prepare({ port }) {
      const { accessToken } = await signIn(port)
      const request = {
        method: 'POST',
        path: '/oauth2/introspect',
        headers: {
          authorization: `Basic ${Buffer.from(`${clientId}:${clientSecret}`).toString('base64')}`,
          'content-type': 'application/x-www-form-urlencoded',
        },
        body: String(new URLSearchParams({ token: accessToken })),
      } as const
      const { status, body } = await ask(port, request)
      const { active } = JSON.parse(body.toString()) as { active?: boolean }
      if (status !== 200 || active !== true) throw new Error(`introspect answers ${status}: ${body}`)
      return { requests: [request], status: 200, answer: body.toString() }
    },
  }
}
