import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyBaseLogger } from 'fastify'
import type { ProtectedRequest, Session } from '../../plugin/index.ts'
import type { FieldRules } from '../http/fields.ts'
import { answerFor, type Refusal } from '../http/refusals.ts'
import type { RequestFieldRule } from '../http/request-fields.ts'
import { newRequestId } from '../http/request-id.ts'
import { type Answerable, answerRefusal } from '../listener/problem-details.ts'
import type { AccessLog, RequestRecord } from './exchange/request-record.ts'
import type { RequestSpan, RequestTracing } from './exchange/request-tracing.ts'
import type { ForwardingMetrics, RouteCounters } from './exchange/route-counters.ts'
import { RequestHeaders } from './headers/request-headers.ts'
import type { TrustedProxies } from './trusted-proxies.ts'

/** What is under way in this process, and whether more may be. */
export interface Load {
  /** Requests that have not ended. Whoever takes one counts it; event streams and WebSockets do not count. */
  inFlight: number
  /** @param now when the request came, by `performance.now()`. */
  admits(now: number): boolean
  /** A request was not admitted, and its client was told so. */
  refused(): void
}

/** What all requests have in common. */
export interface IntakeContext {
  readonly rules: FieldRules<RequestFieldRule>
  readonly proxies: TrustedProxies
  /** Of the public URL. */
  readonly scheme: 'http' | 'https'
  readonly log: FastifyBaseLogger
  readonly load: Load
  /** Undefined: there is none. */
  readonly accessLog: AccessLog | undefined
  /** Undefined: nothing is counted. */
  readonly metrics: ForwardingMetrics | undefined
  /** For requests that lead nowhere; null: nothing is counted. */
  readonly unrouted: RouteCounters | null
  /** Undefined: nothing is traced. */
  readonly tracing: RequestTracing | undefined
}

const IDEMPOTENT = new Set(['GET', 'HEAD', 'PUT', 'DELETE'])

/** A request on its way: as received, what its header says, and the response that it will get. */
export class ClientRequest implements ProtectedRequest, Answerable {
  readonly raw: IncomingMessage
  readonly response: ServerResponse
  readonly id: string
  readonly headers: RequestHeaders
  /** By a clock that never goes back, in milliseconds. */
  readonly startedAt = performance.now()
  /** Fields that the answer gets in any case, e.g. CORS; null for none. */
  answerFields: Readonly<Record<string, string>> | null = null
  /** For the access log, once it is forwarded. */
  record: RequestRecord | undefined = undefined
  /** Where it will be counted; null: nowhere. */
  counters: RouteCounters | null
  /** Undefined: it is not traced. */
  readonly span: RequestSpan | undefined
  /** Is told with what status it has ended. */
  onEnd: ((status: number) => void) | undefined = undefined
  readonly context: IntakeContext
  #hasEnded = false

  constructor(raw: IncomingMessage, response: ServerResponse, context: IntakeContext) {
    this.raw = raw
    this.response = response
    this.id = newRequestId()
    this.headers = new RequestHeaders(raw, context.rules)
    this.context = context
    this.counters = context.unrouted
    this.span = context.tracing === undefined ? undefined : beginSpan(this, context.tracing)
  }

  /** True if it may be sent twice: idempotent (RFC 9110 §9.2.2, of those that are forwarded) and without a body. */
  get isRepeatable(): boolean {
    return !this.headers.hasBody && IDEMPOTENT.has(this.raw.method ?? '')
  }

  /** The client's address: the peer's, or what trusted proxies say. */
  get ip(): string {
    return this.context.proxies.clientAddress(this.raw.socket, this.headers.forwardedFor)
  }

  get log(): FastifyBaseLogger {
    return this.context.log
  }

  refuse(refusal: Refusal, fields?: Readonly<Record<string, string>>): void {
    const isTold = !this.response.headersSent && !this.response.destroyed
    answerRefusal(this, refusal, { ...this.answerFields, ...fields })
    if (isTold) this.context.metrics?.refused(refusal)
    this.ended(isTold ? answerFor(refusal).status : undefined)
  }
  /** @param route prefix of an upstream, or path of an endpoint. */
  routedTo(route: string, counters: RouteCounters | null): void {
    this.counters = counters
    this.span?.routedTo(route)
  }

  /** True if the trace that the client has named goes on here: nobody but a trusted peer may say whose part this is. */
  get continuesTrace(): boolean {
    return this.headers.traceparent !== undefined && this.context.proxies.trusts(this.raw.socket)
  }

  /** Its session was not in the cache, and may be one that nobody has used yet. */
  found(session: Session): Session {
    this.onEnd = this.context.metrics?.firstCall(session)
    return session
  }

  /** Counts it, and ends its span, the first time. @param status that the client was told; by default what the response says; 0: none. */
  ended(status = this.response.headersSent ? this.response.statusCode : 0): void {
    if (this.#hasEnded) return
    this.#hasEnded = true
    this.counters?.count(this.raw.method, status, performance.now() - this.startedAt)
    this.onEnd?.(status)
    this.span?.end(status)
  }
}

function beginSpan(request: ClientRequest, tracing: RequestTracing): RequestSpan {
  const { method, httpVersion } = request.raw
  const parent = request.continuesTrace ? request.headers.traceparent : undefined
  return tracing.begin({ method, httpVersion, scheme: request.context.scheme, parent })
}
