import type { FastifyRequest } from 'fastify'

/**
 * Log serializers that let only named fields through: URLs hold codes and states, and errors of HTTP and store
 * clients carry bodies, headers and addresses (requirements J-01 to J-03). The plugin's routes use them; give
 * them to an app's own logger too.
 */
export const logSerializers = { req: serializeRequest, err: serializeError }

function serializeRequest(request: FastifyRequest): Record<string, unknown> {
  const url = request.raw.url ?? ''
  const end = url.search(/[?#]/)
  return {
    method: request.method,
    path: (end === -1 ? url : url.slice(0, end)).slice(0, 256),
    remoteAddress: request.ip,
  }
}

function serializeError(error: unknown): Record<string, unknown> {
  if (!(error instanceof Error)) return { message: 'not an Error' }
  const { code, reason, statusCode } = error as Error & {
    code?: unknown
    reason?: unknown
    statusCode?: unknown
  }
  return {
    type: error.name,
    message: error.message,
    ...(code !== undefined && { code }),
    ...(reason !== undefined && { reason }),
    ...(statusCode !== undefined && { statusCode }),
    // Where it came from; the first line of a stack repeats the message.
    ...(Number(statusCode ?? 500) === 500 && { stack: error.stack }),
    // Causes come from other people's code, so that only their class and code are safe to show.
    ...(error.cause instanceof Error && {
      cause: { type: error.cause.name, code: (error.cause as Error & { code?: unknown }).code },
    }),
  }
}
