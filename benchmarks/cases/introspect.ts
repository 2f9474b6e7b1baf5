import { signIn } from '../app.ts'
import type { Case } from '../case.ts'
import { ask } from '../check.ts'
import { gatewayPeer, RESOURCE_SERVER } from '../gateway.ts'
import { greeted } from './hello.ts'

const { clientId, clientSecret } = RESOURCE_SERVER
const asked = gatewayPeer(
  { rateLimit: false, resourceServers: [RESOURCE_SERVER] },
  { name: 'gateway', title: 'the gateway, address limits lifted, memory store' },
)

/** `POST /oauth2/introspect` by a resource server, for one live token. */
export const introspect: Case = {
  name: 'introspect',
  title: 'POST /oauth2/introspect of a live token, 64 connections',
  metric: 'rate',
  mode: 'repeat',
  connections: 64,
  base: greeted,
  contenders: [
    {
      peer: asked,
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
    },
  ],
}
