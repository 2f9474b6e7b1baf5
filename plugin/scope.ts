import formbody from '@fastify/formbody'
import rateLimit from '@fastify/rate-limit'
import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { TSchema } from 'typebox'
import { Compile } from 'typebox/compile'
import { limitedAddress } from './address.ts'
import { OAuthError, type Reason, StoreError } from './errors.ts'
import { parseForm } from './oauth/form.ts'
import { RateWindows, type SharedCounter } from './rate-windows.ts'
import type { Rooms } from './rooms.ts'
import { sendErrorPage } from './routes/page.ts'
import type { Store } from './stores/store.ts'

/** No request to these routes is longer (K-01). */
const BODY_LIMIT_BYTES = 16 * 1024
/** A form that takes longer is not being sent, it is being held open: neither Node nor Fastify would ever stop it. */
const BODY_TIMEOUT_MS = 10_000
const URL_LIMIT_BYTES = 8 * 1024

/**
 * Makes an encapsulated scope that trusts nothing of the instance it lives in: its own body parser, validator,
 * error handler and headers. Nothing of it leaks out.
 */
export async function secureScope(scope: FastifyInstance, rooms: Rooms): Promise<void> {
  scope.removeAllContentTypeParsers()
  await scope.register(formbody, { bodyLimit: BODY_LIMIT_BYTES, parser: (text) => ({ ...parseForm(text) }) })
  scope.setValidatorCompiler<TSchema>(({ schema, httpPart }) => {
    // The routes read their query raw: what the app's querystringParser makes of it does not count.
    if (httpPart === 'querystring') return (value) => ({ value })
    const validator = Compile(schema)
    return (value) => (validator.Check(value) ? { value } : { error: new OAuthError('parameter_invalid') })
  })
  // Schemas describe our answers and never cut them, whatever serializer the app prefers.
  scope.setSerializerCompiler(() => (answer) => JSON.stringify(answer))
  scope.setReplySerializer((answer) => JSON.stringify(answer))
  scope.addHook('onRequest', async (request, reply) => {
    limitBodyTime(request, reply)
    if ((request.raw.url ?? '').length > URL_LIMIT_BYTES) throw new OAuthError('url_too_long')
  })
  // The last word, after the app's own hooks: answers to which they had added CORS could be read by anybody.
  scope.addHook('onSend', async (_request, reply) => {
    for (const name of Object.keys(reply.getHeaders())) {
      if (name.startsWith('access-control-')) reply.removeHeader(name).raw.removeHeader(name)
    }
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

/** Ends the wait for a body, with a 408 where nothing has been answered yet (CWE-400, requirements H-22). */
function limitBodyTime({ raw, headers }: FastifyRequest, reply: FastifyReply): void {
  if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) return
  const timer = setTimeout(() => {
    // Only who reads the body listens: without a reader the request has been answered.
    if (raw.listenerCount('error') === 0) {
      raw.destroy()
      return
    }
    reply.header('connection', 'close')
    raw.emit('error', new OAuthError('body_timeout'))
  }, BODY_TIMEOUT_MS).unref()
  const stop = () => clearTimeout(timer)
  raw.once('end', stop).once('close', stop)
}

/** One limiter for all routes of the scope, by address, before any body is read (J-05, J-07). */
export async function limitRate(
  scope: FastifyInstance,
  rooms: Rooms,
  name: 'authorize' | 'token',
): Promise<void> {
  const { rateLimit: limits, store } = rooms.options
  if (limits === false) return
  const group = limits[name]
  const shared = 'count' in store ? (store as Store & SharedCounter) : undefined
  await scope.register(rateLimit, {
    global: true,
    hook: 'onRequest',
    max: group.max,
    timeWindow: group.windowMs,
    keyGenerator: limitedAddress,
    // The library makes the store itself, from its class.
    store: class extends RateWindows {
      constructor() {
        super(name, shared)
      }
    },
    errorResponseBuilder: () => new OAuthError('rate_limited'),
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
  if (error.statusCode >= 500 && error.reason !== 'prefetch_refused') {
    request.log.error({ err: thrown }, 'the request failed')
  } else request.log.info({ reason: error.reason, statusCode: error.statusCode }, 'the request was refused')

  const { 'retry-after': retryAfter, ...headers } = error.headers
  reply.headers(headers)
  // A limiter has said when; ours is a guess.
  if (retryAfter !== undefined && !reply.hasHeader('retry-after')) reply.header('retry-after', retryAfter)
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
