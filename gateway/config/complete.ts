import Value from 'typebox/value'
import { type ConfigProblem, schemaProblems } from '../../plugin/index.ts'
import { PLUGIN_KEYS, pluginOptions } from './plugin-options.ts'
import { portableInput } from './portable.ts'
import { completeHttp2, http2Problems } from './rules/http2.ts'
import {
  allowedHostProblems,
  listenerProblems,
  trustProxyProblems,
  workerCount,
  workersProblems,
} from './rules/listener.ts'
import { tlsConfig } from './rules/tls.ts'
import { type UpstreamInput, upstreamProblems } from './rules/upstream.ts'
import { completeUpstream, upstreamWarnings } from './rules/upstream-defaults.ts'
import { type GatewayConfig, type GatewayInput, GatewaySchema } from './schemas/gateway.ts'

type Path = ConfigProblem['path']

/** What the schema's defaults make of the input. */
type Defaulted = Required<Omit<GatewayInput, 'upstreams'>> &
  Omit<GatewayConfig, 'plugin' | 'store' | 'warnings' | 'upstreams' | 'workers' | 'portable'> & {
    upstreams: UpstreamInput[]
  }

/** The outcome: a configuration, or what is wrong. */
export interface Completed {
  readonly config: GatewayConfig | undefined
  /** The input with every default filled. */
  readonly effective: GatewayInput
  readonly problems: readonly ConfigProblem[]
}

/**
 * Fills the defaults and applies the rules, in this order: schema, the gateway's own, the plugin's.
 *
 * @param folderOf what a relative file name at a path is relative to.
 */
export function completeConfig(values: unknown, folderOf: (path: Path) => string): Completed {
  const problems = schemaProblems(GatewaySchema, values)
  // A rule reads fields that exist and have the right type, but one broken part must not hide what is wrong
  // with the others; an unknown key breaks nothing.
  const known = Value.Clean(GatewaySchema, structuredClone(values))
  const broken = schemaProblems(GatewaySchema, known)
  const sound = (...path: Path) => !broken.some((one) => path.every((key, depth) => key === one.path[depth]))

  const input = Value.Default(GatewaySchema, known) as Defaulted
  const plugin = PLUGIN_KEYS.every((key) => sound(key)) ? pluginOptions(input, folderOf) : undefined
  if (plugin) problems.push(...plugin.problems)
  if (sound('listen') && sound('admin')) problems.push(...listenerProblems(input))
  if (sound('workers') && sound('store')) problems.push(...workersProblems(input))
  if (sound('listen')) problems.push(...http2Problems(input))
  const tls = sound('listen') && sound('publicUrl') ? tlsConfig(input, folderOf) : undefined
  if (tls) problems.push(...tls.problems)
  if (sound('allowedHosts')) problems.push(...allowedHostProblems(input.allowedHosts))
  if (sound('trustProxy')) problems.push(...trustProxyProblems(input.trustProxy))
  if (sound('routePrefix') && Array.isArray(input.upstreams)) {
    const checkable = [...input.upstreams.entries()].filter(([index]) => sound('upstreams', index))
    problems.push(...upstreamProblems(new Map(checkable), input.routePrefix))
  }
  if (!plugin?.store || problems.length > 0)
    return { problems, effective: input as GatewayInput, config: undefined }

  const upstreams = input.upstreams.map(completeUpstream)
  const effective = { ...input, upstreams } as GatewayInput
  const config: GatewayConfig = {
    plugin: plugin.options,
    store: plugin.store,
    listen: frozen({
      ...input.listen,
      http2: completeHttp2(input.listen.http2),
      ...(tls?.files && { tls: tls.files }),
    }),
    admin: frozen(input.admin),
    workers: workerCount(input.workers),
    allowedHosts: frozen(input.allowedHosts.map((host) => host.toLowerCase())),
    trustProxy: frozen(input.trustProxy),
    upstreams: frozen(upstreams.toSorted((a, b) => b.prefix.length - a.prefix.length)),
    log: frozen(input.log),
    shutdown: frozen(input.shutdown),
    warnings: frozen([
      ...plugin.warnings,
      ...(tls?.warnings ?? []),
      ...upstreamWarnings(upstreams, input.clients),
    ]),
    portable: frozen(portableInput(effective, { ...plugin, tls: tls?.files, folderOf })),
  }
  return { problems, effective, config: Object.freeze(config) }
}

/** Plain data, frozen to the bottom. */
function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(frozen)
    Object.freeze(value)
  }
  return value
}
