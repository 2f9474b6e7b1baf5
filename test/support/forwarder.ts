import type { AddressInfo } from 'node:net'
import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Upstream } from '../../gateway/config/schemas/gateway.ts'
import { OpenStreams } from '../../gateway/forward/exchange/open-streams.ts'
import { registerForwarding } from '../../gateway/forward/register.ts'
import { publicListener } from '../../gateway/listener/listener.ts'
import { listenerLogging } from '../../gateway/operations/log.ts'
import { AuditEvents } from '../../plugin/grant/audit.ts'
import { OAuthError, type Pkce } from '../../plugin/index.ts'
import { Session } from '../../plugin/session/session.ts'

export const PUBLIC_URL = 'https://gateway.example'
export const HOST = 'gateway.example'

/** For an upstream without a gateway around it. */
export const noStreams = new OpenStreams(() => ({ onSessionEnd: () => () => {} }))

/** An upstream with every default, as the configuration completes it. */
export function upstream(own: Partial<Upstream> & Pick<Upstream, 'target'>): Upstream {
  return {
    prefix: '/api',
    public: false,
    scopes: [],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    credentials: 'provider-token',
    identityHeaders: {},
    cookies: { request: [], response: [] },
    cacheControl: 'private',
    websocket: false,
    connections: 64,
    retry: false,
    timeouts: { connectMs: 1000, headersMs: 5000, idleMs: 5000 },
    bodyLimitBytes: 1000,
    ...own,
  }
}

export function session(own: Partial<ConstructorParameters<typeof Session>[0]> = {}): Session {
  return new Session({
    grantId: 'grant',
    clientId: 'app',
    subject: 'alice',
    scope: ['orders.read'],
    claims: { sub: 'alice' },
    expiresAt: Number.MAX_SAFE_INTEGER,
    tokenHash: 'hash',
    providerAuthorization: 'Bearer provider-token',
    ...own,
  })
}

export interface ForwarderSetup {
  upstreams: readonly Upstream[]
  trustProxy?: readonly string[]
  allowedHosts?: readonly string[]
  /** Default: `Bearer good` is a session, nothing else is. */
  authenticate?: Pkce['authenticate']
  events?: AuditEvents
  /** Default: no session ends. */
  onSessionEnd?: Pkce['onSessionEnd']
  headersMs?: number
  keepAliveMs?: number
  tls?: { certFile: string; keyFile: string }
  http2?: { maxConcurrentStreams: number } | undefined
  maxConnections?: number
}

export const ALLOWED_ORIGIN = 'https://app.example'

/** The listener and the forwarder as the gateway composes them, with a stand-in for the plugin's sessions. */
export async function forwarder(setup: ForwarderSetup): Promise<{
  app: FastifyInstance
  port: number
  logged: string[]
}> {
  const logged: string[] = []
  const trustProxy = setup.trustProxy ?? []
  const timeouts = {
    headersMs: setup.headersMs ?? 15_000,
    requestMs: 0,
    keepAliveMs: setup.keepAliveMs ?? 72_000,
  }
  const { tls, http2 = false, maxConnections = 10_000 } = setup
  const app = publicListener(
    {
      listen: { host: '127.0.0.1', port: 0, timeouts, tls, http2, maxConnections },
      trustProxy,
      upstreams: setup.upstreams,
    },
    listenerLogging('warn', { write: (line) => logged.push(line) }),
  )
  const sessions = {
    authenticate: setup.authenticate ?? bearerGood,
    corsHeaders: (origin: string | undefined): Record<string, string> => ({
      vary: 'Origin',
      ...(origin === ALLOWED_ORIGIN && { 'access-control-allow-origin': origin }),
    }),
    events: setup.events ?? new AuditEvents(),
    onSessionEnd: setup.onSessionEnd ?? (() => () => {}),
  }
  registerForwarding(app, {
    publicUrl: PUBLIC_URL,
    allowedHosts: setup.allowedHosts ?? [],
    trustProxy,
    upstreams: setup.upstreams,
    sessions: () => sessions,
  })
  app.get('/oauth2/endpoint', () => ({ endpoint: true }))
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, port: (app.server.address() as AddressInfo).port, logged }
}

const good = session()

function bearerGood(request: FastifyRequest, scopes: readonly string[] = []): Session {
  const { authorization } = request.raw.headers
  if (authorization === undefined) {
    throw new OAuthError('token_absent', { headers: { 'www-authenticate': 'Bearer realm="gateway"' } })
  }
  if (authorization !== 'Bearer good') throw new OAuthError('token_unknown')
  if (!scopes.every((scope) => good.scope.includes(scope))) throw new OAuthError('scope_insufficient')
  return good
}

/** A request head with a session, ready to send. */
export function head(requestLine: string, ...headerLines: string[]): string {
  const lines = [`${requestLine} HTTP/1.1`, `Host: ${HOST}`, 'Authorization: Bearer good', ...headerLines]
  return `${lines.join('\r\n')}\r\n\r\n`
}
