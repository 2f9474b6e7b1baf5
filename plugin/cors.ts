import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { RegisteredClient, ResolvedOptions } from './options/resolved.ts'

const EXPOSED_HEADERS = 'WWW-Authenticate, Retry-After, X-Request-Id'
const NONE: Readonly<Record<string, string>> = Object.freeze({})

/**
 * CORS for browser clients: exact origins, never reflected unless registered, never with credentials. Before
 * the client is known the origins of all clients count; once it is, its own (requirements C-22, H-28).
 */
export class Cors {
  readonly #origins: ReadonlySet<string>

  constructor({ clients }: Pick<ResolvedOptions, 'clients'>) {
    this.#origins = new Set([...clients.values()].flatMap((client) => client.allowedOrigins))
  }

  /** Headers that let a script of `origin` read the answer; none if it may not. */
  headers(origin: string | undefined, client?: RegisteredClient): Readonly<Record<string, string>> {
    if (origin === undefined || this.#origins.size === 0) return NONE
    const allowed = client ? client.allowedOrigins.includes(origin) : this.#origins.has(origin)
    if (!allowed) return { vary: 'Origin' }
    return {
      vary: 'Origin',
      'access-control-allow-origin': origin,
      'access-control-expose-headers': EXPOSED_HEADERS,
    }
  }

  /** Headers of the answer to a preflight, or null if the request is none or its origin is unknown. */
  preflightHeaders(request: FastifyRequest, methods: string): Readonly<Record<string, string>> | null {
    const { origin } = request.headers
    if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined)
      return null
    const headers = this.headers(origin)
    if (headers['access-control-allow-origin'] === undefined) return null
    return {
      ...headers,
      'access-control-allow-methods': methods,
      'access-control-allow-headers': 'Authorization, Content-Type',
      'access-control-max-age': '600',
    }
  }

  /** Puts the headers on every answer of this scope, errors included, and answers preflights before anything else. */
  install(scope: FastifyInstance): void {
    scope.addHook('onRequest', async (request: FastifyRequest, reply: FastifyReply) => {
      const preflight = this.preflightHeaders(request, 'GET, POST')
      if (preflight) return reply.code(204).headers(preflight).send()
      reply.headers(this.headers(request.headers.origin))
    })
  }
}

/** Takes the permission back from an answer once its client turns out not to have the origin. */
export function narrowCors(request: FastifyRequest, reply: FastifyReply, client: RegisteredClient): void {
  const { origin } = request.headers
  if (origin === undefined || client.allowedOrigins.includes(origin)) return
  reply.removeHeader('access-control-allow-origin').removeHeader('access-control-expose-headers')
}
