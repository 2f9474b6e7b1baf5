import { ConfigError, type ConfigProblem } from '../../plugin/index.ts'
import { completeConfig } from './complete.ts'
import { type Environment, readEnvironment, type Setting } from './environment.ts'
import { readConfigFile } from './file.ts'
import { mergeConfig } from './merge.ts'
import type { GatewayConfig, GatewayInput } from './schemas/config.ts'

/** Where a configuration comes from; each source overrides those above it. */
export interface ConfigSources {
  readonly file?: string | undefined
  readonly environment?: Environment
  readonly flags?: readonly Setting[]
}

/** A configuration that can be used, and what is known of it besides. */
export interface LoadedConfig {
  readonly config: GatewayConfig
  /** As configured, with every default filled. For printing; it holds secrets. */
  readonly effective: GatewayInput
  /** Those of `config`, and what the plugin says of its own options when it is registered. */
  readonly warnings: readonly string[]
  /** Gives each problem its place, for those that show at start only. */
  readonly locate: (problems: readonly ConfigProblem[]) => ConfigProblem[]
}

/**
 * Reads, merges, completes and checks the configuration: flags over environment over file over defaults.
 *
 * @throws ConfigError that lists every problem at once, each with its place.
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const file = sources.file === undefined ? undefined : readConfigFile(sources.file)
  const environment = readEnvironment(sources.environment ?? {})
  const { values, folderOf, locate } = mergeConfig(file, [...environment.settings, ...(sources.flags ?? [])])
  const { problems, config, effective, pluginWarnings } = completeConfig(values, {
    folderOf,
    warnings: environment.warnings,
  })
  const located = [...locate(problems), ...environment.problems]
  if (!config || located.length > 0) throw new ConfigError(located)
  return { config, effective, warnings: [...config.warnings, ...pluginWarnings], locate }
}

/**
 * The configuration that `input` describes, for gateways that are built in code.
 *
 * @returns plain data, frozen to the bottom. @throws ConfigError that lists every problem at once.
 */
export function gatewayConfig(input: GatewayInput): GatewayConfig {
  const { config, problems } = completeConfig(input)
  if (!config) throw new ConfigError(problems)
  return config
}
