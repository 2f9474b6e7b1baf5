import Value from 'typebox/value'
import type { AgentRules, RegisteredClient } from '../oauth/client.ts'
import { agentProblems, agentWarnings, scopeProblems } from './clients/agent-rules.ts'
import { clientProblems, clientWarnings } from './clients/client-rules.ts'
import type { ConfigProblem } from './config-error.ts'
import { logoText } from './pages/logo.ts'
import { pagesProblems } from './pages/rules.ts'
import { schemaProblems } from './problems/schema-problems.ts'
import {
  atProvider,
  mapProviders,
  type ProviderName,
  providerPath,
  providerSetProblems,
  providersOf,
} from './provider/named.ts'
import { expandPreset } from './provider/presets/presets.ts'
import { providerProblems, providerWarnings } from './provider/rules.ts'
import type { ResolvedOptions, ResolvedProvider } from './resolved.ts'
import {
  appLinkProblems,
  lifetimeProblems,
  publicUrlProblem,
  resourceProblems,
  resourceServerProblems,
  secretProblems,
} from './rules.ts'
import { OptionsSchema } from './schema.ts'
import type { OptionFields } from './types/fields.ts'
import { type PkceOptions, PROVIDER_SECRETS, type ProviderSecret, type ProviderSet } from './types/options.ts'

/** The options without what is alive. */
export type PlainOptions = Omit<PkceOptions, 'store' | 'onLogin'>

/** The options with every default, but for those that follow from others. */
export type CompleteOptions = Required<
  Omit<
    OptionFields,
    'provider' | 'providers' | 'clients' | 'agents' | 'lifetimes' | 'session' | 'limits' | 'rateLimit' | 'log'
  >
> &
  ProviderSet<ResolvedProvider> &
  Pick<ResolvedOptions, 'lifetimes' | 'session' | 'limits' | 'rateLimit' | 'log'> & {
    clients: RegisteredClient[]
    agents: AgentRules
  }

/** What the options come to: complete, or what is wrong with them. */
export type ValidatedOptions =
  | {
      readonly options: CompleteOptions
      readonly problems: readonly []
      /** What an operator should hear at start. */
      readonly warnings: readonly string[]
    }
  | {
      readonly options: undefined
      readonly problems: readonly ConfigProblem[]
      readonly warnings: readonly []
    }

/**
 * Checks the options as a whole and fills in the defaults. Nothing is opened, connected or kept.
 *
 * @param given as written, of any form; it is not changed. Secrets of the provider may be functions.
 * @param storeKind the store's `name`, for the rules that depend on it; undefined: not known.
 * @returns every problem at once: a part that breaks the schema does not hide what is wrong with the others.
 */
export function validateOptions(given: PlainOptions, storeKind: string | undefined): ValidatedOptions {
  const data = plainData(given)
  const problems = schemaProblems(OptionsSchema, data).map(withRoutePrefix)
  // The rules read fields that exist and have the right type; an unknown key breaks nothing.
  const known = problems.length === 0 ? data : Value.Clean(OptionsSchema, structuredClone(data))
  const broken = problems.length === 0 ? [] : schemaProblems(OptionsSchema, known)
  const isSound = (...path: ConfigProblem['path']) =>
    !broken.some((one) => path.every((key, depth) => depth >= one.path.length || key === one.path[depth]))

  const options = Value.Default(OptionsSchema, known) as CompleteOptions
  problems.push(...ruleProblems())
  if (problems.length > 0) {
    return { options: undefined, problems: problems.map((one) => withUnset(one, given)), warnings: [] }
  }
  const complete = {
    ...options,
    ...mapProviders(options, withFunctions),
    clients: options.clients.map(named),
  }
  return {
    options: complete,
    problems: [],
    warnings: [
      ...optionWarnings(complete),
      ...clientWarnings(complete.clients),
      ...agentWarnings(complete.agents),
    ],
  }

  function ruleProblems(): ConfigProblem[] {
    const clients = soundItems('clients', options.clients)
    const found: ConfigProblem[] = []
    if (isSound('publicUrl')) {
      const problem = publicUrlProblem(options.publicUrl)
      if (problem) found.push({ path: ['publicUrl'], problem })
    }
    found.push(...providerSetProblems(data as ProviderSet<{ issuer?: unknown }>))
    for (const [name, provider] of providersOf<unknown>(given)) found.push(...unsetAuthority(provider, name))
    for (const [name, provider] of providersOf(options)) {
      if (!isSound(...providerPath(name))) continue
      const ofProvider = providerProblems(withFunctions(provider, name))
      found.push(...ofProvider.map((one) => atProvider(one, name)))
    }
    found.push(...clientProblems(clients, Object.keys(options.providers ?? {}), options.tokens))
    if (isSound('scopes')) found.push(...scopeProblems(options.scopes))
    if (isSound('scopes') && isSound('agents') && isSound('clients')) {
      found.push(...agentProblems(options.agents, options.scopes, options.clients))
    }
    const servers = soundItems('resourceServers', options.resourceServers)
    found.push(...resourceServerProblems(servers, clients.values()))
    if (isSound('resources')) found.push(...resourceProblems(options.resources))
    found.push(
      ...appLinkProblems(soundItems('appLinks', options.appLinks), clients.values(), options.publicUrl),
    )
    if (isSound('secrets')) found.push(...secretProblems(options.secrets, storeKind))
    if (isSound('lifetimes')) found.push(...lifetimeProblems(options.lifetimes))
    if (isSound('pages')) found.push(...pagesProblems(options.pages))
    return found
  }

  function withFunctions(provider: ResolvedProvider, name: ProviderName): ResolvedProvider {
    const written = name === undefined ? given.provider : given.providers?.[name]
    return { ...provider, ...secretFunctions(written) }
  }

  function soundItems<T>(
    key: 'clients' | 'resourceServers' | 'appLinks',
    items: readonly T[],
  ): Map<number, T> {
    if (!Array.isArray(items)) return new Map()
    return new Map([...items.entries()].filter(([index]) => isSound(key, index)))
  }
}

