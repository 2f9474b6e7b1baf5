import { randomBytes } from 'node:crypto'
import { createServer } from 'node:http'
import type { Adapter, Configuration, Provider } from 'oidc-provider'
import { readArgument } from '../../plan/argument.ts'
import { loadInstalled } from '../../plan/project.ts'
import { CLIENT_ID, REDIRECT_URI } from '../../servers/app.ts'

/**
 * oidc-provider, which is the provider itself and calls none: who comes is signed in at once, and has agreed. Its own
 * adapter for the memory, with room for more than its 1,000 records; nothing but the scope that the app asks for, so
 * it makes no id_token either.
 */
const { port } = readArgument<{ port: number }>()
const DAY = 86_400

const oidc = await loadInstalled<{
  Provider: new (issuer: string, configuration: Configuration) => Provider
}>('oidc-provider')
const { default: MemoryAdapter } = await loadInstalled<{
  default: new (model: string, records: Map<string, unknown>) => Adapter
}>('oidc-provider/lib/adapters/memory_adapter.js')
const records = new Map<string, unknown>()

const provider = new oidc.Provider(`http://127.0.0.1:${port}`, {
  adapter: (model) => new MemoryAdapter(model, records),
  clients: [
    {
      client_id: CLIENT_ID,
      redirect_uris: [REDIRECT_URI],
      grant_types: ['authorization_code', 'refresh_token'],
      response_types: ['code'],
      token_endpoint_auth_method: 'none',
      scope: 'orders.read',
    },
  ],
  scopes: ['orders.read'],
  cookies: { keys: [randomBytes(32).toString('base64url')] },
  features: { devInteractions: { enabled: false } },
  routes: { authorization: '/oauth2/authorize', token: '/oauth2/token' },
  interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
  findAccount: (_context, sub) => ({ accountId: sub, claims: () => ({ sub }) }),
  async loadExistingGrant({ oidc: { client, session } }) {
    const grant = new provider.Grant({ clientId: client!.clientId, accountId: session!.accountId! })
    grant.addOIDCScope('orders.read')
    await grant.save()
    return grant
  },
  issueRefreshToken: () => true,
  // As ours: each is used once.
  rotateRefreshToken: true,
  ttl: {
    AccessToken: 300,
    AuthorizationCode: 60,
    Interaction: 600,
    RefreshToken: DAY,
    Grant: DAY,
    Session: DAY,
  },
})

const answer = provider.callback()
createServer((request, response) => {
  if (request.url?.startsWith('/interaction/')) {
    void provider.interactionFinished(request, response, { login: { accountId: 'alice' } })
  } else void answer(request, response)
}).listen({ host: '127.0.0.1', port, backlog: 4096 })
