import formbody from '@fastify/formbody'
import rateLimit from '@fastify/rate-limit'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { OAuthError, type Reason, StoreError } from './errors.ts'
import { parseForm } from './oauth/form.ts'
import type { RateLimitGroup } from './options/resolved.ts'
import type { Rooms } from './rooms.ts'
import { sendErrorPage } from './routes/page.ts'

/** No request to these routes is longer (K-01). */
const BODY_LIMIT_BYTES = 16 * 1024

/**
 * Makes an encapsulated scope that trusts nothing of the instance it lives in: its own body parser, validator,
 * error handler and headers. Nothing of it leaks out.
 */
export async function secureScope(scope: FastifyInstance, rooms: Rooms): Promise<void> {
  scope.removeAllContentTypeParsers()
  await scope.register(formbody, { bodyLimit: BODY_LIMIT_BYTES, parser: (text) => ({ ...parseForm(text) }) })
  scope.setValidatorCompiler<TSchema>(({ schema }) => {
    const validator = Compile(schema)
    return (value) => (validator.Check(value) ? { value } : { error: new OAuthError('parameter_invalid') })
  })
  scope.addHook('onRequest', async (_request, reply) => {
    reply.headers(ANSWER_HEADERS)
  })
  scope.setErrorHandler((error: unknown, request, reply) => answerError(rooms, error, request, reply))
}

/** On every answer, errors included (C-19, A-22, B-12). */
const ANSWER_HEADERS = {
  'cache-control': 'no-store',
  pragma: 'no-cache',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

/** One limiter for all routes of the scope, by address, before any body is read (J-05, J-07). */
export async function limitRate(scope: FastifyInstance, group: RateLimitGroup | undefined): Promise<void> {
  if (!group) return
  await scope.register(rateLimit, {
    global: true,
    hook: 'onRequest',
    max: group.max,
    timeWindow: group.windowMs,
    errorResponseBuilder: (_request, { ttl }) =>
      new OAuthError('rate_limited', { headers: { 'retry-after': String(Math.ceil(ttl / 1000)) } }),
  })
}

/** A live handle whose record does not open: a server secret is gone, or somebody has moved ciphertexts (G-05). */
const UNREADABLE = new Set<Reason>(['grant_unreadable', 'transaction_sealed'])

function answerError(
  rooms: Rooms,
  thrown: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  const error = toOAuthError(thrown)
  // What was already made into an answer has been recorded where that happened.
  if (thrown instanceof StoreError) rooms.audit.record('store.unavailable', { request })
  if (UNREADABLE.has(error.reason))
    rooms.audit.record('session.unreadable', { request, reason: error.reason })
  if (error.statusCode >= 500) request.log.error({ err: thrown }, 'the request failed')
  else request.log.info({ reason: error.reason, statusCode: error.statusCode }, 'the request was refused')

  reply.headers(error.headers)
  if (request.routeOptions.config.pkceErrors === 'page' && !wantsJson(request)) {
    return sendErrorPage(reply, error.statusCode, error.message)
  }
  return reply
    .code(error.statusCode)
    .type('application/json; charset=utf-8')
    .send({ ...(error.error !== '' && { error: error.error }), error_description: error.message })
}

/** Every error as one of ours, so that there is one way to answer. */
function toOAuthError(error: unknown): OAuthError {
  if (error instanceof OAuthError) return error
  if (error instanceof StoreError) return new OAuthError('store_unavailable', { cause: error })
  const { code, statusCode } = error as Partial<FastifyError>
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return new OAuthError('body_too_large')
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return new OAuthError('media_type')
  if (statusCode !== undefined && statusCode >= 400 && statusCode < 500)
    return new OAuthError('request_malformed')
  return new OAuthError('internal', { cause: error })
}

/** A browser gets a page; a program that accepts nothing but JSON gets JSON. */
function wantsJson(request: FastifyRequest): boolean {
  const accept = request.headers.accept ?? ''
  return accept.includes('json') && !accept.includes('html') && !accept.includes('*/*')
}
