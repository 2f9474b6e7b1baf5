import { memoryStore, memoryStoreProblem } from '../stores/memory.ts'
import type { Store } from '../stores/store.ts'
import { ConfigError } from './config-error.ts'
import { brandOf } from './pages/rules.ts'
import { providersOf } from './provider/named.ts'
import type { ResolvedOptions } from './resolved.ts'
import { decodeSecrets } from './rules.ts'
import type { PkceOptions } from './types/options.ts'
import { validateOptions } from './validate.ts'

/**
 * Checks the options as a whole, fills in the defaults, and makes the memory store where no store is given.
 *
 * @returns complete, frozen options. @throws ConfigError that lists every problem at once; then no store was made.
 */
export function resolveOptions({ store: given, onLogin, ...plain }: PkceOptions): ResolvedOptions {
  const storeProblem = given ? undefined : memoryStoreProblem()
  // Where the memory store is refused, a lasting one must take its place, and that one needs secrets.
  const storeKind = storeProblem ? undefined : isStore(given) ? given.name : 'memory'
  const { options, problems, warnings } = validateOptions(plain, storeKind)
  const problemsOfLive = [
    ...(storeProblem ? [{ path: ['store'], problem: storeProblem }] : []),
    ...(given !== undefined && !isStore(given) ? [{ path: ['store'], problem: NO_STORE }] : []),
    ...(onLogin !== undefined && typeof onLogin !== 'function'
      ? [{ path: ['onLogin'], problem: 'must be a function' }]
      : []),
  ]
  if (!options || problemsOfLive.length > 0) throw new ConfigError([...problems, ...problemsOfLive])
  const { publicUrl, routePrefix, clients, resourceServers, resources, appLinks, secrets } = options
  return Object.freeze({
    publicUrl,
    routePrefix,
    providers: freezeData(
      providersOf(options).map(([name, provider]) => ({
        ...{ name, options: provider },
        callbackPath: name === undefined ? '/callback' : `/callback/${name}`,
      })),
    ),
    clients: new Map(clients.map((client) => [client.clientId, freezeData(client)])),
    agents: freezeData(options.agents),
    scopeDescriptions: new Map(options.scopes.map(({ name, description }) => [name, description])),
    resourceServers: new Map(resourceServers.map((server) => [server.clientId, freezeData(server)])),
    resources: freezeData(resources),
    appLinks: freezeData(appLinks),
    secrets: decodeSecrets(secrets),
    store: given ?? memoryStore(),
    tokens: options.tokens,
    lifetimes: freezeData(options.lifetimes),
    session: freezeData(options.session),
    limits: freezeData(options.limits),
    rateLimit: freezeData(options.rateLimit),
    pages: freezeData(brandOf(options.pages)),
    log: freezeData(options.log),
    warnings,
    onLogin,
  })
}

const NO_STORE =
  "must be a store, not a description of one: memoryStore() from 'fastify-pkce', redisStore({ client: app.redis }) from " +
  "'fastify-pkce/redis', or postgresStore({ pool }) from 'fastify-pkce/postgres'"

function isStore(given: unknown): given is Store {
  const { read, replace, watch } = (given ?? {}) as Partial<Store>
  return [read, replace, watch].every((method) => typeof method === 'function')
}

/** Freezes plain data to its leaves. @returns the same object. */
export function freezeData<T>(data: T): T {
  if (typeof data !== 'object' || data === null) return data
  for (const value of Object.values(data)) freezeData(value)
  return Object.freeze(data)
}
