import type { IncomingMessage } from 'node:http'
import { removeFields } from '../../http/fields.ts'

/** Who makes a span of each request (requirements Q-05). */
export interface RequestTracing {
  /** @param parent a valid `traceparent` of somebody who is trusted, or undefined: a trace of its own begins. */
  begin(request: {
    readonly method: string | undefined
    readonly scheme: string
    readonly httpVersion: string
    readonly parent: string | undefined
  }): RequestSpan
}

/** The span of one request. */
export interface RequestSpan {
  /** @param route prefix of an upstream, or path of an endpoint. */
  routedTo(route: string): void
  /** Runs work whose own spans are children of this one. */
  run<T>(work: () => T): T
  /** The request goes on. @param target as a Host value, or `unix:` and a path. */
  toUpstream(target: string): UpstreamSpan
  /** The first call counts. @param status 0: the client was told nothing. */
  end(status: number): void
}

/** The span of a request to an upstream. */
export interface UpstreamSpan {
  /** For the upstream (W3C Trace Context §3.2). */
  readonly traceparent: string
  /** The first call counts. @param status 0: there was no answer. */
  end(status: number): void
}

const spans = new WeakMap<IncomingMessage, RequestSpan>()

/** Runs what answers a request at an endpoint. */
export function runInSpan(raw: IncomingMessage, span: RequestSpan | undefined, work: () => void): void {
  if (span === undefined) work()
  else {
    spans.set(raw, span)
    span.run(work)
  }
}

/** The same again, from a Fastify hook: what reads a body goes on where the body's last piece came from. */
export function resumeSpan(
  { raw }: { readonly raw: IncomingMessage },
  _reply: unknown,
  done: () => void,
): void {
  const span = spans.get(raw)
  if (span === undefined) done()
  else span.run(done)
}

/**
 * Says to an upstream which span its own is a child of.
 *
 * @param isContinued its trace is the one that the client has named: what else it says of it goes on.
 */
export function setTraceparent(fields: string[], { traceparent }: UpstreamSpan, isContinued: boolean): void {
  removeFields(fields, isContinued ? ['traceparent'] : ['traceparent', 'tracestate'])
  fields.push('traceparent', traceparent)
}
