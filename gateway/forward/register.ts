import { METHODS } from 'node:http'
import type { FastifyInstance } from 'fastify'
import type { Pkce } from '../../plugin/index.ts'
import type { Upstream } from '../config/schemas/gateway.ts'
import { ALL_FEATURES, type NodeFeatures } from '../listener/assumptions.ts'
import { continueWhenRead } from '../listener/http1-response.ts'
import { acceptUpgrades } from '../listener/http1-upgrade.ts'
import { OpenStreams } from './exchange/open-streams.ts'
import { Intake, type IntakeOptions } from './intake.ts'
import { Routes } from './routes.ts'
import { type RouteOptions, UpstreamRoute } from './upstream/route.ts'

export type ForwardingOptions = Pick<
  IntakeOptions,
  'publicUrl' | 'allowedHosts' | 'trustProxy' | 'accessLog'
> &
  RouteOptions & {
    readonly upstreams: readonly Upstream[]
    /** What of Node's inside holds (`tryNode`). Default: all. */
    readonly features?: NodeFeatures
    /** Once it is aborted, every answer is the last of its connection. */
    readonly leaving?: AbortSignal | undefined
    readonly sessions: () => Pick<Pkce, 'authenticate' | 'corsHeaders' | 'preflightHeaders' | 'onSessionEnd'>
  }

/**
 * Lets the requests of the instance's server in: each is checked by the intake, and goes to an upstream or to one of its own routes.
 *
 * Call it before any route is registered: what it has not heard of is a 404.
 * @param app from `publicListener`. Source: requirements H-01, H-02, H-09.
 */
export function registerForwarding(app: FastifyInstance, options: ForwardingOptions): void {
  const { publicUrl, upstreams, sessions, features = ALL_FEATURES } = options
  const streams = new OpenStreams(sessions)
  const upstreamRoutes = upstreams.map((upstream) => new UpstreamRoute(upstream, publicUrl, streams, options))
  const routes = new Routes(upstreamRoutes)
  const intake = new Intake({
    ...options,
    identityHeaders: upstreams.flatMap((upstream) => Object.keys(upstream.identityHeaders)),
    routes,
    endpoints: app.routing,
    log: app.log,
    ordersPipelining: features.has('ordered pipelining'),
  })
  app.addHook('onRoute', ({ url }) => routes.addEndpoint(url))
  // So that its routes can refuse them all in the same way (H-18).
  for (const method of METHODS) {
    if (method !== 'CONNECT' && !app.supportedMethods.includes(method)) app.addHttpMethod(method)
  }
  const take = intake.take.bind(intake)
  app.server.on('request', take)
  app.server.on('checkContinue', (request, response) => {
    continueWhenRead(request, response)
    take(request, response)
  })
  if (upstreams.some(({ websocket }) => websocket !== false)) acceptUpgrades(app.server, take, app.log)

  options.leaving?.addEventListener('abort', () => intake.drain())
  app.addHook('preClose', async () => {
    intake.drain()
    streams.drain()
  })
  app.addHook('onClose', async () => {
    streams.close()
    await Promise.all(upstreamRoutes.map((route) => route.targets.close()))
  })
}
