import Value from 'typebox/value'
import { copyData, expandPreset, freezeData, mapProviders } from '../../plugin/api/internal.ts'
import { schemaProblems } from '../../plugin/api/schemas.ts'
import type { ConfigProblem } from '../../plugin/index.ts'
import { completeHttp2, http2Problems } from './rules/http2.ts'
import {
  allowedHostProblems,
  completeOverload,
  forwardAuthProblems,
  listenerProblems,
  overloadProblems,
  trustProxyProblems,
  workerCount,
  workersProblems,
} from './rules/listener.ts'
import { completePlugin } from './rules/plugin.ts'
import { completeStore } from './rules/store.ts'
import { completeTls } from './rules/tls.ts'
import { type UpstreamInput, upstreamProblems } from './rules/upstream.ts'
import { completeUpstream, upstreamWarnings } from './rules/upstream-defaults.ts'
import { completeTrust } from './rules/upstream-trust.ts'
import type { DefaultedStore, ExpandedInput, GatewayConfig, GatewayInput } from './schemas/config.ts'
import { GatewaySchema } from './schemas/gateway.ts'
import { readSecrets, type SecretFile } from './secrets.ts'

type Path = ConfigProblem['path']

/** What the schema's defaults make of the input. */
type Defaulted = Required<Omit<ExpandedInput, 'upstreams' | 'store'>> &
  Omit<GatewayConfig, 'plugin' | 'store' | 'warnings' | 'upstreams' | 'workers'> & {
    upstreams: UpstreamInput[]
    store: DefaultedStore
  }

/** What is known of the values besides themselves. */
export interface ConfigContext {
  /** What a relative file name at a path is relative to. Default: the working directory. */
  readonly folderOf?: (path: Path) => string
  /** What the operator should hear of where the values come from. */
  readonly warnings?: readonly string[]
}

/** The outcome: a configuration, or what is wrong. */
export interface Completed {
  /** Plain data, frozen to the bottom. */
  readonly config: GatewayConfig | undefined
  /** The input with every default filled. */
  readonly effective: GatewayInput
  readonly problems: readonly ConfigProblem[]
  /** What the plugin says of its own options when it is registered. */
  readonly pluginWarnings: readonly string[]
  /** Those of `readSecrets`. */
  readonly secretFiles: readonly SecretFile[]
}

/**
 * Fills the defaults and applies the rules, in this order: preset, schema, secrets, store, the plugin's, the gateway's own.
 * A part that breaks the schema does not hide what is wrong with the others.
 *
 * Files that are named are read; nothing is opened or connected for longer than that.
 */
export function completeConfig(given: unknown, context: ConfigContext = {}): Completed {
  const { folderOf = () => '.' } = context
  const values = withPresets(given)
  const problems = schemaProblems(GatewaySchema, values)
  // A rule reads fields that exist and have the right type; an unknown key breaks nothing.
  const copy = copyData(values)
  const known = problems.length === 0 ? copy : Value.Clean(GatewaySchema, copy)
  const broken = problems.length === 0 ? [] : schemaProblems(GatewaySchema, known)
  const isSound = (...path: Path) =>
    !broken.some((one) => path.every((key, depth) => depth >= one.path.length || key === one.path[depth]))
  const input = Value.Default(GatewaySchema, known) as Defaulted
  const failed = {
    problems,
    effective: input as GatewayInput,
    config: undefined,
    pluginWarnings: [],
    secretFiles: [],
  }
  if (broken.some(({ path }) => path.length === 0)) return failed

  const secrets = readSecrets(input, { folderOf, isSound })
  const store = isSound('store') ? completeStore(input.store, secrets.store, folderOf) : undefined
  const plugin = completePlugin(input, { secrets, isSound, folderOf })
  problems.push(...secrets.problems, ...(store?.problems ?? []), ...plugin.problems)
  if (isSound('listen') && isSound('admin')) problems.push(...listenerProblems(input))
  if (isSound('listen', 'overload')) problems.push(...overloadProblems(input))
  if (isSound('workers') && isSound('store')) problems.push(...workersProblems(input))
  if (isSound('listen', 'http2') && isSound('listen', 'tls')) problems.push(...http2Problems(input))
  const tls = isSound('listen', 'tls') && isSound('publicUrl') ? completeTls(input, folderOf) : undefined
  if (tls) problems.push(...tls.problems)
  if (isSound('allowedHosts')) problems.push(...allowedHostProblems(input.allowedHosts))
  if (isSound('trustProxy'))
    problems.push(...trustProxyProblems(input.trustProxy), ...forwardAuthProblems(input))
  const checkable = new Map(
    (Array.isArray(input.upstreams) ? [...input.upstreams.entries()] : []).filter(([index]) =>
      isSound('upstreams', index),
    ),
  )
  if (isSound('routePrefix'))
    problems.push(...upstreamProblems(checkable, input.routePrefix, input.forwardAuth === true))
  const trust = completeTrust(checkable, folderOf)
  problems.push(...trust.problems)
  if (problems.length > 0 || !plugin.config || !store?.config) return failed

  const upstreams = input.upstreams.map((upstream, index) =>
    completeUpstream(upstream, trust.files.get(index)),
  )
  const { tokenFile: _, ...admin } = input.admin as NonNullable<GatewayInput['admin']> &
    GatewayConfig['admin']
  const listen = { ...input.listen, overload: completeOverload(input.listen) }
  const config: GatewayConfig = {
    plugin: plugin.config,
    store: store.config,
    listen: {
      ...listen,
      http2: completeHttp2(input.listen.http2),
      ...(tls?.files && { tls: tls.files }),
    },
    admin: { ...admin, ...(secrets.adminToken !== undefined && { bearerToken: secrets.adminToken }) },
    workers: workerCount(input.workers),
    allowedHosts: input.allowedHosts.map((host) => host.toLowerCase()),
    trustProxy: input.trustProxy,
    forwardAuth: input.forwardAuth,
    upstreams: upstreams.toSorted((a, b) => b.prefix.length - a.prefix.length),
    log: input.log,
    shutdown: input.shutdown,
    warnings: [
      ...(context.warnings ?? []),
      ...secrets.warnings,
      ...store.warnings,
      ...(tls?.warnings ?? []),
      ...trust.warnings,
      ...upstreamWarnings(upstreams, input),
    ],
  }
  return {
    problems,
    effective: { ...input, listen, upstreams } as GatewayInput,
    config: plainData(config),
    pluginWarnings: plugin.warnings,
    secretFiles: secrets.files,
  }
}

/** A provider that is known by its preset, in full: it is judged and printed like one that was written out. */
function withPresets(given: unknown): unknown {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) return given
  return { ...given, ...mapProviders<unknown, unknown>(given, expandPreset) }
}

/** A frozen copy, as another process gets it too: keys without a value are not in it. */
function plainData(config: GatewayConfig): GatewayConfig {
  return freezeData(copyData(config)) as GatewayConfig
}
