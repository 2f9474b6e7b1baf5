import { setTimeout as sleep } from 'node:timers/promises'
import { isDeepStrictEqual } from 'node:util'
import type { FastifyInstance } from 'fastify'
import {
  type AgentRules,
  knownClient,
  pkceWith,
  providerPath,
  providersOf,
  unreadyProviders,
} from '../../plugin/api/internal.ts'
import { ConfigError, type Session, StoreError } from '../../plugin/index.ts'
import { forwardingOptions, optionsOn } from '../app.ts'
import type { GatewayConfig } from '../config/schemas/config.ts'
import type { Load } from '../forward/client-request.ts'
import { createForwarding, type Forwarding } from '../forward/register.ts'
import { behindListener } from '../listener/listener.ts'
import { IdentityKeys } from '../operations/identity-jwt/identity-keys.ts'
import { listenerLogging } from '../operations/log/log.ts'
import type { LogStream } from '../operations/log/log-sink.ts'
import type { Metrics } from '../operations/metrics/metrics.ts'
import type { GatewayStore } from '../operations/store.ts'
import { observerOf } from '../operations/tracing/observer.ts'
import type { Tracing } from '../operations/tracing/tracing.ts'

/** How often it is looked whether the last request of an old generation has ended. */
const CHECK_MS = 250
/** Each holds memory and connections: who reloads more often than streams end has the oldest told to move on. */
const OLD_MAX = 4
/** A store that is away when a reload comes, as while its password is rotated, is asked again for so long. */
const STORE_AWAY_MS = 5000
const ASK_AGAIN_MS = 100

/** What one configuration has made behind the listener: endpoints, forwarding, and all that they hold in memory. */
export interface Generation {
  readonly config: GatewayConfig
  readonly app: FastifyInstance
  readonly forwarding: Forwarding
}

/** What outlives a generation. */
export interface Shared {
  readonly store: GatewayStore
  /** Of all generations together. */
  readonly load: Load
  readonly logStream: LogStream | undefined
  /** Undefined: nothing is counted. */
  readonly metrics: Metrics | undefined
  /** Undefined: nothing is traced. */
  readonly tracing: Tracing | undefined
}

/**
 * Makes a generation that can serve at once.
 *
 * @param before whose place it is going to take.
 * @throws ConfigError for a provider whose metadata is wrong, or, in the place of another, that cannot be reached.
 * @throws StoreError when the store does not answer.
 */
export async function makeGeneration(
  config: GatewayConfig,
  { store, load, logStream, metrics, tracing }: Shared,
  before?: Generation,
): Promise<Generation> {
  const app = behindListener(config, listenerLogging(config.log.level, logStream))
  try {
    const identityKeys = IdentityKeys.of(config)
    const identityTokens = identityKeys && (() => identityKeys)
    const forwarding = createForwarding(
      app,
      forwardingOptions(app, config, load, { metrics, tracing, identityTokens }),
    )
    const options = optionsOn(store, config)
    metrics?.know(config.plugin.clients)
    const observer = observerOf(metrics, tracing)
    if (before === undefined) await app.register(pkceWith(observer), options)
    else {
      const isSame = sameProviders(before.config, config)
      await app.register(pkceWith(observer, { app: before.app, isSameProvider: isSame }), options)
      // At a start one waits for it. Here there is one that works.
      const unready = unreadyProviders(app).filter((issuer) => !isSame(issuer))
      if (unready.length > 0) throw unreachable(config, unready)
    }
    if (metrics) app.pkce.events.on('*', (event) => metrics.recorded(event))
    await identityKeys?.open(app)
    await app.ready()
    return { config, app, forwarding }
  } catch (error) {
    await app.close()
    throw error
  }
}

/** By issuer: true where all is the same, apart from secrets, which nobody can try without a login. */
function sameProviders(before: GatewayConfig, after: GatewayConfig): (issuer: string) => boolean {
  const byIssuer = ({ plugin }: GatewayConfig) =>
    new Map(
      providersOf(plugin).map(([, provider]) => [
        provider.issuer,
        { ...provider, ...{ clientSecret: 0, clientSecretFile: 0, privateKey: 0, privateKeyFile: 0 } },
      ]),
    )
  const [old, now] = [byIssuer(before), byIssuer(after)]
  return (issuer) => isDeepStrictEqual(old.get(issuer), now.get(issuer))
}

function unreachable({ plugin }: GatewayConfig, issuers: readonly string[]): ConfigError {
  const changed = providersOf(plugin).filter(([, { issuer }]) => issuers.includes(issuer!))
  return new ConfigError(
    changed.map(([name, { issuer }]) => ({
      path: [...providerPath(name), 'issuer'],
      problem: `${issuer} cannot be reached: logins would fail with the changed provider`,
    })),
  )
}

/** Sessions of clients that are registered and enabled, and of those that nobody registered where they still may come. */
function servedBy({ plugin }: GatewayConfig): (session: Session) => boolean {
  const registered = new Map(plugin.clients.map((one) => [one.clientId, one.enabled !== false]))
  // The schema has filled in every default.
  const others = { clients: new Map(), agents: plugin.agents as AgentRules }
  return ({ clientId }) => registered.get(clientId) ?? knownClient(others, clientId) !== undefined
}

/**
 * The generation that gets every new request, and those before it, which end what they have begun: requests, logins,
 * streams and WebSockets (requirements Q-03).
 */
export class Generations {
  #current: Generation
  /** The oldest first. Each is closed when nothing is under way in it any more. */
  readonly #old = new Map<Generation, Promise<void>>()
  readonly #closing = new AbortController()

  constructor(first: Generation) {
    this.#current = first
  }

  get current(): Generation {
    return this.#current
  }

  /**
   * Makes what `replace` takes.
   *
   * @throws ConfigError as `makeGeneration`. @throws StoreError when the store is away for longer than a moment.
   */
  async makeNext(config: GatewayConfig, shared: Shared): Promise<Generation> {
    const { signal } = this.#closing
    const giveUpAt = performance.now() + STORE_AWAY_MS
    for (;;) {
      try {
        return await makeGeneration(config, shared, this.#current)
      } catch (error) {
        const isAway = error instanceof StoreError && !signal.aborted
        if (!isAway || performance.now() > giveUpAt) throw error
        await sleep(ASK_AGAIN_MS, undefined, { ref: false })
      }
    }
  }

  replace(next: Generation): void {
    const old = this.#current
    this.#current = next
    const serves = servedBy(next.config)
    for (const { forwarding } of [old, ...this.#old.keys()]) forwarding.replacedBy(serves)
    this.#old.set(
      old,
      this.#retire(old).finally(() => this.#old.delete(old)),
    )
    if (this.#old.size > OLD_MAX) [...this.#old.keys()][0]!.forwarding.drain()
  }

  /** From now on every answer is the last of its connection. */
  leave(): void {
    for (const { forwarding } of this.#all) forwarding.leave()
  }

  /** The same, and every stream is told to move on. */
  drain(): void {
    for (const { forwarding } of this.#all) forwarding.drain()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await Promise.all([this.#current.app.close(), ...this.#old.values()])
  }

  get #all(): readonly Generation[] {
    return [this.#current, ...this.#old.keys()]
  }

  async #retire({ app, forwarding }: Generation): Promise<void> {
    const { signal } = this.#closing
    while (!forwarding.isIdle && !signal.aborted)
      await sleep(CHECK_MS, undefined, { signal, ref: false }).catch(() => {})
    await app.close()
  }
}
