import { ConfigError } from '../../plugin/index.ts'
import type { Setting } from './coerce.ts'
import { completeConfig } from './complete.ts'
import { type Environment, readEnvironment } from './environment.ts'
import { readConfigFile } from './file.ts'
import { mergeSources } from './merge.ts'
import { ConfigurationError } from './problems.ts'
import type { GatewayConfig, GatewayInput } from './schemas/gateway.ts'

/** Where a configuration comes from; each source overrides those above it. */
export interface ConfigSources {
  readonly file?: string | undefined
  readonly environment?: Environment
  readonly flags?: readonly Setting[]
}

/** A configuration that can be used, in both of its forms. */
export interface LoadedConfig {
  readonly config: GatewayConfig
  /** As configured, with every default filled. For printing; it holds secrets. */
  readonly effective: GatewayInput
  /** Lines that tell an operator where each of `problems` lies, for those that show at start only. */
  readonly describe: (problems: ConfigError['problems']) => string[]
}

/**
 * Reads, merges, completes and checks the configuration: flags over environment over file over defaults.
 *
 * @throws ConfigurationError that lists every problem at once, each with its place.
 */
export function loadConfig(sources: ConfigSources): LoadedConfig {
  const file = sources.file === undefined ? undefined : readConfigFile(sources.file)
  const environment = readEnvironment(sources.environment ?? {})
  const { values, folderOf, describe } = mergeSources(file, [
    ...environment.settings,
    ...(sources.flags ?? []),
  ])
  const { problems, config, effective } = completeConfig(values, folderOf)
  const lines = [...describe(problems), ...environment.problems]
  if (!config || lines.length > 0) throw new ConfigurationError(lines)

  const warnings = Object.freeze([...environment.warnings, ...config.warnings])
  return { config: Object.freeze({ ...config, warnings }), effective, describe }
}

/**
 * The configuration that `input` describes, for gateways that are built in code.
 *
 * @throws ConfigError that lists every problem at once.
 */
export function gatewayConfig(input: GatewayInput): GatewayConfig {
  const { config, problems } = completeConfig(input, () => '.')
  if (!config) throw new ConfigError(problems)
  return config
}
