import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify'
import { OAuthError, type Reason } from '../oauth/errors.ts'
import type { Observer } from '../options/types/observer.ts'
import { StoreError } from '../stores/store.ts'
import type { Look } from './pages/look.ts'
import { failurePage, sendPage } from './pages/pages.ts'

/** A live handle whose record does not open: a server secret is gone, or somebody has moved ciphertexts (G-05). */
const UNREADABLE = new Set<Reason>(['grant_unreadable', 'transaction_sealed'])

/**
 * Who hears of error responses: failures that somebody should look at are recorded in the audit trail. And how a page of
 * one looks.
 */
export interface ToldOfFailures {
  readonly look: Look
  readonly audit: {
    record(
      event: 'store.unavailable' | 'session.unreadable',
      about: { readonly request: FastifyRequest; readonly reason?: Reason },
    ): void
  }
  readonly observer: Pick<Observer, 'refused'>
}

/**
 * Sends the response to an error of this scope: our JSON or our page, `no-store`, and a line in the log. Nothing of
 * the error itself is in the response (RFC 6749 §5.2).
 */
export function sendErrorResponse(
  { audit, look, observer }: ToldOfFailures,
  thrown: unknown,
  reply: FastifyReply,
): FastifyReply {
  const { request } = reply
  const error = toOAuthError(thrown)
  observer.refused(error.reason)
  // What was already made into an OAuthError has been recorded where that happened.
  if (thrown instanceof StoreError) audit.record('store.unavailable', { request })
  if (UNREADABLE.has(error.reason)) audit.record('session.unreadable', { request, reason: error.reason })
  if (error.statusCode >= 500 && error.reason !== 'prefetch_refused') {
    request.log.error({ err: thrown }, 'the request failed')
  } else request.log.info({ reason: error.reason, statusCode: error.statusCode }, 'the request was refused')

  const { 'retry-after': retryAfter, ...headers } = error.headers
  reply.headers(headers)
  // A limiter has said when; ours is a guess.
  if (retryAfter !== undefined && !reply.hasHeader('retry-after')) reply.header('retry-after', retryAfter)
  if (request.routeOptions.config.pkceErrors === 'page' && !wantsJson(request)) {
    return sendPage(reply.code(error.statusCode), look, failurePage(error))
  }
  return reply
    .code(error.statusCode)
    .type('application/json; charset=utf-8')
    .send({ ...(error.error !== '' && { error: error.error }), error_description: error.message })
}

/** Every error as one of ours, so that there is one way to respond. */
function toOAuthError(error: unknown): OAuthError {
  if (error instanceof OAuthError) return error
  if (error instanceof StoreError) return new OAuthError('store_unavailable', { cause: error })
  const { code, statusCode } = error as Partial<FastifyError>
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new OAuthError('body_too_large')
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return new OAuthError('media_type')
  // Thrown by hooks of the app: its own limiter, its load shedding.
  if (statusCode === 429) return new OAuthError('rate_limited')
  if (statusCode === 503) return new OAuthError('overloaded', { cause: error })
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new OAuthError('request_malformed')
  return new OAuthError('internal', { cause: error })
}

/** A browser gets a page; a program that accepts nothing but JSON gets JSON. */
function wantsJson(request: FastifyRequest): boolean {
  const accept = request.headers.accept ?? ''
  return accept.includes('json') && !accept.includes('html') && !accept.includes('*/*')
}
