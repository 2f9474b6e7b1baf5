import { randomBytes } from 'node:crypto'
import { Agent } from 'node:http'
import Fastify, { type FastifyPluginCallback, type FastifyRequest } from 'fastify'
import { readArgument } from '../../plan/argument.ts'
import { loadInstalled } from '../../plan/project.ts'
import { REDIRECT_URI } from '../../servers/app.ts'
import { CONNECTIONS } from '../peer.ts'
import { CREDENTIALS, type LoginArgument } from './provider.ts'

/**
 * @fastify/oauth2 with PKCE: it is the provider's client, and no server for apps. Its callback redeems the provider's
 * code; the redirect to the app, with a code of our own, is ours.
 */
interface Flow {
  getAccessTokenFromAuthorizationCodeFlow(request: FastifyRequest): Promise<{ token: object }>
}
const { port, provider } = readArgument<LoginArgument>()

/** Its default is a new connection for each call. The mark keeps its HTTP client from making a copy that does not work. */
class KeptAlive extends Agent {
  get isImmutable(): boolean {
    return true
  }
}

const { default: oauth2 } = await loadInstalled<{
  default: FastifyPluginCallback<Record<string, unknown>>
}>('@fastify/oauth2')
const origin = `http://127.0.0.1:${provider}`
const tokens = new Map<string, object>()

const app = Fastify({ logger: false })
await app.register(oauth2, {
  name: 'flow',
  scope: ['offline_access'],
  credentials: {
    client: CREDENTIALS,
    auth: { authorizeHost: origin, authorizePath: '/authorize', tokenHost: origin, tokenPath: '/token' },
    http: { agent: new KeptAlive({ keepAlive: true, maxSockets: CONNECTIONS }) },
  },
  pkce: 'S256',
  startRedirectPath: '/oauth2/authorize',
  callbackUri: `http://127.0.0.1:${port}/oauth2/callback`,
})
const { flow } = app as unknown as { flow: Flow }

app.get('/oauth2/callback', async (request, reply) => {
  const { token } = await flow.getAccessTokenFromAuthorizationCodeFlow(request)
  const code = randomBytes(32).toString('base64url')
  tokens.set(code, token)
  return reply.redirect(`${REDIRECT_URI}?code=${code}`)
})

await app.listen({ host: '127.0.0.1', port, backlog: 4096 })
