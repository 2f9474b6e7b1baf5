import Value from 'typebox/value'
import { ConfigError, type ConfigProblem } from '../oauth/errors.ts'
import { memoryStore } from '../stores/memory.ts'
import type { Store } from '../stores/store.ts'
import { clientProblems, clientWarnings } from './client-rules.ts'
import { schemaProblems } from './problems.ts'
import type { RegisteredClient, ResolvedOptions, ResolvedProvider } from './resolved.ts'
import {
  decodeSecrets,
  lifetimeProblems,
  providerProblems,
  publicUrlProblem,
  resourceServerProblems,
  secretProblems,
} from './rules.ts'
import { OptionsSchema, type PkceOptions } from './schema.ts'

/**
 * Checks the options as a whole and fills in the defaults.
 *
 * @returns complete, frozen options. @throws ConfigError that lists every problem at once.
 */
export function resolveOptions(options: PkceOptions): ResolvedOptions {
  const { store: givenStore, ...plain } = options
  const data = plainData(plain)
  const problems = schemaProblems(OptionsSchema, data)
  // The rules below read fields that exist and have the right type, so schema problems are reported alone.
  if (problems.length > 0) throw new ConfigError(problems)

  const complete = Value.Default(OptionsSchema, data) as Complete
  const provider = freeze({ ...complete.provider, ...secretFunctions(plain.provider) })
  const clients = complete.clients.map((client) =>
    freeze({ ...client, name: client.name ?? client.clientId }),
  )
  const store = openStore(givenStore)
  problems.push(
    ...at(['publicUrl'], publicUrlProblem(complete.publicUrl)),
    ...providerProblems(provider),
    ...clientProblems(clients),
    ...resourceServerProblems(complete.resourceServers, clients),
    ...secretProblems(complete.secrets, typeof store !== 'string' && store.name === 'memory'),
    ...lifetimeProblems(complete.lifetimes),
    ...at(['store'], typeof store === 'string' ? store : undefined),
  )
  if (problems.length > 0 || typeof store === 'string') throw new ConfigError(problems)

  return Object.freeze({
    publicUrl: complete.publicUrl,
    routePrefix: complete.routePrefix,
    callbackUrl: `${complete.publicUrl}${complete.routePrefix}/callback`,
    provider,
    clients: new Map(clients.map((client) => [client.clientId, client])),
    resourceServers: new Map(complete.resourceServers.map((server) => [server.clientId, freeze(server)])),
    secrets: decodeSecrets(complete.secrets),
    store,
    tokens: complete.tokens,
    lifetimes: freeze(complete.lifetimes),
    limits: freeze(complete.limits),
    rateLimit: freeze(complete.rateLimit),
    warnings: [...optionWarnings(complete, provider), ...clientWarnings(clients)],
  })
}

/** What the schema's defaults make of the options. */
type Complete = Required<
  Omit<PkceOptions, 'store' | 'provider' | 'clients' | 'lifetimes' | 'limits' | 'rateLimit'>
> &
  Pick<ResolvedOptions, 'lifetimes' | 'limits' | 'rateLimit'> & {
    provider: ResolvedProvider
    clients: (Omit<RegisteredClient, 'name'> & { name?: string })[]
  }

function at(path: ConfigProblem['path'], problem: string | undefined): ConfigProblem[] {
  return problem ? [{ path, problem }] : []
}

/** The store, or why there is none. */
function openStore(store: Store | undefined): Store | string {
  try {
    return store ?? memoryStore()
  } catch (error) {
    return (error as Error).message
  }
}

/**
 * A copy that is data alone. The provider's secrets that are functions stand as a word, so that the schema's
 * strings hold; a function anywhere else is null, which no option may be.
 */
function plainData({ provider, ...rest }: Omit<PkceOptions, 'store'>): unknown {
  const words = Object.keys(secretFunctions(provider)).map((key) => [key, 'function'])
  const data = { ...rest, provider: provider && { ...provider, ...Object.fromEntries(words) } }
  return JSON.parse(
    JSON.stringify(data, (_key, value) => (/function|bigint|symbol/.test(typeof value) ? null : value)),
  )
}

function secretFunctions(provider: PkceOptions['provider'] | undefined): Partial<ResolvedProvider> {
  return Object.fromEntries(
    Object.entries(provider ?? {}).filter(
      ([key, value]) => ['clientSecret', 'privateKey'].includes(key) && typeof value === 'function',
    ),
  )
}

/** Freezes data to its leaves. */
function freeze<T>(data: T): T {
  if (typeof data !== 'object' || data === null) return data
  for (const value of Object.values(data)) freeze(value)
  return Object.freeze(data)
}

function optionWarnings(options: Complete, provider: ResolvedProvider): string[] {
  const warnings: string[] = []
  if (options.rateLimit === false) warnings.push('rateLimit is false: nothing slows down guessing or floods')
  if (provider.dangerouslyAllowPrivateNetwork) {
    warnings.push(
      'provider.dangerouslyAllowPrivateNetwork is set: provider URLs may lead into the private network',
    )
  }
  if (provider.pkce === 'none') {
    warnings.push("provider.pkce is none: the provider's code is not bound to its transaction")
  }
  return warnings
}
