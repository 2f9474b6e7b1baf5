import formbody from '@fastify/formbody'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { OAuthError } from '../oauth/errors.ts'
import { warnOfUntrustedProxy } from './address.ts'
import { sendErrorResponse, type ToldOfFailures } from './error-response.ts'
import { unparsedForm } from './route.ts'

/** No request to these routes is longer (K-01). */
const BODY_LIMIT_BYTES = 16 * 1024
/** A form that takes longer is not being sent, it is being held open: neither Node nor Fastify would ever stop it. */
const BODY_TIMEOUT_MS = 10_000
const URL_LIMIT_BYTES = 8 * 1024

/**
 * Makes an encapsulated scope that trusts nothing of the instance it lives in: its own body parser, validator,
 * error handler and headers. Nothing of it leaks out.
 */
export async function secureScope(scope: FastifyInstance, told: ToldOfFailures): Promise<void> {
  scope.removeAllContentTypeParsers()
  await scope.register(formbody, { bodyLimit: BODY_LIMIT_BYTES, parser: unparsedForm })
  // The routes parse their raw query or form: what the app's parsers and validators make of it does not count.
  scope.setValidatorCompiler(() => (value) => ({ value }))
  // Schemas describe our responses and never cut them, whatever serializer the app prefers.
  scope.setSerializerCompiler(() => (body) => JSON.stringify(body))
  scope.setReplySerializer((body) => JSON.stringify(body))
  // These hooks, and those of the routes, take a callback: a promise for each would cost more than what they do.
  scope.addHook('onRequest', (request, reply, done) => {
    limitBodyTime(request, reply)
    if (isForwardedByStranger(request)) warnOfUntrustedProxy(scope.log, request.ip)
    const isTooLong = (request.raw.url ?? '').length > URL_LIMIT_BYTES
    done(isTooLong ? new OAuthError('url_too_long') : undefined)
  })
  // The last word, after the app's own hooks: responses to which they had added CORS could be read by anybody.
  scope.addHook('onSend', (_request, reply, payload, done) => {
    for (const name in reply.getHeaders()) {
      if (name.startsWith('access-control-')) reply.removeHeader(name).raw.removeHeader(name)
    }
    reply.headers(RESPONSE_HEADERS)
    done(null, payload)
  })
  scope.setErrorHandler((error: unknown, _request, reply) => sendErrorResponse(told, error, reply))
}

/** Lets the routes of a secured scope take JSON, as text: each reads it by itself. */
export function takeJson(scope: FastifyInstance): void {
  const options = { parseAs: 'string', bodyLimit: BODY_LIMIT_BYTES } as const
  scope.addContentTypeParser('application/json', options, (_request, body, done) => done(null, body))
}

/** With an address that Fastify does not believe: it shows the peer's own. */
function isForwardedByStranger({ headers, ip, socket }: FastifyRequest): boolean {
  return headers['x-forwarded-for'] !== undefined && ip === socket.remoteAddress
}

/** On every response, errors included (C-19, A-22, B-12). */
const RESPONSE_HEADERS = {
  'cache-control': 'no-store',
  pragma: 'no-cache',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

/** Ends the wait for a body, with a 408 where no response has begun yet (CWE-400, requirements H-22). */
function limitBodyTime({ raw, headers }: FastifyRequest, reply: FastifyReply): void {
  if (headers['content-length'] === undefined && headers['transfer-encoding'] === undefined) return
  const timer = setTimeout(() => {
    // Only who reads the body listens: without a reader there has been a response.
    if (raw.listenerCount('error') === 0) {
      raw.destroy()
      return
    }
    reply.header('connection', 'close')
    raw.emit('error', new OAuthError('body_timeout'))
  }, BODY_TIMEOUT_MS).unref()
  const stop = () => clearTimeout(timer)
  raw.on('end', stop).on('close', stop)
}
