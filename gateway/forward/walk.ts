import type { IncomingMessage } from 'node:http'
import type { FastifyReply, FastifyRequest, HookHandlerDoneFunction } from 'fastify'
import type { Pkce } from '../../plugin/index.ts'
import type { Upstream } from '../config/schema.ts'
import { isClosing } from './closing.ts'
import { allowedCookies } from './cookies.ts'
import { preflightFields } from './cors.ts'
import { deny } from './denial.ts'
import type { Refusal } from './errors.ts'
import type { FieldRules } from './field-rules.ts'
import { refuseHost, servedHosts } from './host.ts'
import { forward } from './http.ts'
import { refuseTarget } from './path.ts'
import { TrustedPeers } from './peers.ts'
import { type Access, PublicRoute } from './policy.ts'
import { answerEmpty, answerRefusal } from './problem.ts'
import { RequestHeaders } from './request-headers.ts'
import { type RequestFieldRule, requestFieldRules } from './request-rules.ts'
import type { UpstreamRoute } from './upstream.ts'
import { forwardWebSocket } from './websocket.ts'
import { isOriginAllowed, refuseHandshake, VERSION_FIELDS } from './websocket-handshake.ts'

declare module 'fastify' {
  interface FastifyContextConfig {
    /** Set on the routes that are forwarded. */
    upstream?: UpstreamRoute
  }
}

export interface WalkOptions {
  readonly publicUrl: string
  readonly allowedHosts: readonly string[]
  /** Addresses and CIDRs. */
  readonly trustProxy: readonly string[]
  readonly upstreams: readonly Upstream[]
  /** Where sessions come from: `app.pkce`. */
  readonly sessions: () => Pick<Pkce, 'authenticate' | 'corsHeaders' | 'events' | 'onSessionEnd'>
}

/** The checks of a request, in their order (requirements H-02 to H-09). */
export class Walk {
  readonly #rules: FieldRules<RequestFieldRule>
  readonly #hosts: ReadonlySet<string>
  readonly #peers: TrustedPeers
  readonly #scheme: string
  readonly #sessions: WalkOptions['sessions']

  constructor({ publicUrl, allowedHosts, trustProxy, upstreams, sessions }: WalkOptions) {
    this.#rules = requestFieldRules(upstreams.flatMap((upstream) => Object.keys(upstream.identityHeaders)))
    this.#hosts = servedHosts(publicUrl, allowedHosts)
    this.#peers = new TrustedPeers(trustProxy)
    this.#scheme = publicUrl.startsWith('https:') ? 'https' : 'http'
    this.#sessions = sessions
  }

