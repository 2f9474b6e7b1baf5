import type { ConfigProblem } from '../config-error.ts'
import type { ProviderSet } from '../types/options.ts'

/** A provider's name among several; undefined where it is the only one. */
export type ProviderName = string | undefined

/** A path segment of its callback, a variable of the environment, and what apps write. */
const NAME = /^[a-z][a-z0-9_-]{0,31}$/

/** Every provider of the options, with its name. What is no map holds none. */
export function providersOf<P>({ provider, providers }: ProviderSet<P>): [name: ProviderName, provider: P][] {
  const single: [ProviderName, P][] = provider === undefined ? [] : [[undefined, provider]]
  return [...single, ...(isMap(providers) ? Object.entries(providers!) : [])]
}

/** The same options with what `change` makes of each provider; what is no map stays as it is. */
export function mapProviders<P, Q>(
  { provider, providers }: ProviderSet<P>,
  change: (provider: P, name: ProviderName) => Q,
): { provider?: Q; providers?: Record<string, Q> } {
  const named = isMap(providers)
    ? Object.fromEntries(Object.entries(providers!).map(([name, one]) => [name, change(one, name)]))
    : (providers as unknown as Record<string, Q> | undefined)
  return {
    ...(provider !== undefined && { provider: change(provider, undefined) }),
    ...(named !== undefined && { providers: named }),
  }
}

/** Where a provider stands: `['provider']`, or `['providers', name]`. */
export function providerPath(name: ProviderName): string[] {
  return name === undefined ? ['provider'] : ['providers', name]
}

/** A problem of `provider`, or words about its options, as those of the provider with this name. */
export function atProvider<T extends ConfigProblem | string>(told: T, name: ProviderName): T {
  if (name === undefined) return told
  const text = (words: string) => words.replace(/\bprovider\.(?=[a-z])/gi, `providers.${name}.`)
  if (typeof told === 'string') return text(told) as T
  const path = told.path[0] === 'provider' ? [...providerPath(name), ...told.path.slice(1)] : told.path
  return { ...(told as ConfigProblem), path, problem: text(told.problem) } as T
}

/** What is wrong with the providers as a set: there must be one way to name each of them (M-04, M-05). */
export function providerSetProblems(set: ProviderSet<{ issuer?: unknown }>): ConfigProblem[] {
  const { provider, providers } = set
  if (provider !== undefined && providers !== undefined)
    return [{ path: ['providers'], problem: 'is given besides provider: keep one of them' }]
  if (provider === undefined && providers === undefined)
    return [{ path: ['provider'], problem: 'is required; several have names, in providers' }]
  if (providers === undefined || !isMap(providers)) return []
  if (Object.keys(providers).length === 0) return [{ path: ['providers'], problem: 'must not be empty' }]
  const problems: ConfigProblem[] = []
  const nameOf = new Map<unknown, string>()
  for (const [name, one] of Object.entries(providers)) {
    if (!NAME.test(name)) {
      const problem = 'is no name: a lower-case letter, then at most 31 letters, digits, _ and -'
      problems.push({ path: ['providers', name], problem })
    }
    const issuer = isMap(one) ? one.issuer : undefined
    const other = typeof issuer === 'string' ? nameOf.get(issuer) : undefined
    if (other !== undefined) {
      // Grants and users are known by it.
      problems.push({ path: ['providers', name, 'issuer'], problem: `is the issuer of ${other} too` })
    }
    nameOf.set(issuer, name)
  }
  return problems
}

function isMap(value: unknown): boolean {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
