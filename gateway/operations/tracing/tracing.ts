import type { Context, Span, SpanContext, Tracer } from '@opentelemetry/api'
import {
  type CallEnd,
  type LoginTracing,
  loadPackage,
  missingPackages,
  type ObservedCall,
} from '../../../plugin/api/internal.ts'
import type { RequestSpan, RequestTracing, UpstreamSpan } from '../../forward/exchange/request-tracing.ts'

type Api = typeof import('@opentelemetry/api')

/** Where `@opentelemetry/api` 1 keeps what a program registers: each copy of it in a process must find the others'. */
const REGISTERED = Symbol.for('opentelemetry.js.api.1')

/** A session that is older is not told whose login it came from. */
const YOUNG_MS = 600_000
/** RFC 9110 §9, RFC 5789: any other may be anything (Semantic Conventions for HTTP). */
const METHODS = new Set(['CONNECT', 'DELETE', 'GET', 'HEAD', 'OPTIONS', 'PATCH', 'POST', 'PUT', 'TRACE'])

/** Makes spans of what the gateway does. Attributes are names and numbers: no path, no query, no subject, no header. */
export interface Tracing extends RequestTracing {
  readonly logins: LoginTracing
  providerCall(call: ObservedCall): CallEnd
  storeCall(store: string, operation: string): (error?: unknown) => void
}

/**
 * @returns undefined without `@opentelemetry/api`, or where the program has registered no tracer provider by now: then
 * nothing is traced, at no cost. Source: requirements Q-05, Semantic Conventions for HTTP spans.
 */
export function createTracing(): Tracing | undefined {
  // Who registers has loaded the package; nobody else needs it.
  if (!(REGISTERED in globalThis) || missingPackages('@opentelemetry/api') !== undefined) return undefined
  const api = loadPackage<Api>('@opentelemetry/api')
  const provider = api.trace.getTracerProvider() as Partial<import('@opentelemetry/api').ProxyTracerProvider>
  if (provider.getDelegateTracer?.('fastify-pkce') === undefined) return undefined
  const tracer = api.trace.getTracer('fastify-pkce')
  return {
    begin: ({ method: received = '', scheme, httpVersion, parent }) => {
      const method = METHODS.has(received) ? received : '_OTHER'
      const context = parent === undefined ? api.ROOT_CONTEXT : contextOf(api, parent)
      const attributes = {
        'http.request.method': method,
        'url.scheme': scheme,
        'network.protocol.version': httpVersion,
      }
      const name = method === '_OTHER' ? 'HTTP' : method
      const span = tracer.startSpan(name, { kind: api.SpanKind.SERVER, attributes }, context)
      return requestSpan({ api, tracer, span, method, name, context: api.trace.setSpan(context, span) })
    },
    logins: loginTracing(api, tracer),
    providerCall({ issuer, endpoint, method, url }) {
      const { hostname, port, protocol } = url
      const span = tracer.startSpan(`${method} ${endpoint}`, {
        kind: api.SpanKind.CLIENT,
        attributes: {
          'http.request.method': method,
          'server.address': hostname,
          'server.port': Number(port) || (protocol === 'https:' ? 443 : 80),
          'pkce.provider.issuer': issuer,
          'pkce.provider.endpoint': endpoint,
        },
      })
      return (outcome, status) => {
        if (status !== undefined) span.setAttribute('http.response.status_code', status)
        if (outcome !== 'ok') failed(api, span, outcome)
        span.end()
      }
    },
    storeCall(store, operation) {
      const attributes = { 'db.system.name': store, 'db.operation.name': operation }
      const span = tracer.startSpan(`${store} ${operation}`, { kind: api.SpanKind.CLIENT, attributes })
      return (error) => {
        if (error !== undefined) failed(api, span, error instanceof Error ? error.name : 'error')
        span.end()
      }
    },
  }
}

