import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Session } from '../../plugin/index.ts'
import type { ForwardedRequest } from './answer.ts'
import { Exchange } from './exchange.ts'
import { PublicRoute } from './policy.ts'
import type { UpstreamRoute } from './upstream.ts'

export type { ForwardedRequest }

/**
 * Sends a request to its upstream and streams the answer back. The caller has hijacked the reply.
 *
 * `access` is the proof that the request may pass: without a `Session` or a `PublicRoute` this cannot be called.
 * Source: requirements H-03, H-10, H-19, H-35.
 */
export function forward(
  route: UpstreamRoute,
  access: Session | PublicRoute,
  request: FastifyRequest,
  reply: FastifyReply,
  forwarded: ForwardedRequest,
): void {
  const { fields, contentLength, hasBody } = forwarded
  if (!(access instanceof PublicRoute)) fields.push(...route.fieldsFor(access))
  // We decide on the framing: this length, or else chunked (CVE-2026-1525).
  if (hasBody && contentLength > 0) fields.push('content-length', String(contentLength))
  new Exchange(route, access, request, reply, forwarded, null).send()
}
