import { ConfigError } from '../options/config-error.ts'
import { atProvider } from '../options/provider/named.ts'
import type { Provider } from './provider.ts'

/** The providers: one, or several with names (M-04). A grant has its own for life. */
export class Providers {
  readonly all: readonly Provider[]
  readonly #byIssuer: ReadonlyMap<string, Provider>

  constructor(all: readonly Provider[]) {
    this.all = all
    this.#byIssuer = new Map(all.map((provider) => [provider.issuer, provider]))
  }

  /** The provider of a grant, which `Grants` has read: of other providers' it gives none. */
  of(grant: { readonly provider: string }): Provider {
    const provider = this.#byIssuer.get(grant.provider)
    if (provider === undefined) throw new Error('a grant of a provider that is not configured')
    return provider
  }

  /** @throws ConfigError for all whose metadata is wrong. One that cannot be reached stops nobody. */
  async start(): Promise<void> {
    const problems = await Promise.all(
      this.all.map(async (provider) => {
        try {
          await provider.start()
          return []
        } catch (error) {
          if (!(error instanceof ConfigError)) throw error
          return error.problems.map((one) => atProvider(one, provider.name))
        }
      }),
    )
    if (problems.flat().length > 0) throw new ConfigError(problems.flat())
  }

  /** What keeps logins from working, or null: each provider that is not ready, by its name (M-04). */
  problem(): string | null {
    const waiting = this.all.filter(({ ready }) => !ready)
    if (waiting.length === 0) return null
    const told = 'metadata not yet accepted'
    return waiting.map(({ name }) => (name === undefined ? told : `${name}: ${told}`)).join('; ')
  }

  async close(): Promise<void> {
    await Promise.all(this.all.map((provider) => provider.close()))
  }
}
