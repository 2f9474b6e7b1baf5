import { METHODS } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { OpenStreams } from './streams.ts'
import { acceptUpgrades } from './upgrade.ts'
import { UpstreamRoute } from './upstream.ts'
import { Walk, type WalkOptions } from './walk.ts'

/**
 * Puts the walk of every request on the instance, and its forwarded routes.
 *
 * Call it before any other route is registered: the hook covers what is registered after it, 404s included.
 * Source: requirements H-01, H-02, H-09.
 */
export function registerForwarding(app: FastifyInstance, options: WalkOptions): void {
  const walk = new Walk(options)
  const streams = new OpenStreams(options.sessions)
  app.addHook('onRequest', (request, reply, done) => walk.take(request, reply, done))

  const methods = METHODS.filter((method) => method !== 'CONNECT')
  for (const method of methods) {
    if (!app.supportedMethods.includes(method)) app.addHttpMethod(method, { hasBody: true })
  }
  for (const upstream of options.upstreams) {
    const route = new UpstreamRoute(upstream, options.publicUrl, streams)
    for (const url of [route.prefix || '/', `${route.prefix}/*`]) {
      app.route({
        url,
        method: methods,
        config: { upstream: route },
        exposeHeadRoute: false,
        // A child logger for each request would cost more than the lookup of the session.
        childLoggerFactory: (logger) => logger,
        handler: () => {
          throw new Error('the walk has been bypassed')
        },
      })
    }
    app.addHook('onClose', () => route.targets.close())
  }
  if (options.upstreams.some(({ websocket }) => websocket !== false)) acceptUpgrades(app)
  app.addHook('preClose', async () => streams.drain())
  app.addHook('onClose', async () => streams.close())
}