/** Fastify's own option, which a plugin for the whole app has no use for. */
function withRoutePrefix(one: ConfigProblem): ConfigProblem {
  if (one.path.length !== 1 || one.path[0] !== 'prefix') return one
  const problem =
    'is not for this plugin, whose issuer has no path: write routePrefix, where its routes live (/oauth2)'
  return { ...one, problem }
}

/** Without a value the key would widen whom we trust, and nothing would say so. */
function unsetAuthority(provider: unknown, name: ProviderName): ConfigProblem[] {
  if (!isUnset(provider, 'ca')) return []
  const problem = 'must not be undefined: the public authorities would be trusted; leave the key out for them'
  return [{ path: [...providerPath(name), 'ca'], problem }]
}

/** A secret is often a variable of the environment, and a variable that is not set is `undefined`. */
function withUnset(one: ConfigProblem, given: unknown): ConfigProblem {
  const parent = one.path
    .slice(0, -1)
    .reduce<unknown>((node, key) => (node as Record<string | number, unknown> | undefined)?.[key], given)
  if (!isUnset(parent, one.path.at(-1)!)) return one
  return { ...one, problem: `${one.problem}; it is undefined: is its environment variable set?` }
}

function isUnset(parent: unknown, key: string | number): boolean {
  if (typeof parent !== 'object' || parent === null) return false
  return Object.hasOwn(parent, key) && (parent as Record<string | number, unknown>)[key] === undefined
}

function named(client: RegisteredClient): RegisteredClient {
  return { ...client, name: client.name ?? client.clientId }
}

/**
 * A copy that is data alone, a logo's bytes as text. The provider's secrets that are functions stand as a word, so that
 * the schema's strings hold.
 */
function plainData(given: PlainOptions): unknown {
  const data = {
    ...given,
    ...pagesAsText(given),
    ...mapProviders<unknown, unknown>(given, (provider) => {
      const words = Object.keys(secretFunctions(provider)).map((key) => [key, 'function'])
      const isMap = typeof provider === 'object' && provider !== null && !Array.isArray(provider)
      return isMap ? expandPreset({ ...provider, ...Object.fromEntries(words) }) : provider
    }),
  }
  return copyData(data)
}

function pagesAsText({ pages }: PlainOptions): Pick<PlainOptions, 'pages'> {
  return pages?.logo instanceof Uint8Array ? { pages: { ...pages, logo: logoText(pages.logo) } } : {}
}

function secretFunctions(provider: unknown): Partial<ResolvedProvider> {
  return Object.fromEntries(
    Object.entries(provider ?? {}).filter(
      ([key, value]) => PROVIDER_SECRETS.includes(key as ProviderSecret) && typeof value === 'function',
    ),
  )
}

function optionWarnings(options: CompleteOptions): string[] {
  const ofRateLimit =
    options.rateLimit === false ? ['rateLimit is false: nothing slows down guessing or floods'] : []
  const ofProviders = providersOf(options).flatMap(([name, provider]) =>
    providerWarnings(provider).map((warning) => atProvider(warning, name)),
  )
  return [...ofRateLimit, ...ofProviders]
}

/**
 * A copy that is data alone, as JSON would have it, by which the same texts are meant: ten thousand clients are copied
 * a few times before a start, and should not be there as often. What JSON has no word for is null, which no option may be.
 */
export function copyData(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return isData(value) ? value : null
  if (Array.isArray(value)) return value.map(copyData)
  if ('toJSON' in value && typeof value.toJSON === 'function') return copyData(value.toJSON())
  const copy: Record<string, unknown> = {}
  for (const [key, part] of Object.entries(value)) if (part !== undefined) put(copy, key, copyData(part))
  return copy
}

function isData(value: unknown): boolean {
  return typeof value === 'number' ? Number.isFinite(value) : /string|boolean/.test(typeof value)
}

/** Assigned, this one name would be the object's prototype. */
function put(copy: Record<string, unknown>, key: string, value: unknown): void {
  if (key === '__proto__')
    Object.defineProperty(copy, key, { value, enumerable: true, configurable: true, writable: true })
  else copy[key] = value
}
