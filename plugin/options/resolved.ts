import type { AgentRules, RegisteredClient, ResourceServer } from '../oauth/client.ts'
import type { Store } from '../stores/store.ts'
import type { Brand } from './pages/rules.ts'
import type { ProviderName } from './provider/named.ts'
import type { Blank } from './provider/presets/preset.ts'
import type { AppLinkFields, OptionFields, ProviderFields } from './types/fields.ts'
import type { OnLogin } from './types/login.ts'
import type { ProviderSecret, ProviderSecrets } from './types/options.ts'

/** A type with every option present that has a default; those without one stay optional. */
type Complete<T, Bare extends keyof T = never> = Required<Omit<T, Bare>> & Pick<T, Bare>

/** The provider, complete. Explicit endpoints are optional: discovery stands in for them. */
export type ResolvedProvider = Readonly<
  Omit<
    Complete<
      ProviderFields,
      | 'preset'
      | 'name'
      | Blank
      | 'tenants'
      | ProviderSecret
      | 'teamId'
      | 'keyId'
      | 'defaultTokenSeconds'
      | 'authorizationEndpoint'
      | 'tokenEndpoint'
      | 'revocationEndpoint'
      | 'userinfoEndpoint'
      | 'jwksUri'
    >,
    'timeouts' | ProviderSecret
  > &
    ProviderSecrets & { timeouts: Required<NonNullable<ProviderFields['timeouts']>> }
>

/** A provider, and how its users get here. */
export interface NamedProvider {
  /** Among several; undefined for the only one. */
  readonly name: ProviderName
  /** Below `routePrefix`: `/callback`, or with the name `/callback/<name>` (RFC 9700 §4.4.2.2). */
  readonly callbackPath: string
  readonly options: ResolvedProvider
}

/** The app on people's devices that the https redirect URIs of a client belong to. */
export type AppLink = Readonly<AppLinkFields>

/** Requests of one address in a window. */
export interface RateLimitGroup {
  readonly max: number
  readonly windowMs: number
}

/** The complete, checked, frozen options that every endpoint works with. */
export interface ResolvedOptions {
  /** Our issuer: an origin without trailing slash. */
  readonly publicUrl: string
  readonly routePrefix: string
  /** At least one; no two have the same issuer. */
  readonly providers: readonly NamedProvider[]
  readonly clients: ReadonlyMap<string, RegisteredClient>
  /** What apps may do that nobody registered. */
  readonly agents: AgentRules
  /** What a scope means to a person. */
  readonly scopeDescriptions: ReadonlyMap<string, string>
  readonly resourceServers: ReadonlyMap<string, ResourceServer>
  /** What tokens can be restricted to. Empty: nothing. */
  readonly resources: readonly string[]
  readonly appLinks: readonly AppLink[]
  readonly secrets: readonly Buffer[]
  readonly store: Store
  readonly tokens: NonNullable<OptionFields['tokens']>
  readonly lifetimes: Readonly<Required<NonNullable<OptionFields['lifetimes']>>>
  readonly session: Readonly<Required<NonNullable<OptionFields['session']>>>
  readonly limits: Readonly<Required<NonNullable<OptionFields['limits']>>>
  readonly log: Readonly<Required<NonNullable<OptionFields['log']>>>
  readonly rateLimit: Readonly<Record<'authorize' | 'token' | 'register' | 'logout', RateLimitGroup>> | false
  readonly pages: Brand
  readonly onLogin: OnLogin | undefined
  /** What an operator should hear at start: every option that weakens security, and a few besides. */
  readonly warnings: readonly string[]
}
