import type { FastifyInstance } from 'fastify'
import { decorate } from './api/decorate.ts'
import { bringsSecurityScheme } from './api/openapi.ts'
import { authorizeRoute } from './endpoints/authorize/authorize.ts'
import { consentRoute } from './endpoints/authorize/consent.ts'
import { parRoute } from './endpoints/authorize/par.ts'
import { PushedRequests } from './endpoints/authorize/pushed-requests.ts'
import { backchannelLogoutRoute } from './endpoints/backchannel-logout.ts'
import { callbackRoute } from './endpoints/callback.ts'
import type { FetchDocument } from './endpoints/clients/document-fetch.ts'
import { Clients } from './endpoints/clients/find-client.ts'
import { registerRoute, registrationRoutes } from './endpoints/clients/register.ts'
import { appLinksRoutes } from './endpoints/discovery/app-links.ts'
import { jwksRoute, metadataRoutes } from './endpoints/discovery/metadata.ts'
import { introspectRoute } from './endpoints/introspect.ts'
import { revokeRoute } from './endpoints/revoke.ts'
import type { Services } from './endpoints/services.ts'
import { sessionsRoutes } from './endpoints/sessions.ts'
import { tokenRoute } from './endpoints/token/token.ts'
import { userinfoRoute } from './endpoints/userinfo.ts'
import { Audit, createLoggedSubject } from './grant/audit.ts'
import { Credentials } from './grant/credentials.ts'
import { Grants } from './grant/grants.ts'
import { isRelayedTokenInUse } from './grant/relayed-tokens.ts'
import { Seals } from './grant/seals.ts'
import { Transactions } from './grant/transactions.ts'
import { Cors } from './http/cors.ts'
import { assertTrustworthy } from './http/instance.ts'
import { logSerializers } from './http/log.ts'
import { lookOf } from './http/pages/look.ts'
import { limitRate } from './http/rate-limit.ts'
import { secureScope, takeJson } from './http/scope.ts'
import { resolveOptions } from './options/resolve.ts'
import type { NamedProvider, ResolvedOptions } from './options/resolved.ts'
import { noObserver, type Observer } from './options/types/observer.ts'
import type { PkceOptions } from './options/types/options.ts'
import { createProvider } from './provider/client.ts'
import type { Provider } from './provider/provider.ts'
import { Providers } from './provider/providers.ts'
import { Sealing } from './secrets/sealing.ts'
import { createAuthenticate } from './session/authenticate.ts'
import { DpopProofs } from './session/dpop/proofs.ts'
import { SessionResolver } from './session/resolver.ts'

/** Whose place a plugin takes in the same process, on the same store: what was counted and learnt there goes on. */
export interface Predecessor {
  readonly services: Services
  /** True where the provider's options are the same, so that its metadata need not be asked for again. */
  readonly isSameProvider: (issuer: string) => boolean
}

/** What only the gateway gives. */
export interface Surroundings {
  readonly before?: Predecessor | undefined
  readonly observer?: Observer | undefined
  /** For tests: stands in for the network to which descriptions of apps lead. */
  readonly fetchDocument?: FetchDocument | undefined
}

/**
 * The whole composition: options, collaborators, and the endpoints in the order in which a login meets them.
 *
 * @throws ConfigError that lists every problem of the options, or of the provider's metadata, at once.
 */
