import { writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { GatewayInput } from '../../gateway/index.ts'
import { notInstalled, type Peer, type Place, secureOf } from '../peers/peer.ts'
import { program } from '../plan/project.ts'
import { CLIENT_ID, REDIRECT_URI, signIn } from './app.ts'
import { certificateFiles } from './keys.ts'
import { inRedis } from './redis.ts'

/** Who may introspect. */
export const RESOURCE_SERVER = { clientId: 'resource-server', clientSecret: 'resource-server-secret' }

/** What the plugin must be told, and nothing that has a default. */
export function pluginOptions({ port, provider }: Pick<Place, 'port' | 'provider'>) {
  return {
    publicUrl: `http://127.0.0.1:${port}`,
    // Without `openid`: this provider gives no id_token, so no signature is verified at the exchange.
    provider: {
      issuer: `http://127.0.0.1:${provider}`,
      clientId: 'gateway',
      clientSecret: 'gateway-secret',
      scope: 'offline_access',
    },
    clients: [
      { clientId: CLIENT_ID, name: 'Benchmark', redirectUris: [REDIRECT_URI], scopes: ['orders.read'] },
    ],
  }
}

/** Where the upstream is; who may call it is not said. */
export function api({ upstream }: Pick<Place, 'upstream'>) {
  return { prefix: '/api', target: `http://127.0.0.1:${upstream}/api` }
}

/** The gateway's configuration: the plugin's options, where it listens, and the upstream. */
export function gatewayConfiguration(place: Pick<Place, 'port' | 'helperPort' | 'provider' | 'upstream'>) {
  return {
    ...pluginOptions(place),
    listen: { host: '127.0.0.1', port: place.port },
    admin: { host: '127.0.0.1', port: place.helperPort },
    upstreams: [{ ...api(place), scopes: ['orders.read'] }],
  } satisfies GatewayInput
}

/** A gateway that differs from the default one. */
interface Variant extends Pick<Peer, 'name' | 'title'> {
  /** What is not a default, by necessity, e.g. a rate limit that the load would run into. */
  change?(place: Place): Partial<GatewayInput>
  /** Its store is a Redis, not the memory. */
  readonly redis?: boolean
  readonly secure?: Peer['secure']
  /** The compiled command; ours if it is not said. */
  readonly main?: string
}

const byDefault: Variant = { name: 'gateway', title: 'the gateway, default options, memory store' }

/**
 * The gateway of another build, if `BENCHMARK_AGAINST` names one: before and after a change, in one run.
 *
 * @param variant what it is beside that, e.g. with other limits.
 */
export function otherGateways(variant: Partial<Variant> = {}): Peer[] {
  const build = process.env.BENCHMARK_AGAINST
  if (build === undefined) return []
  const main = resolve(build, 'gateway/main.js')
  return [gatewayPeer({ name: 'gateway-other', title: 'the gateway of BENCHMARK_AGAINST', ...variant, main })]
}

/** The gateway as its users start it: the command, with a configuration file. */
export function gatewayPeer(variant: Variant = byDefault): Peer {
  const { name, title, change, redis = false, main, secure } = variant
  const peer: Peer = {
    name,
    title,
    isNode: true,
    authenticates: true,
    readyText: 'gateway ready',
    ...(secure && { secure }),
    ...(redis && { needsRedis: true, missing: () => notInstalled('redis-server') }),
    commands: (place) => {
      const file = join(place.folder, 'gateway.json')
      const store = redis && inRedis(place)
      const over = secure && tlsConfiguration(place, secure)
      const config = { ...gatewayConfiguration(place), ...store, ...over, ...change?.(place) }
      writeFileSync(file, JSON.stringify(config))
      const args = [...place.nodeFlags, main ?? program('../gateway/main.js'), '--config', file]
      return [{ file: place.node, args }]
    },
    authorization: async (place) => `Bearer ${(await signIn(place.port, secureOf(peer, place))).accessToken}`,
  }
  return peer
}

function tlsConfiguration(place: Place, protocol: NonNullable<Peer['secure']>) {
  return {
    publicUrl: `https://127.0.0.1:${place.port}`,
    listen: {
      host: '127.0.0.1',
      port: place.port,
      tls: certificateFiles(place),
      http2: protocol === 'h2',
    },
  } satisfies Partial<GatewayInput>
}

const MANY = 10_000_000
/** No limits by address, and room for every login. */
export const lifted = {
  rateLimit: false,
  limits: { transactionsPerAddress: MANY, transactions: MANY },
} satisfies Partial<GatewayInput>

/**
 * The gateway for the OAuth endpoints, on either store: all of the load has one address, so the limits by address
 * are lifted; nothing else is changed.
 */
export function unlimitedGateways(also: Partial<GatewayInput> = {}): readonly Peer[] {
  const change = () => ({ ...lifted, store: { maxRecords: MANY }, ...also })
  return [
    gatewayPeer({
      name: 'gateway',
      title: 'the gateway, address limits lifted, memory store',
      change,
    }),
    ...otherGateways({ change }),
    gatewayPeer({
      name: 'gateway-redis',
      title: 'the gateway, address limits lifted, Redis',
      redis: true,
      change: () => ({ ...lifted, ...also }),
    }),
  ]
}
