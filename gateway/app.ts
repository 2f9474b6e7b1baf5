import type { FastifyRedis } from '@fastify/redis'
import type { FastifyInstance } from 'fastify'
import { loadPackage, pkceWith, servicesOf } from '../plugin/api/internal.ts'
import type { OnLogin, PkceOptions, Store } from '../plugin/index.ts'
import type { GatewayConfig } from './config/schemas/config.ts'
import type { Load } from './forward/client-request.ts'
import { type ForwardingOptions, registerForwarding } from './forward/register.ts'
import { type NodeFeatures, tryNode } from './listener/assumptions.ts'
import { type ListenerOptions, publicListener } from './listener/listener.ts'
import { IdentityKeys } from './operations/identity-jwt/identity-keys.ts'
import { createAccessLog } from './operations/log/access-log.ts'
import { listenerLogging } from './operations/log/log.ts'
import type { LogStream } from './operations/log/log-sink.ts'
import { Overload } from './operations/overload.ts'
import { optionsAtEachUse } from './operations/provider-secrets.ts'
import { borrowedStore, createStore, type GatewayStore } from './operations/store.ts'
import { observed, observerOf } from './operations/tracing/observer.ts'
import { createTracing } from './operations/tracing/tracing.ts'

/** What lives behind a listener, made from the configuration as often as it is asked for. */
export interface GatewayServices {
  readonly store: GatewayStore
  /** The plugin's options: the configured ones, the store, and functions for the secrets that are read at each use. */
  readonly options: PkceOptions
}

/** What a program may bring along. */
export interface GatewayOptions {
  /** Used in place of the configured one, and left open. */
  readonly store?: Store
  /** Called once for each login, before anything is issued: a configuration file has no functions. */
  readonly onLogin?: OnLogin
  /** Where log lines go instead of stdout. */
  readonly logStream?: LogStream
  /**
   * Once it is aborted, every answer is the last of its connection, and new ones are accepted until the gateway closes.
   * Connections of HTTP/2 go on until then.
   */
  readonly leaving?: AbortSignal
  /** For benchmarks: fast paths that are not taken. */
  readonly leftOut?: readonly FastPath[]
}

type ListenerChoices = Pick<GatewayOptions, 'leftOut'> &
  Pick<ListenerOptions, 'isComplete'> & { readonly logStream: LogStream | undefined }

/** A way to make requests cheaper that changes nothing else. Each has an ordinary way beside it. */
export type FastPath = 'coalesced responses' | 'header-only requests' | 'whole bodies'

/**
 * Makes everything alive that the configuration describes. Nothing is connected before `store.prepare`.
 *
 * @param given used in place of the configured store, and left open.
 * @throws StoreError, Error when no store can be made.
 */
export function createServices(config: GatewayConfig, given?: Store): GatewayServices {
  const store = given ? borrowedStore(given) : createStore(config.store)
  return { store, options: optionsOn(store, config) }
}

/** The plugin's options, on a store that is there. */
export function optionsOn({ store }: GatewayStore, config: GatewayConfig): PkceOptions {
  const { plugin, upstreams } = config
  // What needs no session has no tokens of its own.
  const resources = upstreams
    .filter((one) => !one.public)
    .map(({ prefix }) => plugin.publicUrl + prefix.replace(/\/$/, ''))
  return { ...optionsAtEachUse(plugin), resources, store } as PkceOptions
}

/**
 * The gateway for programs: looks at the store, then puts the listener, the forwarding and the plugin together.
 *
 * @returns a Fastify instance that does not listen yet. Closing it closes the store, unless `options.store` was given.
 * @throws ConfigError when the provider's metadata is wrong. @throws StoreError when the store cannot be used.
 */
export async function buildGateway(
  config: GatewayConfig,
  options: GatewayOptions = {},
): Promise<FastifyInstance> {
  const services = createServices(config, options.store)
  const warnings = await prepareStore(services.store)
  const { onLogin } = options
  const app = await composeGateway(
    config,
    onLogin ? { ...services, options: { ...services.options, onLogin } } : services,
    options,
  )
  for (const warning of warnings) app.log.warn(warning)
  return app
}