export async function plugin(
  app: FastifyInstance,
  input: PkceOptions,
  { before, observer = noObserver(), fetchDocument }: Surroundings = {},
): Promise<void> {
  assertTrustworthy(app)
  const resolved = resolveOptions(input)
  // Without configured secrets there are random ones, which must last as long as the memory store.
  const keepsSecrets = before !== undefined && !input.secrets?.length
  const options = keepsSecrets ? { ...resolved, secrets: before.services.options.secrets } : resolved
  for (const warning of options.warnings) app.log.warn(warning)
  const services = build(app, options, { before, observer, fetchDocument })
  const cors = new Cors(options)
  const { sessions, proofs, audit, grants } = services
  const authenticate = createAuthenticate({
    sessions,
    proofs,
    audit,
    realm: options.publicUrl,
    now: grants.now,
  })

  const { cache, endings } = services.sessions
  const watches = [cache, endings, services.transactions].map((watcher) => services.grants.watch(watcher))
  const close = async () => {
    for (const watch of await Promise.allSettled(watches)) if (watch.status === 'fulfilled') watch.value()
    await services.providers.close()
  }
  try {
    // At the same time: each may need more than half of what Fastify gives a plugin.
    await Promise.all([services.providers.start(), ...watches])
  } catch (error) {
    await close()
    throw error
  }
  decorate(app, services, cors, authenticate)
  app.addHook('onClose', async () => {
    await close()
    if (!input.store) await options.store.close()
  })

  const prefix = options.routePrefix
  const endpoints = async (scope: FastifyInstance) => {
    await secureScope(scope, services)
    await scope.register(frontChannel, { prefix })
    await scope.register(backChannel, { prefix })
    await scope.register(fromProviders, { prefix })
    if (services.clients.registrations) await scope.register(registration, { prefix })
    await scope.register(discovery)
  }
  // Fastify types serializers as returning text; pino takes any value.
  await app.register(endpoints, { logSerializers: logSerializers as unknown as Record<string, () => string> })

  async function frontChannel(scope: FastifyInstance): Promise<void> {
    await limitRate(scope, options, 'authorize', services.rateCounts)
    authorizeRoute(scope, services)
    if (options.agents.metadataDocuments || options.agents.registration) consentRoute(scope, services)
    for (const provider of options.providers) callbackRoute(scope, services, provider)
  }

  async function backChannel(scope: FastifyInstance): Promise<void> {
    await limitRate(scope, options, 'token', services.rateCounts)
    await scope.register(async (forApps) => {
      cors.install(forApps)
      parRoute(forApps, services)
      tokenRoute(forApps, services)
      revokeRoute(forApps, services)
      userinfoRoute(forApps, services, authenticate)
    })
    await scope.register(async (forApps) => {
      cors.install(forApps, 'GET, DELETE')
      sessionsRoutes(forApps, services, authenticate)
    })
    introspectRoute(scope, services)
  }

  async function registration(scope: FastifyInstance): Promise<void> {
    const registrations = services.clients.registrations!
    await limitRate(scope, options, 'register', services.rateCounts)
    takeJson(scope)
    await scope.register(async (forApps) => {
      cors.install(forApps)
      registerRoute(forApps, services, registrations)
    })
    await scope.register(async (forApps) => {
      cors.install(forApps, 'GET, DELETE')
      registrationRoutes(forApps, services, registrations)
    })
  }

  async function fromProviders(scope: FastifyInstance): Promise<void> {
    await limitRate(scope, options, 'logout', services.rateCounts)
    for (const provider of options.providers) backchannelLogoutRoute(scope, services, provider)
  }

  async function discovery(scope: FastifyInstance): Promise<void> {
    cors.install(scope)
    jwksRoute(scope, services, bringsSecurityScheme(options))
    metadataRoutes(scope, services)
    await scope.register(async (forSystems) => appLinksRoutes(forSystems, services))
  }
}

function build(
  app: FastifyInstance,
  options: ResolvedOptions,
  { before, observer, fetchDocument }: Surroundings & { readonly observer: Observer },
): Services {
  const { store, lifetimes, limits, publicUrl, routePrefix } = options
  const issuers = options.providers.map((provider) => provider.options.issuer)
  const grants = new Grants(store, issuers, lifetimes)
  const seals = new Seals(new Sealing(options.secrets))
  const relaysTokens = options.tokens === 'relay'
  const transactions = new Transactions(
    limits,
    lifetimes.transactionSeconds * 1000,
    before?.services.transactions,
  )
  return {
    options,
    clients: new Clients(options, app.log, fetchDocument),
    grants,
    seals,
    credentials: new Credentials(options, seals),
    providers: new Providers(options.providers.map(client)),
    sessions: new SessionResolver(options, grants, seals, observer),
    proofs: new DpopProofs(options, grants.now, before?.services.proofs),
    transactions,
    pushedRequests: new PushedRequests(options, seals, transactions, before?.services.pushedRequests),
    rateCounts: before?.services.rateCounts ?? new Map(),
    look: lookOf(options),
    audit: new Audit(app.log, createLoggedSubject(options)),
    observer,
    publishedKeys: { current: () => [] },
  }

  function client({ name, callbackPath, options: provider }: NamedProvider): Provider {
    const { issuer } = provider
    const known = before?.isSameProvider(issuer)
      ? before.services.providers.of({ provider: issuer })
      : undefined
    return createProvider({
      ...{ provider, name, relaysTokens, metadata: known?.metadata, observer },
      log: name === undefined ? app.log : app.log.child({ provider: name }),
      callbackUrl: publicUrl + routePrefix + callbackPath,
      // A handle of ours stands for provider tokens of its own; a relayed token may be several grants'.
      ...(relaysTokens && { isTokenInUse: (token: string) => isRelayedTokenInUse(grants, token) }),
    })
  }
}
