import type { FastifyRequest } from 'fastify'
import { helpFor, ProviderError } from '../oauth/errors.ts'
import { StoreError } from '../stores/store.ts'

/**
 * Log serializers that let only named fields through: URLs hold codes and states, and errors of HTTP and store
 * clients carry bodies, headers and addresses (requirements J-01 to J-03). The plugin's routes use them; give
 * them to an app's own logger too.
 */
export const logSerializers = { req: serializeRequest, err: serializeError }

const PATH_MAX = 256
/** Where a query begins, or what somebody has encoded who meant one: `/callback%3Fcode=…` is a path with a code in it. */
const QUERY_BEGINS = /[?#;=&]|%(?:3[fbd]|2[356])/i
/** As long as a credential. A UUID is shorter, and so is a SHA-256 in hexadecimal digits. */
const CREDENTIAL_LIKE = /[^/]{65,}/g
const TEXT_MAX = 1024

function serializeRequest(request: FastifyRequest): Record<string, unknown> {
  const path = loggedPath(request.raw.url ?? '')
  return { method: request.method, ...(path !== undefined && { path }), remoteAddress: request.ip }
}

/**
 * The path of a request target, as far as it may be in a log: without a query, and with `*` for each segment that
 * could be a credential. Undefined where there is none: an absolute-form target may name credentials.
 */
export function loggedPath(target: string): string | undefined {
  if (!target.startsWith('/')) return undefined
  const end = target.search(QUERY_BEGINS)
  const path = end === -1 ? target : target.slice(0, end)
  return path.replaceAll(CREDENTIAL_LIKE, '*').slice(0, PATH_MAX)
}

function serializeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: 'not an Error' }
  const { code, reason, statusCode } = error as Error & {
    code?: unknown
    reason?: unknown
    statusCode?: unknown
  }
  const help = helpFor(reason)
  return {
    type: error.name,
    message: error.message.slice(0, TEXT_MAX),
    ...(code !== undefined && { code }),
    ...(reason !== undefined && { reason }),
    ...(help !== undefined && { help }),
    ...(statusCode !== undefined && { statusCode }),
    // Where it came from; the first line of a stack repeats the message.
    ...(Number(statusCode ?? 500) === 500 && { stack: error.stack }),
    ...(error instanceof ProviderError && { endpoint: error.endpoint }),
    ...(error.cause instanceof Error && { cause: serializeCause(error, error.cause) }),
  }
}

/** Our own words say what was wrong; of other people's errors only class and code are safe to show. */
function serializeCause(error: Error, cause: Error): Record<string, unknown> {
  const ours = error instanceof ProviderError || cause instanceof StoreError
  return {
    type: cause.name,
    code: (cause as Error & { code?: unknown }).code,
    ...(ours && { message: cause.message.slice(0, TEXT_MAX) }),
  }
}
