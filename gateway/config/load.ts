import { resolve } from 'node:path'
import Value from 'typebox/value'
import { expandPreset } from '../../plugin/api/internal.ts'
import { schemaProblems } from '../../plugin/api/schemas.ts'
import { ConfigError, type ConfigProblem } from '../../plugin/index.ts'
import { completeConfig } from './complete.ts'
import { type Environment, readEnvironment, type Setting } from './environment.ts'
import { readConfigFile } from './file.ts'
import { located, mergeConfig } from './merge.ts'
import { listClients } from './rules/clients.ts'
import type { GatewayConfig, GatewayInput } from './schemas/config.ts'
import { AdminSchema } from './schemas/gateway.ts'
import type { SecretFile } from './secrets.ts'

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
  /** Where the value at a path of `effective` comes from: `gateway.yaml:12`, a variable, a flag, a preset, `default`. */
  readonly originOf: (path: ConfigProblem['path']) => string
  /** Every file that a secret was read from. */
  readonly secretFiles: readonly SecretFile[]
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
  const merged = listClients(mergeConfig(file, [...environment.settings, ...(sources.flags ?? [])]))
  const { values, folderOf } = merged
  const locate = (problems: readonly ConfigProblem[]) => located(problems, merged)
  const { problems, config, effective, pluginWarnings, secretFiles } = completeConfig(values, {
    folderOf,
    warnings: environment.warnings,
  })
  const found = [...locate(withUnread(problems, merged.problems)), ...environment.problems]
  if (!config || found.length > 0) throw new ConfigError(found)
  return {
    ...{ config, effective, secretFiles, locate },
    warnings: [...config.warnings, ...pluginWarnings],
    originOf: (path) => merged.originOf(path) ?? presetOf(values, path) ?? 'default',
  }
}

/** Where the admin listener is, and what opens it. Nothing else is looked at: it need not be right. */
export interface AdminSettings {
  readonly host: string
  readonly port: number
  readonly tokenFile?: string
}

/**
 * Reads what a command has to know that asks a gateway that runs, for whom the rest may be unusable, or secret.
 *
 * @throws ConfigError for a file that cannot be read, and for what is wrong with `admin`.
 */
export function loadAdminSettings(sources: ConfigSources): AdminSettings {
  const file = sources.file === undefined ? undefined : readConfigFile(sources.file)
  const { settings, problems } = readEnvironment(sources.environment ?? {})
  const merged = mergeConfig(file, settings)
  const { values, folderOf } = merged
  const { admin = {} } = values as Pick<GatewayInput, 'admin'>
  const found = schemaProblems(AdminSchema, admin).map(({ path, problem }) => ({
    path: ['admin', ...path],
    problem,
  }))
  const ours = [...located(found, merged), ...problems.filter(({ path }) => path[0] === 'admin')]
  if (ours.length > 0) throw new ConfigError(ours)
  const { host, port, tokenFile } = Value.Default(AdminSchema, { ...admin }) as AdminSettings
  const name = tokenFile !== undefined && resolve(folderOf(['admin', 'tokenFile']), tokenFile)
  return { host, port, ...(name && { tokenFile: name }) }
}

/** The preset that stands behind what is written there. */
function presetOf(values: unknown, path: ConfigProblem['path']): string | undefined {
  const { provider, providers } = values as GatewayInput
  const [key, name, option] = path
  const [owner, at] = key === 'providers' ? [providers?.[String(name)], option] : [provider, name]
  if ((key !== 'provider' && key !== 'providers') || owner?.preset === undefined || at === undefined)
    return undefined
  const expanded = expandPreset(owner) as Record<string, unknown>
  return expanded[String(at)] === undefined ? undefined : `preset ${owner.preset}`
}

/**
 * The configuration that `input` describes, for gateways that are built in code.
 *
 * @returns plain data, frozen to the bottom. @throws ConfigError that lists every problem at once.
 */
export function gatewayConfig(input: GatewayInput): GatewayConfig {
  const merged = listClients({ ...mergeConfig(undefined, []), values: input })
  const { values, folderOf } = merged
  const completed = completeConfig(values, { folderOf })
  const problems = withUnread(completed.problems, merged.problems)
  if (!completed.config || problems.length > 0) throw new ConfigError(problems)
  return completed.config
}

/** Clients that could not be read are missing for that reason only. */
function withUnread(problems: readonly ConfigProblem[], unread: readonly ConfigProblem[]): ConfigProblem[] {
  const isOfNone = ({ path: [key, ...rest] }: ConfigProblem) => key === 'clients' && rest.length === 0
  return [...unread, ...(unread.length > 0 ? problems.filter((one) => !isOfNone(one)) : problems)]
}