/** @returns warnings. @throws StoreError when it cannot be used; then it is closed. */
export async function prepareStore(store: GatewayStore): Promise<readonly string[]> {
  try {
    return await store.prepare()
  } catch (error) {
    await store.close()
    throw error
  }
}

/**
 * The gateway: a listener with its limits, the checks of every request, the plugin's endpoints, the upstreams.
 *
 * @returns a Fastify instance that does not listen yet. Closing it closes the store of `services`, as a failure does.
 * @throws ConfigError when the provider's metadata is wrong, or the certificate cannot be used any more.
 */
export async function composeGateway(
  config: GatewayConfig,
  { store, options: plain }: GatewayServices,
  { logStream, leaving, leftOut = [] }: Omit<GatewayOptions, 'store' | 'onLogin'> = {},
): Promise<FastifyInstance> {
  let close = () => store.close()
  try {
    const tracing = createTracing()
    const options = { ...plain, store: observed(store, undefined, tracing).store }
    const { app, features } = await openListener(config, { logStream, leftOut })
    // The first hook to be added is the last to be run: after the plugin's own.
    app.addHook('onClose', () => store.close())
    close = () => app.close()
    const identityKeys = IdentityKeys.of(config)
    const overload = new Overload(config.listen.overload)
    overload.watch(app.log)
    app.addHook('onClose', async () => overload.close())
    const forwarding = registerForwarding(app, {
      ...forwardingOptions(app, config, overload, {
        tracing,
        identityTokens: identityKeys && (() => identityKeys),
      }),
      features,
      sendsWholeBodies: !leftOut.includes('whole bodies'),
    })
    leaving?.addEventListener('abort', () => forwarding.leave())
    if (store.redis) {
      const fastifyRedis = loadPackage<typeof import('@fastify/redis')>('@fastify/redis')
      await app.register(fastifyRedis.default, { client: store.redis as FastifyRedis })
    }
    await app.register(pkceWith(observerOf(undefined, tracing)), options)
    await identityKeys?.open(app)
    return app
  } catch (error) {
    await close()
    throw error
  }
}

/**
 * A public listener, which does not listen yet, and what it can rely on.
 *
 * @param isComplete nobody adds routes to it. @throws ConfigError when the certificate cannot be used any more.
 */
export async function openListener(
  config: GatewayConfig,
  { logStream, leftOut = [], isComplete = false }: ListenerChoices,
): Promise<{ readonly app: FastifyInstance; readonly features: NodeFeatures }> {
  const { features, failures } = await tryNode(config.listen.http2 !== false, leftOut)
  const logging = listenerLogging(config.log.level, logStream)
  const app = publicListener(config, { ...logging, features, isComplete })
  for (const { message, assumption } of failures) app.log.warn({ assumption }, message)
  return { app, features }
}

/** What the forwarding needs of the configuration, and of the instance that the plugin is registered on. */
export function forwardingOptions(
  app: FastifyInstance,
  config: GatewayConfig,
  load: Load,
  more: Pick<ForwardingOptions, 'metrics' | 'tracing' | 'identityTokens'> = {},
): ForwardingOptions {
  const { allowedHosts, trustProxy, upstreams, plugin, listen, forwardAuth } = config
  const { minUploadBytesPerSecond } = listen
  return {
    ...{ publicUrl: plugin.publicUrl, allowedHosts, trustProxy, minUploadBytesPerSecond, upstreams },
    accessLog: createAccessLog(config.log, app.log, (subject, issuer) =>
      servicesOf(app)?.audit.loggedSubject(subject, issuer),
    ),
    load,
    ...more,
    ...(forwardAuth && { forwardAuthPath: `${plugin.routePrefix ?? '/oauth2'}/verify` }),
    sessions: () => app.pkce,
  }
}
