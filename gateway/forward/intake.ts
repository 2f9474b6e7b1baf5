import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import { warnOfUntrustedProxy } from '../../plugin/api/internal.ts'
import type { Pkce, Session } from '../../plugin/index.ts'
import { requestFieldRules } from '../http/request-fields.ts'
import { nameRequest } from '../http/request-id.ts'
import { refuseHost, servedHosts } from '../http/request-target.ts'
import { closeAfter } from '../listener/http1-connection.ts'
import { closeUnlessWhole, endWithHeader } from '../listener/http1-request.ts'
import { bodyMs } from '../listener/listener.ts'
import { answerEmpty } from '../listener/problem-details.ts'
import { ClientRequest, type IntakeContext, type Load } from './client-request.ts'
import { deny, failed } from './denial.ts'
import { Exchange } from './exchange/exchange.ts'
import { type AccessLog, RequestRecord } from './exchange/request-record.ts'
import { type RequestTracing, runInSpan } from './exchange/request-tracing.ts'
import type { ForwardingMetrics } from './exchange/route-counters.ts'
import type { ForwardAuth } from './forward-auth/forward-auth.ts'
import { answerFields } from './headers/answer-fields.ts'
import { refuseMessage } from './headers/refuse-message.ts'
import { upstreamFields } from './headers/upstream-fields.ts'
import { type Access, PublicRoute } from './policy.ts'
import type { Routes } from './routes.ts'
import { TrustedProxies } from './trusted-proxies.ts'
import type { UpstreamRoute } from './upstream/route.ts'
import { isOriginAllowed, VERSION_FIELDS } from './websocket/handshake.ts'

export interface IntakeOptions {
  readonly publicUrl: string
  readonly allowedHosts: readonly string[]
  /** Addresses and CIDRs. */
  readonly trustProxy: readonly string[]
  /** Lower-case names of fields that only we may set. */
  readonly identityHeaders: readonly string[]
  readonly routes: Routes
  /** The way into the plugin's endpoints: Fastify. */
  readonly endpoints: (request: IncomingMessage, response: ServerResponse) => void
  /** Where sessions come from: `app.pkce`. */
  readonly sessions: () => Pick<Pkce, 'authenticate' | 'corsHeaders' | 'preflightHeaders' | 'dpopHeaders'>
  readonly log: FastifyBaseLogger
  readonly load: Load
  /** Of bodies; 0: as slow as you like. */
  readonly minUploadBytesPerSecond: number
  readonly accessLog?: AccessLog | undefined
  readonly metrics?: ForwardingMetrics | undefined
  readonly tracing?: RequestTracing | undefined
  readonly forwardAuth?: ForwardAuth | undefined
}

/**
 * The way of every request, in the order of its checks: from the parser to an endpoint of the plugin, or to an upstream.
 *
 * It stands before Fastify, so that nothing can be reached past it, and so that a forwarded request pays for no
 * framework. Source: requirements H-02 to H-09.
 */
export class Intake {
  readonly #context: IntakeContext
  readonly #hosts: ReadonlySet<string>
  readonly #routes: Routes
  readonly #endpoints: IntakeOptions['endpoints']
  readonly #findSessions: IntakeOptions['sessions']
  #found: ReturnType<IntakeOptions['sessions']> | undefined
  /** For the body of a request to an endpoint; 0: no limit. */
  readonly #bodyMs: number
  /** Requests at an endpoint, and those whose session is being looked up. */
  #pending = 0
  readonly #forwardAuth: IntakeOptions['forwardAuth']
  #draining = false

  constructor(options: IntakeOptions) {
    const { publicUrl, log, load, accessLog, metrics, tracing } = options
    const rules = requestFieldRules(options.identityHeaders)
    const scheme = publicUrl.startsWith('https:') ? 'https' : 'http'
    const proxies = new TrustedProxies(options.trustProxy)
    const unrouted = metrics?.countersOf('none') ?? null
    this.#context = { rules, proxies, scheme, log, load, accessLog, metrics, tracing, unrouted }
    this.#hosts = servedHosts(publicUrl, options.allowedHosts)
    this.#routes = options.routes
    this.#endpoints = options.endpoints
    this.#findSessions = options.sessions
    this.#bodyMs = bodyMs(options.minUploadBytesPerSecond)
    this.#forwardAuth = options.forwardAuth
  }