  /** Target and framing (400), host (421), route (404); then the rooms of the plugin, or an upstream. */
  take(request: FastifyRequest, reply: FastifyReply, done: HookHandlerDoneFunction): void {
    // Sent behind a request whose answer closes the connection: running it would do what nobody is told of.
    if (isClosing(request.raw.socket)) {
      reply.hijack()
      return
    }
    const headers = new RequestHeaders(request.raw, this.#rules)
    const refusal =
      headers.framing ?? refuseTarget(request.raw.url ?? '') ?? refuseHost(headers.host, this.#hosts)
    const route = request.routeOptions.config.upstream
    // An ignored upgrade. Node reads nothing that follows such a request in the same piece.
    if (headers.upgrade) reply.raw.shouldKeepAlive = false
    if (refusal !== null) refuse(request, reply, refusal)
    else if (route !== undefined) this.#toUpstream(route, headers, request, reply)
    else if (request.is404) refuse(request, reply, 'route_unknown')
    else if (headers.fault !== null) refuse(request, reply, headers.fault)
    else done()
  }

  /** Method (405), then policy: a public route, or a session with every scope (401, 403, 400, 503). */
  #toUpstream(
    route: UpstreamRoute,
    headers: RequestHeaders,
    request: FastifyRequest,
    reply: FastifyReply,
  ): void {
    if (!route.methods.has(request.raw.method ?? '')) {
      this.#otherMethod(route, request, reply)
    } else if (headers.websocket && !isOriginAllowed(headers.origin, route)) {
      refuse(request, reply, 'origin_not_allowed')
    } else if (route.publicRoute !== null) {
      this.#pass(route, route.publicRoute, headers, request, reply)
    } else {
      this.#authenticate(route, headers, request, reply)
    }
  }

  /** A preflight is answered here (Fetch §3.2.2); every other method that the route lacks is refused. */
  #otherMethod(route: UpstreamRoute, request: FastifyRequest, reply: FastifyReply): void {
    const preflight = preflightFields(request, route, this.#sessions())
    if (preflight === null) {
      refuse(request, reply, 'method_not_allowed', { allow: route.allow })
    } else {
      reply.hijack()
      answerEmpty(request.raw, reply.raw, 204, { ...preflight, 'x-request-id': request.id })
    }
  }

  /** At once if the session is cached: then no promise is made. */
  #authenticate(
    route: UpstreamRoute,
    headers: RequestHeaders,
    request: FastifyRequest,
    reply: FastifyReply,
  ): void {
    try {
      const session = this.#sessions().authenticate(request, route.scopes)
      if (session instanceof Promise) {
        session
          .then((resolved) => this.#pass(route, resolved, headers, request, reply))
          .catch((error: unknown) => deny(error, this.#sessions(), request, reply))
      } else {
        this.#pass(route, session, headers, request, reply)
      }
    } catch (error) {
      deny(error, this.#sessions(), request, reply)
    }
  }

  /** Header rules (400), then on its way. */
  #pass(
    route: UpstreamRoute,
    access: Access,
    headers: RequestHeaders,
    request: FastifyRequest,
    reply: FastifyReply,
  ): void {
    reply.hijack()
    // The client may have left while its session was looked up.
    if (reply.raw.destroyed) return
    const session = access instanceof PublicRoute ? undefined : access
    const answerFields =
      headers.origin === undefined ? null : this.#sessions().corsHeaders(headers.origin, session)
    const refusal = headers.fault ?? refuseMessage(headers, route, request.raw)
    if (refusal !== null) {
      const versions = refusal === 'websocket_version' ? VERSION_FIELDS : undefined
      refuse(request, reply, refusal, { ...answerFields, ...versions })
      return
    }
    const fields = this.#upstreamFields(route, headers, request)
    const { contentLength, hasBody, clientRequestId } = headers
    const forwarded = { fields, contentLength, hasBody, clientRequestId, answerFields }
    if (headers.websocket) forwardWebSocket(route, access, request, reply, forwarded)
    else forward(route, access, request, reply, forwarded)
  }

  /** What passed, and what we say ourselves (requirements H-13, H-17, Appendix C). */
  #upstreamFields(route: UpstreamRoute, headers: RequestHeaders, request: FastifyRequest): string[] {
    const fields = headers.passed
    fields.push('x-forwarded-for', this.#peers.forwardedFor(request.raw.socket, headers.forwardedFor))
    fields.push('x-forwarded-proto', this.#scheme, 'x-forwarded-host', headers.host ?? '')
    fields.push('x-request-id', request.id)
    if (headers.acceptsTrailers) fields.push('te', 'trailers')
    if (headers.cookie !== undefined) {
      const cookie = allowedCookies(headers.cookie, route.requestCookies)
      if (cookie !== null) fields.push('cookie', cookie)
    }
    return fields
  }
}

/** What a message to this upstream may not be (H-18, H-19, H-29). */
function refuseMessage(
  headers: RequestHeaders,
  route: UpstreamRoute,
  request: IncomingMessage,
): Refusal | null {
  if (headers.websocket) return route.websocket ? refuseHandshake(request, headers) : 'upgrade_unsupported'
  if (!headers.hasBody) return null
  const { method } = request
  if (method === 'GET' || method === 'HEAD') return 'body_not_allowed'
  return headers.contentLength > route.bodyLimitBytes ? 'body_too_large' : null
}

function refuse(
  request: FastifyRequest,
  reply: FastifyReply,
  refusal: Refusal,
  fields?: Readonly<Record<string, string>>,
): void {
  reply.hijack()
  answerRefusal(request.raw, reply.raw, request.id, refusal, fields)
}
