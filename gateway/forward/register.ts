import { type IncomingMessage, METHODS, type ServerResponse } from 'node:http'
import type { FastifyInstance } from 'fastify'
import { dpopMetadataOf } from '../../plugin/api/internal.ts'
import type { Pkce, Session } from '../../plugin/index.ts'
import type { Upstream } from '../config/schemas/config.ts'
import { resourceMetadata, resourceMetadataPath } from '../http/protected-resource.ts'
import { servedHosts } from '../http/request-target.ts'
import { ALL_FEATURES, type NodeFeatures } from '../listener/assumptions.ts'
import { afterPrevious, claimConnection } from '../listener/http1-connection.ts'
import { continueWhenRead } from '../listener/http1-response.ts'
import { acceptUpgrades } from '../listener/http1-upgrade.ts'
import { Http2Response, whenStillOpen } from '../listener/http2/response.ts'
import { OpenStreams } from './exchange/open-streams.ts'
import { type RequestSpan, resumeSpan } from './exchange/request-tracing.ts'
import { ForwardAuth } from './forward-auth/forward-auth.ts'
import { Intake, type IntakeOptions } from './intake.ts'
import { Routes } from './routes.ts'
import { type RouteOptions, UpstreamRoute } from './upstream/route.ts'

export type ForwardingOptions = Pick<
  IntakeOptions,
  'publicUrl' | 'allowedHosts' | 'trustProxy' | 'accessLog' | 'load' | 'metrics' | 'tracing'
> &
  RouteOptions & {
    readonly upstreams: readonly Upstream[]
    /** Path of the endpoint that proxies ask, e.g. `/oauth2/verify`; undefined: there is none. */
    readonly forwardAuthPath?: string | undefined
    /** What of Node's inside holds (`tryNode`). Default: all. */
    readonly features?: NodeFeatures
    readonly sessions: () => Pick<
      Pkce,
      'authenticate' | 'corsHeaders' | 'preflightHeaders' | 'dpopHeaders' | 'onSessionEnd'
    >
  }

/** The way of all requests behind a listener: checks, endpoints, upstreams. */
export interface Forwarding {
  take(request: IncomingMessage, response: ServerResponse): void
  /** From now on every answer is the last of its connection. */
  leave(): void
  /** The same, and every stream is told to move on. */
  drain(): void
  /** Another forwarding has taken its place, which serves these sessions alone: the streams of others end. */
  replacedBy(serves: (session: Session) => boolean): void
  /** True if no request, stream or tunnel is under way. */
  readonly isIdle: boolean
}

/**
 * Lets the requests of the instance's server in: each is checked by the intake, and goes to an upstream or to one of its own routes.
 *
 * Call it before any route is registered: what it has not heard of is a 404.
 * @param app from `publicListener`. Source: requirements H-01, H-02, H-09.
 */
export function registerForwarding(app: FastifyInstance, options: ForwardingOptions): Forwarding {
  const forwarding = createForwarding(app, options)
  letIn(app, () => forwarding, options.features)
  return forwarding
}

/**
 * The same without a server: the requests come from another instance's, by `letIn`.
 *
 * @param app whose routes are the endpoints.
 */
