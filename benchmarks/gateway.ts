import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { GatewayInput } from '../gateway/index.ts'
import { CLIENT_ID, REDIRECT_URI, signIn } from './app.ts'
import type { Peer, Place } from './peers/peer.ts'
import { program } from './project.ts'

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

/** The gateway's configuration: the plugin's options, where it listens, and the upstream. */
export function gatewayConfiguration(place: Pick<Place, 'port' | 'helperPort' | 'provider' | 'upstream'>) {
  return {
    ...pluginOptions(place),
    listen: { host: '127.0.0.1', port: place.port },
    admin: { host: '127.0.0.1', port: place.helperPort },
    upstreams: [
      { prefix: '/api', target: `http://127.0.0.1:${place.upstream}/api`, scopes: ['orders.read'] },
    ],
  } satisfies GatewayInput
}

/**
 * The gateway as its users start it: the command, with a configuration file.
 *
 * @param change what is not a default, by necessity, e.g. a rate limit that the load would run into.
 */
export function gatewayPeer(
  change: Partial<GatewayInput> = {},
  { name, title }: Pick<Peer, 'name' | 'title'> = {
    name: 'gateway',
    title: 'the gateway, default options, memory store',
  },
): Peer {
  return {
    name,
    title,
    isNode: true,
    authenticates: true,
    commands: (place) => {
      const file = join(place.folder, 'gateway.json')
      writeFileSync(file, JSON.stringify({ ...gatewayConfiguration(place), ...change }))
      const args = [...place.nodeFlags, program('../gateway/main.js'), '--config', file]
      return [{ file: place.node, args }]
    },
    authorization: async ({ port }) => `Bearer ${(await signIn(port)).accessToken}`,
  }
}
