import type { IncomingHttpHeaders } from 'node:http'
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { KnownClients, RegisteredClient } from '../oauth/client.ts'

type Headers = Readonly<Record<string, string>>

/** What makes a request a preflight: any `IncomingMessage`, and any `FastifyRequest`, is one of these. */
export interface CorsRequest {
  readonly method?: string | undefined
  readonly headers: IncomingHttpHeaders
}

/**
 * What our own endpoints take of a script: what they read (RFC 6749 §2.3.1, RFC 6750 §2.1, RFC 9449 §4.1), and what agents and tracing
 * put into every request, which would fail as a whole otherwise.
 */
const OWN_FIELDS = 'Authorization, Content-Type, DPoP, MCP-Protocol-Version, Traceparent, Tracestate'
const PREFLIGHT_MAX_AGE_SECONDS = '600'
/** Names of request header fields, as a browser lists them. */
const FIELD_NAMES = /^[!#$%&'*+\-.^_`|~0-9A-Za-z, ]{1,1024}$/
const EXPOSED_HEADERS = 'WWW-Authenticate, Retry-After, X-Request-Id, DPoP-Nonce'
const NONE: Headers = Object.freeze({})

/** Whose request it has turned out to be. */
const clients = new WeakMap<FastifyRequest, RegisteredClient>()

/**
 * CORS for browser clients: exact origins, never reflected unless registered, never with credentials. Before
 * the client is known the origins of all clients count; once it is, its own (requirements C-22, H-28).
 */
export class Cors {
  readonly #origins: ReadonlySet<string>

  constructor({ clients, agents }: KnownClients) {
    const isOpen = agents.metadataDocuments || agents.registration !== false
    this.#origins = new Set([
      ...[...clients.values()].flatMap((client) => client.allowedOrigins),
      ...(isOpen ? agents.allowedOrigins : []),
    ])
  }

  /** Headers that let a script of `origin` read the response; none if it may not. */
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

  /**
   * Headers of the response to a preflight, or null if the request is none, or its origin belongs to no client.
   *
   * @param methods as in `Allow`. @param fields the request header fields that a script may send; by default those
   *   that it asks for.
   * Source: Fetch §3.2.2 (CORS protocol), requirements H-28.
   */
  preflightHeaders(
    { method, headers: asked }: CorsRequest,
    methods: string,
    fields = requestedFields(asked),
  ): Headers | null {
    if (method !== 'OPTIONS' || asked['access-control-request-method'] === undefined) return null
    const headers = this.headers(asked.origin)
    if (headers['access-control-allow-origin'] === undefined) return null
    return {
      ...headers,
      'access-control-allow-methods': methods,
      ...(fields !== undefined && { 'access-control-allow-headers': fields }),
      'access-control-max-age': PREFLIGHT_MAX_AGE_SECONDS,
    }
  }

  /**
   * Puts the headers on every response of this scope, errors included, and responds to preflights before anything else.
   *
   * @param methods of its routes.
   */
  install(scope: FastifyInstance, methods = 'GET, POST'): void {
    if (this.#origins.size === 0) return
    scope.addHook('onRequest', (request, reply, done) => {
      if (this.preflightHeaders(request, methods, OWN_FIELDS)) reply.code(204).send()
      else done()
    })
    // At the end, when the client is known, and behind whatever the app's own hooks have said of CORS.
    scope.addHook('onSend', (request, reply, payload, done) => {
      const { origin } = request.headers
      const { vary, ...headers } =
        this.preflightHeaders(request, methods, OWN_FIELDS) ?? this.headers(origin, clients.get(request))
      if (vary !== undefined) addVary(reply, vary)
      reply.headers(headers)
      done(null, payload)
    })
  }
}

/** From here on only the client's own origins may read the response. */
export function narrowCors(request: FastifyRequest, client: RegisteredClient): void {
  if (request.headers.origin !== undefined) clients.set(request, client)
}

function requestedFields(headers: IncomingHttpHeaders): string | undefined {
  const requested = headers['access-control-request-headers']
  return requested !== undefined && FIELD_NAMES.test(requested) ? requested : undefined
}

function addVary(reply: FastifyReply, name: string): void {
  const present = String(reply.getHeader('vary') ?? '')
  if (present.toLowerCase().split(/, */).includes(name.toLowerCase())) return
  reply.header('vary', present === '' ? name : `${present}, ${name}`)
}