interface Begun {
  readonly api: Api
  readonly tracer: Tracer
  readonly span: Span
  readonly method: string
  /** Without a route. */
  readonly name: string
  /** In which its children begin. */
  readonly context: Context
}

function requestSpan({ api, tracer, span, method, name, context }: Begun): RequestSpan {
  let isOver = false
  return {
    routedTo(route) {
      span.updateName(`${name} ${route}`).setAttribute('http.route', route)
    },
    run: (work) => api.context.with(context, work),
    toUpstream(target) {
      const [address = target, port] = target.startsWith('unix:') ? [target] : hostAndPort(target)
      const attributes = {
        'http.request.method': method,
        'server.address': address,
        ...(port !== undefined && { 'server.port': Number(port) }),
      }
      return upstreamSpan(api, tracer.startSpan(name, { kind: api.SpanKind.CLIENT, attributes }, context))
    },
    end(status) {
      if (isOver) return
      isOver = true
      if (status > 0) span.setAttribute('http.response.status_code', status)
      if (status === 0) failed(api, span, 'client_left')
      else if (status >= 500) failed(api, span, String(status))
      span.end()
    },
  }
}

function upstreamSpan(api: Api, span: Span): UpstreamSpan {
  let isOver = false
  return {
    traceparent: traceparentOf(span.spanContext()),
    end(status) {
      if (isOver) return
      isOver = true
      if (status > 0) span.setAttribute('http.response.status_code', status)
      if (status === 0) failed(api, span, 'no_answer')
      else if (status >= 400) failed(api, span, String(status))
      span.end()
    },
  }
}

/**
 * The requests of one login come from a browser and from an app, which share no trace. What the gateway does for it
 * after the authorization request is traced in the trace of that request: its span is the parent of both steps.
 */
function loginTracing(api: Api, tracer: Tracer): LoginTracing {
  return {
    begin() {
      const span = api.trace.getActiveSpan()
      return span?.isRecording() ? traceparentOf(span.spanContext()) : undefined
    },
    async step(traceparent, name, work) {
      if (traceparent === undefined) return work()
      const request = api.trace.getActiveSpan()
      const links = request ? [{ context: request.spanContext() }] : []
      const parent = contextOf(api, traceparent)
      const span = tracer.startSpan(`login ${name}`, { links }, parent)
      request?.addLink({ context: span.spanContext() })
      try {
        return await api.context.with(api.trace.setSpan(parent, span), work)
      } catch (error) {
        failed(api, span, reasonOf(error))
        throw error
      } finally {
        span.end()
      }
    },
    sessionRead(traceparent, ageMs) {
      if (traceparent === undefined || ageMs > YOUNG_MS) return
      const context = api.trace.getSpanContext(contextOf(api, traceparent))
      if (context) api.trace.getActiveSpan()?.addLink({ context })
    },
  }
}

function failed({ SpanStatusCode }: Api, span: Span, type: string): void {
  span.setAttribute('error.type', type).setStatus({ code: SpanStatusCode.ERROR })
}

/** A name of ours, never a message. */
function reasonOf(error: unknown): string {
  if (error instanceof Error && 'reason' in error) return String(error.reason)
  return error instanceof Error ? error.name : 'error'
}

function traceparentOf({ traceId, spanId, traceFlags }: SpanContext): string {
  return `00-${traceId}-${spanId}-${traceFlags.toString(16).padStart(2, '0')}`
}

/** @param traceparent of valid syntax (W3C Trace Context §3.2). */
function contextOf(api: Api, traceparent: string): Context {
  const [, traceId = '', spanId = '', flags = ''] = traceparent.split('-')
  const traceFlags = Number.parseInt(flags, 16) & api.TraceFlags.SAMPLED
  return api.trace.setSpanContext(api.ROOT_CONTEXT, { traceId, spanId, traceFlags, isRemote: true })
}

function hostAndPort(target: string): [host: string, port: string | undefined] {
  const { hostname, port } = new URL(`http://${target}`)
  return [hostname, port === '' ? undefined : port]
}
