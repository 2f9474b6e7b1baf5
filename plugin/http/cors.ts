import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { RegisteredClient, ResolvedOptions } from '../options/resolved.ts'

type Headers = Readonly<Record<string, string>>

const EXPOSED_HEADERS = 'WWW-Authenticate, Retry-After, X-Request-Id'
const NONE: Headers = Object.freeze({})

/** Whose request it has turned out to be. */
const clients = new WeakMap<FastifyRequest, RegisteredClient>()

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
  headers(origin: string | undefined, client?: RegisteredClient): Headers {
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
  preflightHeaders(request: FastifyRequest, methods: string): Headers | null {
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
    if (this.#origins.size === 0) return
    scope.addHook('onRequest', (request, reply, done) => {
      if (this.preflightHeaders(request, METHODS)) reply.code(204).send()
      else done()
    })
    // At the end, when the client is known, and behind whatever the app's own hooks have said of CORS.
    scope.addHook('onSend', (request, reply, payload, done) => {
      const { origin } = request.headers
      const { vary, ...headers } =
        this.preflightHeaders(request, METHODS) ?? this.headers(origin, clients.get(request))
      if (vary !== undefined) addVary(reply, vary)
      reply.headers(headers)
      done(null, payload)
    })
  }
}

const METHODS = 'GET, POST'

/** From here on only the client's own origins may read the answer. */
export function narrowCors(request: FastifyRequest, client: RegisteredClient): void {
  if (request.headers.origin !== undefined) clients.set(request, client)
}

function addVary(reply: FastifyReply, name: string): void {
  const present = String(reply.getHeader('vary') ?? '')
  if (present.toLowerCase().split(/, */).includes(name.toLowerCase())) return
  reply.header('vary', present === '' ? name : `${present}, ${name}`)
}