export function createForwarding(app: FastifyInstance, options: ForwardingOptions): Forwarding {
  const { publicUrl, allowedHosts, upstreams, sessions, tracing, forwardAuthPath: path } = options
  const streams = new OpenStreams(sessions)
  const upstreamRoutes = upstreams.map((upstream) => new UpstreamRoute(upstream, publicUrl, streams, options))
  const routes = new Routes(upstreamRoutes)
  const identityHeaders = upstreams.flatMap((upstream) => Object.keys(upstream.identityHeaders))
  const hosts = servedHosts(publicUrl, allowedHosts)
  const intake = new Intake({
    ...options,
    ...(tracing && { sessions: () => inSpans(sessions()) }),
    identityHeaders,
    forwardAuth:
      path === undefined ? undefined : new ForwardAuth({ path, hosts, routes, identityHeaders, sessions }),
    routes,
    endpoints: app.routing,
    log: app.log,
  })
  if (tracing) app.addHook('preHandler', resumeSpan)
  app.addHook('onRoute', ({ url }) => routes.addEndpoint(url))
  describeResources(app, upstreamRoutes, publicUrl, sessions)
  // So that its routes can refuse them all in the same way (H-18).
  for (const method of METHODS) {
    if (method !== 'CONNECT' && !app.supportedMethods.includes(method)) app.addHttpMethod(method)
  }
  const forwarding: Forwarding = {
    take: (request, response) => intake.take(request, response),
    leave: () => intake.drain(),
    drain() {
      intake.drain()
      streams.drain()
    },
    replacedBy: (serves) => streams.endUnless(serves),
    get isIdle() {
      return intake.isIdle && upstreamRoutes.every(({ underWay }) => underWay === 0)
    },
  }
  app.addHook('preClose', async () => forwarding.drain())
  app.addHook('onClose', async () => {
    streams.close()
    await Promise.all(upstreamRoutes.map((route) => route.targets.close()))
  })
  return forwarding
}

/** Gives every request of the instance's server to what is `current` when its turn has come. */
export function letIn(
  { server, log }: FastifyInstance,
  current: () => Forwarding,
  features: NodeFeatures = ALL_FEATURES,
): void {
  // Else Node does not tell when that is (`tryNode`).
  const ordersPipelining = features.has('ordered pipelining')
  const take = (request: IncomingMessage, response: ServerResponse) => {
    if (!claimConnection(response) && ordersPipelining)
      afterPrevious(request.socket, response, () => take(request, response))
    else current().take(request, response)
  }
  const enter = (request: IncomingMessage, response: ServerResponse) => {
    if (response instanceof Http2Response) whenStillOpen(response, () => take(request, response))
    else take(request, response)
  }
  server.on('request', enter)
  server.on('checkContinue', (request, response) => {
    continueWhenRead(request, response)
    enter(request, response)
  })
  acceptUpgrades(server, take, log)
}

/** For clients that know the address of an API alone, e.g. agents (RFC 9728; requirements N-01). */
function describeResources(
  app: FastifyInstance,
  upstreams: readonly UpstreamRoute[],
  publicUrl: string,
  sessions: ForwardingOptions['sessions'],
): void {
  const protectedOnes = upstreams.filter(({ publicRoute }) => publicRoute === null)
  const scopes = [...new Set(protectedOnes.flatMap((route) => route.scopes))]
  const whole = { publicUrl, prefix: '', scopes }
  for (const resource of [whole, ...protectedOnes.filter(({ prefix }) => prefix !== '')]) {
    const metadata = resourceMetadata(resource)
    const path = resourceMetadataPath(resource.prefix)
    app.get(path, async ({ headers }, reply) =>
      reply.headers(sessions().corsHeaders(headers.origin)).send({ ...metadata, ...dpopMetadataOf(app) }),
    )
    app.options(path, async ({ raw }, reply) => {
      const preflight = sessions().preflightHeaders(raw, 'GET')
      return preflight === null ? reply.callNotFound() : reply.code(204).headers(preflight).send()
    })
  }
}

/** The same, but what the store is asked for a session belongs to the span of the request. */
function inSpans(sessions: ReturnType<IntakeOptions['sessions']>): ReturnType<IntakeOptions['sessions']> {
  return {
    authenticate(request, ...demanded) {
      const { span } = request as { readonly span?: RequestSpan }
      const authenticate = () => sessions.authenticate(request, ...demanded)
      return span ? span.run(authenticate) : authenticate()
    },
    corsHeaders: (...of) => sessions.corsHeaders(...of),
    preflightHeaders: (...of) => sessions.preflightHeaders(...of),
    dpopHeaders: (session) => sessions.dpopHeaders(session),
  }
}
