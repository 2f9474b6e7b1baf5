import type { ConfigSources, LoadedConfig } from '../config/load.ts'
import { type Call, textOf, UsageError } from './definition.ts'

/** Where the configuration of this call comes from. @throws UsageError when it has none. */
export async function sourcesOf(call: Call): Promise<ConfigSources> {
  const [{ CONFIG_VARIABLE, readEnvironment }, { flagSettings }] = await Promise.all([
    import('../config/environment.ts'),
    import('../config/flags.ts'),
  ])
  const { environment } = call
  const file = textOf(call, 'config') ?? (environment[CONFIG_VARIABLE] || undefined)
  // By a file or by variables: flags alone do not describe a gateway.
  const { settings, problems } = readEnvironment(environment)
  if (file === undefined && settings.length + problems.length === 0) {
    throw new UsageError('there is no configuration: give --config FILE, or PKCE_GATEWAY_… variables')
  }
  return { file, environment, flags: flagSettings((flag) => textOf(call, flag)) }
}

/** Loads it, each time anew. @throws UsageError. What it returns throws ConfigError. */
export async function loaderOf(call: Call): Promise<() => LoadedConfig> {
  const sources = await sourcesOf(call)
  const { loadConfig } = await import('../config/load.ts')
  return () => loadConfig(sources)
}
