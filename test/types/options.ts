/** Compiled by the type check, never run: what must not compile does not (requirements H-03). */
import type { FastifyInstance } from 'fastify'
import type { Static } from 'typebox'
import type { GatewayInput } from '../../gateway/config/schemas/gateway.ts'
import type { ClientRequest } from '../../gateway/forward/client-request.ts'
import { Exchange } from '../../gateway/forward/exchange/exchange.ts'
import { PublicRoute } from '../../gateway/forward/policy.ts'
import type { UpstreamRoute } from '../../gateway/forward/upstream/route.ts'
import pkce, { memoryStore, type PkceOptions, type Session } from '../../plugin/index.ts'
import type { VerifiedAuthorizationRequest } from '../../plugin/oauth/authorization.ts'
import type { RegisteredClient, ResourceServer } from '../../plugin/oauth/client.ts'
import type { ClientSchema, ResourceServerSchema } from '../../plugin/options/schema.ts'

const client = { clientId: 'app', redirectUris: ['com.example.app:/callback'] }
const provider = { issuer: 'https://login.example.com', clientId: 'backend', clientSecret: 'secret' }
const publicUrl = 'https://api.example.com'

/** The least that works, and everything that may be added. */
export const least: PkceOptions = { publicUrl, provider, clients: [client] }
export const more: PkceOptions = {
  ...least,
  provider: {
    ...provider,
    clientSecret: () => 'rotated',
    clientAuthentication: 'client_secret_post',
    pkce: 'relay',
  },
  clients: [{ ...client, scopes: ['orders.read'], interaction: 'page' }],
  store: memoryStore(),
  tokens: 'relay',
  rateLimit: false,
}

/** A preset has an issuer; without one it must be written. */
export const preset: PkceOptions = { ...least, provider: { preset: 'google', clientId: 'backend' } }
/** The gateway's input as well. */
export const gateway: GatewayInput = {
  publicUrl,
  provider: {
    preset: 'auth0',
    domain: 'example.eu.auth0.com',
    clientId: 'backend',
    clientSecretFile: 'secret',
  },
  clients: [client],
}
// @ts-expect-error neither a preset nor an issuer
export const gatewayOfNobody: GatewayInput = { publicUrl, provider: { clientId: 'b' }, clients: [client] }
// @ts-expect-error neither a preset nor an issuer
export const nobody: PkceOptions = { ...least, provider: { clientId: 'backend' } }
// @ts-expect-error no such preset
export const gogle: PkceOptions = { ...least, provider: { preset: 'gogle', clientId: 'backend' } }

// @ts-expect-error publicUrl is required
export const withoutPublicUrl: PkceOptions = { provider, clients: [client] }
// @ts-expect-error provider is required
export const withoutProvider: PkceOptions = { publicUrl, clients: [client] }
// @ts-expect-error clients are required
export const withoutClients: PkceOptions = { publicUrl, provider }
// @ts-expect-error a client needs redirect URIs
export const withoutRedirectUris: PkceOptions = { ...least, clients: [{ clientId: 'app' }] }
// @ts-expect-error an unknown option
export const unknownOption: PkceOptions = { ...least, allowPlain: true }
// @ts-expect-error S256 cannot be turned off
export const plain: PkceOptions = { ...least, provider: { ...provider, pkce: 'plain' } }
// @ts-expect-error a store has more than a read
export const halfAStore: PkceOptions = { ...least, store: { read: async () => null } }

export async function register(app: FastifyInstance): Promise<void> {
  await app.register(pkce, least)
  // @ts-expect-error the options are checked at registration too
  await app.register(pkce, { publicUrl })
  app.get('/me', { onRequest: app.pkce.requireSession({ scopes: ['orders.read'] }) }, async (request) => {
    // @ts-expect-error a session is read-only
    request.pkceSession.subject = 'somebody else'
    return { subject: request.pkceSession.subject }
  })
  app.pkce.events.on(
    'code.replay',
    (event) => event.grant.length + event.subject.length + event.reason.length,
  )
  // @ts-expect-error a refused authorization request has no session yet
  app.pkce.events.on('authorize.refused', (event) => event.subject.length)
  app.pkce.events.on('session.ended', ({ reason }) => reason === 'revoked')
  app.pkce.events.on('*', (event) => event.requestId).off('*', () => undefined)
  // @ts-expect-error listeners only: nobody but the plugin can add to the audit trail
  app.pkce.events.emit('code.replay')
  // @ts-expect-error no such event
  app.pkce.events.on('code.replayed', () => undefined)
}

/** What the schemas' defaults make of a client and a resource server is what `plugin/oauth` takes, and the reverse. */
type CompleteClient = Required<Omit<Static<typeof ClientSchema>, 'clientSecret' | 'interaction'>> &
  Pick<Static<typeof ClientSchema>, 'clientSecret' | 'interaction'>
type Mutable<T> = { -readonly [K in keyof T]: T[K] extends readonly (infer Item)[] ? Item[] : T[K] }
export const toClient = (complete: CompleteClient): RegisteredClient => complete
export const fromClient = (client: Mutable<RegisteredClient>): CompleteClient => client
export const toServer = (complete: Static<typeof ResourceServerSchema>): ResourceServer => complete
export const fromServer = (server: Mutable<ResourceServer>): Static<typeof ResourceServerSchema> => server
export const clientFields: Record<keyof Static<typeof ClientSchema>, keyof RegisteredClient> &
  Record<keyof RegisteredClient, keyof Static<typeof ClientSchema>> = {
  clientId: 'clientId',
  name: 'name',
  enabled: 'enabled',
  authentication: 'authentication',
  clientSecret: 'clientSecret',
  redirectUris: 'redirectUris',
  scopes: 'scopes',
  providerScopes: 'providerScopes',
  claims: 'claims',
  interaction: 'interaction',
  passThrough: 'passThrough',
  allowedOrigins: 'allowedOrigins',
  providers: 'providers',
  requirePar: 'requirePar',
  dpop: 'dpop',
  repeatableExchange: 'repeatableExchange',
}

declare const route: UpstreamRoute
declare const request: ClientRequest
declare const session: Session

/** The forwarder takes a session or a public route, and nothing that merely looks like one. */
export function forwardings(): void {
  new Exchange(route, session, request, [])
  new Exchange(route, new PublicRoute('/status'), request, [])
  // @ts-expect-error no session
  new Exchange(route, undefined, request, [])
  // @ts-expect-error null is no session
  new Exchange(route, null, request, [])
  // @ts-expect-error a promise of a session is no session
  new Exchange(route, Promise.resolve(session), request, [])
  // @ts-expect-error a copy of the fields is no session
  new Exchange(route, { ...session }, request, [])
  // @ts-expect-error neither is an object with a prefix a public route
  new Exchange(route, { prefix: '/status' }, request, [])
}

// @ts-expect-error only validateAuthorizationRequest makes a verified request
export const verified: VerifiedAuthorizationRequest = {
  client: {
    ...client,
    name: 'App',
    enabled: true,
    authentication: 'none',
    scopes: [],
    providerScopes: [],
    claims: [],
    passThrough: [],
    allowedOrigins: [],
    providers: [],
    requirePar: false,
    dpop: 'off',
    repeatableExchange: false,
  },
  redirectUri: 'com.example.app:/callback',
  codeChallenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
  dpopJkt: undefined,
  state: undefined,
  identityProvider: undefined,
  scope: [],
  providerScope: [],
  passThrough: {},
}
