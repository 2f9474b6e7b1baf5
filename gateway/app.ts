import fastifyRedis from '@fastify/redis'
import type { FastifyInstance } from 'fastify'
import { pkce } from '../plugin/index.ts'
import type { GatewayConfig } from './config/schemas/gateway.ts'
import { registerForwarding } from './forward/register.ts'
import { type ListenerOptions, publicListener } from './listener/listener.ts'

/**
 * The gateway: a listener with its limits, the walk of every request, the plugin's endpoints, the upstreams.
 *
 * @returns a Fastify instance that does not listen yet; closing it leaves the store of `config` open.
 * @throws ConfigError when the provider's metadata is wrong.
 */
export async function buildGateway(
  config: GatewayConfig,
  options: ListenerOptions = {},
): Promise<FastifyInstance> {
  const app = publicListener(config, options)
  registerForwarding(app, {
    publicUrl: config.plugin.publicUrl,
    allowedHosts: config.allowedHosts,
    trustProxy: config.trustProxy,
    upstreams: config.upstreams,
    sessions: () => app.pkce,
  })
  if (config.store.redis) await app.register(fastifyRedis, { client: config.store.redis })
  await app.register(pkce, config.plugin)
  return app
}
