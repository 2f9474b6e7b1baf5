import type { FastifyBaseLogger } from 'fastify'
import { ConfigError, formatProblem } from '../../../plugin/index.ts'
import type { LoadedConfig } from '../../config/load.ts'
import type { GatewayConfig, StoreConfig } from '../../config/schemas/config.ts'
import { changesBetween } from './changes.ts'

/** Another configuration, made ready. One of the two is called, once. */
export interface Prepared {
  /** From now on it serves every new request; those that have begun end where they are. */
  swap(): void
  /** Nothing has changed. */
  discard(): Promise<void>
}

/** What came of a reload. The texts show no secret. */
export type ReloadOutcome =
  | {
      /** E.g. `upstreams[/api].retry: false -> true`. */
      readonly changes: readonly string[]
      /** Keys that differ from what runs, and need a restart. */
      readonly ignored: readonly string[]
    }
  /** Why everything stays as it was. */
  | { readonly problems: readonly string[] }

type Admin = GatewayConfig['admin']
type Loaded = Pick<LoadedConfig, 'config' | 'locate'>

/** How a configuration is read, and brought into effect. */
export interface ReloadOptions {
  /** @throws ConfigError */
  readonly load: () => Loaded
  /** @throws Error when it cannot be used; then nothing has changed. */
  readonly prepare: (config: GatewayConfig) => Promise<Prepared>
  readonly log: Pick<FastifyBaseLogger, 'info' | 'warn' | 'error'>
  /** What runs. */
  readonly running: GatewayConfig
  /** Is told of each outcome. */
  readonly onOutcome?: ((isSuccessful: boolean) => void) | undefined
}

/** So many lines of changes are logged. */
const LOGGED_MAX = 100

/**
 * Puts the configuration as it is written now in the place of the one that runs: as a whole, or not at all
 * (requirements Q-03).
 */
export class Reload {
  readonly #options: ReloadOptions
  #running: GatewayConfig
  #last: Promise<unknown> = Promise.resolve()
  #next: Promise<ReloadOutcome> | undefined
  #succeededAt = new Date()

  constructor(options: ReloadOptions) {
    this.#options = options
    this.#running = options.running
  }

  /** When the configuration that runs came into effect, or was found to be the same again. */
  get succeededAt(): Date {
    return this.#succeededAt
  }

  /** The configuration that runs. */
  get running(): GatewayConfig {
    return this.#running
  }

  /** One at a time: all who ask while one is under way share the one after it. Never rejects. */
  run(): Promise<ReloadOutcome> {
    this.#next ??= this.#last.then(() => {
      this.#next = undefined
      return this.#reload()
    })
    this.#last = this.#next
    return this.#next
  }

  async #reload(): Promise<ReloadOutcome> {
    const { load, prepare, log, onOutcome } = this.#options
    let loaded: Loaded | undefined
    try {
      loaded = load()
      const before = this.#running
      const config = withFixed(loaded.config, before)
      const prepared = await prepare(config)
      prepared.swap()
      this.#running = config
      this.#succeededAt = new Date()
      onOutcome?.(true)
      const changes = changesBetween(before, config).map(({ text }) => text)
      const ignored = changesBetween(config, loaded.config).map(({ key }) => key)
      log.info({ changes: changes.slice(0, LOGGED_MAX) }, 'configuration reloaded')
      if (ignored.length > 0) log.warn({ ignored }, 'these keys have changed, and need a restart')
      for (const warning of newWarnings(before, config)) log.warn(warning)
      return { changes, ignored }
    } catch (error) {
      onOutcome?.(false)
      const problems = problemsOf(error, loaded)
      log.error({ problems }, 'the configuration cannot be used; the one before it stays')
      return { problems }
    }
  }
}

/**
 * The new configuration with what cannot change while the gateway runs: addresses that are open or known to others,
 * processes, and the store, in which sessions and logins under way are.
 */
function withFixed(next: GatewayConfig, { plugin, listen, ...running }: GatewayConfig): GatewayConfig {
  const { publicUrl, routePrefix } = plugin
  // Other files will do; but a listener speaks TLS or it does not.
  const tls = listen.tls && (next.listen.tls ?? listen.tls)
  return {
    ...next,
    plugin: { ...next.plugin, publicUrl, ...(routePrefix !== undefined && { routePrefix }) },
    listen: { ...listen, ...(tls && { tls }) },
    admin: withToken(running.admin, next.admin),
    workers: running.workers,
    store: withUrl(running.store, next.store),
    shutdown: running.shutdown,
  }
}

/** It is compared, and nothing is opened with it. */
function withToken({ bearerToken: _, ...running }: Admin, { bearerToken }: Admin): Admin {
  return { ...running, ...(bearerToken !== undefined && { bearerToken }) }
}

/** A URL that is named by a file is read again by the store itself, and by every worker that comes later. */
function withUrl(running: StoreConfig, next: StoreConfig): StoreConfig {
  if (running.type === 'memory' || next.type === 'memory' || running.urlFile === undefined) return running
  return running.urlFile === next.urlFile ? { ...running, url: next.url } : running
}

function newWarnings(before: GatewayConfig, after: GatewayConfig): readonly string[] {
  const kept = after.plugin.secrets?.some((secret) => before.plugin.secrets?.includes(secret))
  const hadSecrets = (before.plugin.secrets?.length ?? 0) > 0
  const lost = 'secrets: none of those before is kept, so every session and every login under way has ended'
  return [
    ...after.warnings.filter((warning) => !before.warnings.includes(warning)),
    ...(hadSecrets && kept === false ? [lost] : []),
  ]
}

function problemsOf(error: unknown, loaded: Loaded | undefined): readonly string[] {
  // What has no place yet was found while it was made ready.
  if (error instanceof ConfigError)
    return (loaded?.locate(error.problems) ?? error.problems).map(formatProblem)
  return [error instanceof Error ? error.message : String(error)]
}