  /** The plugin is registered after the intake is made, so it is looked for at the first request. */
  get #sessions(): ReturnType<IntakeOptions['sessions']> {
    this.#found ??= this.#findSessions()
    return this.#found
  }

  /** From now on every answer is the last of its connection. */
  drain(): void {
    this.#draining = true
  }

  /** True if nothing is under way here. What has been sent to an upstream is not here any more. */
  get isIdle(): boolean {
    return this.#pending === 0
  }

  /** @param response the one that is being made on its connection now. */
  take(raw: IncomingMessage, response: ServerResponse): void {
    const request = new ClientRequest(raw, response, this.#context)
    try {
      this.#check(request)
    } catch (error) {
      failed(request, error)
    }
  }

  /** Framing (400), load (503), target (400), host (421), route (404). */
  #check(request: ClientRequest): void {
    const { headers, raw, response } = request
    const target = raw.url ?? ''
    const { proxies, log, load } = this.#context
    if (headers.forwardedFor !== undefined && !proxies.trusts(raw.socket))
      warnOfUntrustedProxy(log, raw.socket.remoteAddress)
    // After an ignored upgrade Node reads nothing that follows in the same piece; and a drain ends connections.
    if (headers.upgrade || this.#draining) closeAfter(response)
    if (!load.admits(request.startedAt) && headers.framing === null) {
      load.refused()
      request.refuse('overloaded', this.#sessions.corsHeaders(headers.origin))
      return
    }
    if (headers.framing === null && this.#forwardAuth?.serves(target)) {
      this.#toEndpoint(request, this.#forwardAuth.path)
      const decision = this.#forwardAuth.decide(request)
      if (decision !== undefined) this.#await(request, decision)
      return
    }
    const refusal =
      headers.framing ?? this.#routes.refuseTarget(target) ?? refuseHost(headers.host, this.#hosts)
    if (refusal !== null) {
      request.refuse(refusal)
      return
    }
    const destination = this.#routes.find(target)
    if (destination === undefined) request.refuse('route_unknown')
    else if (destination !== 'endpoint') this.#toUpstream(request, destination)
    else if (headers.fault !== null) request.refuse(headers.fault)
    else {
      // Fastify reads no body of a GET.
      if (raw.method === 'GET' && !headers.hasBody) endWithHeader(raw)
      else if (this.#bodyMs > 0 && headers.hasBody) closeUnlessWhole(raw, this.#bodyMs)
      const chain = this.#context.proxies.plainChain(raw.socket, headers.forwardedFor)
      if (chain !== undefined) raw.headers['x-forwarded-for'] = chain
      nameRequest(raw, request.id)
      this.#toEndpoint(request, this.#routes.endpointOf(target)!)
      this.#countWhenWhole(request)
      runInSpan(raw, request.span, () => this.#endpoints(raw, response))
    }
  }

  #toEndpoint(request: ClientRequest, path: string): void {
    request.routedTo(path, this.#context.metrics?.countersOf(path) ?? null)
    this.#pending++
    request.response.once('close', () => {
      this.#pending--
      request.ended()
    })
  }

  /** Method (405), then policy: a public route, or a session with every scope (401, 403, 400, 503). */
  #toUpstream(request: ClientRequest, route: UpstreamRoute): void {
    const { headers, raw } = request
    request.routedTo(route.name, route.counters)
    if (!route.forwards) request.refuse('route_unknown')
    else if (!route.methods.has(raw.method ?? '')) this.#otherMethod(request, route)
    else if (headers.websocket && !isOriginAllowed(headers.origin, route))
      request.refuse('origin_not_allowed')
    else if (route.publicRoute !== null) this.#pass(request, route, route.publicRoute)
    else this.#authenticate(request, route)
  }

  /** A preflight is answered here (Fetch §3.2.2); every other method that the route lacks is refused. */
  #otherMethod(request: ClientRequest, route: UpstreamRoute): void {
    const preflight = this.#sessions.preflightHeaders(request.raw, route.allow)
    if (preflight === null) request.refuse('method_not_allowed', { allow: route.allow })
    else {
      answerEmpty(request, 204, { ...preflight, 'x-request-id': request.id })
      request.ended(204)
    }
  }

  /** At once if the session is cached: then no promise is made. */
  #authenticate(request: ClientRequest, route: UpstreamRoute): void {
    const sessions = this.#sessions
    let session: Session | Promise<Session>
    try {
      session = sessions.authenticate(request, route.scopes, route.authentication, route.publicBase)
    } catch (error) {
      deny(error, sessions, request, route)
      return
    }
    if (session instanceof Promise) {
      const passing = session.then(
        (resolved) => this.#pass(request, route, request.found(resolved)),
        (error: unknown) => deny(error, sessions, request, route),
      )
      this.#await(request, passing)
    } else this.#pass(request, route, session)
  }

  /** Counts the request while its session is looked up. */
  #await(request: ClientRequest, decision: Promise<void>): void {
    this.#pending++
    this.#context.load.inFlight++
    decision
      .catch((error: unknown) => failed(request, error))
      .finally(() => {
        this.#pending--
        this.#context.load.inFlight--
      })
  }

  /** Nobody needs a session here: who lets bodies drip must not keep others out. */
  #countWhenWhole({ headers, raw, response }: ClientRequest): void {
    const { load } = this.#context
    const count = () => {
      if (response.closed) return
      load.inFlight++
      response.once('close', () => load.inFlight--)
    }
    if (headers.hasBody) raw.once('end', count)
    else count()
  }

  /** Header rules (400), then on its way. */
  #pass(request: ClientRequest, route: UpstreamRoute, access: Access): void {
    const { headers } = request
    // The client may have left while its session was looked up.
    if (request.response.destroyed) {
      request.ended()
      return
    }
    const session = access instanceof PublicRoute ? undefined : access
    request.answerFields = answerFields(this.#sessions, headers.origin, session)
    const refusal = headers.fault ?? refuseMessage(request, route)
    if (refusal !== null) {
      request.refuse(refusal, refusal === 'websocket_version' ? VERSION_FIELDS : undefined)
      return
    }
    const { accessLog } = this.#context
    if (accessLog !== undefined) request.record = new RequestRecord(accessLog, request, route, session)
    const fields = upstreamFields(request, route, access)
    new Exchange(route, access, request, fields).start()
  }
}
