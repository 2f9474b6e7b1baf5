import type { AddressInfo } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { Upstream } from '../../gateway/config/schemas/gateway.ts'
import { OpenStreams } from '../../gateway/forward/exchange/open-streams.ts'
import { registerForwarding } from '../../gateway/forward/register.ts'
import { ALL_FEATURES, type NodeFeatures } from '../../gateway/listener/assumptions.ts'
import { publicListener } from '../../gateway/listener/listener.ts'
import { createAccessLog } from '../../gateway/operations/log/access-log.ts'
import { listenerLogging } from '../../gateway/operations/log/log.ts'
import { Overload } from '../../gateway/operations/overload.ts'
import { Audit } from '../../plugin/grant/audit.ts'
import type { AuditEvent } from '../../plugin/grant/audit-events.ts'
import { Cors } from '../../plugin/http/cors.ts'
import { OAuthError, type Pkce } from '../../plugin/index.ts'
import type { RegisteredClient } from '../../plugin/oauth/client.ts'
import { createAuthenticate } from '../../plugin/session/authenticate.ts'
import { DpopProofs } from '../../plugin/session/dpop/proofs.ts'
import { Session } from '../../plugin/session/session.ts'
import { noAgents } from './oauth-fixtures.ts'

export const PUBLIC_URL = 'https://gateway.example'
export const HOST = 'gateway.example'

/** For an upstream without a gateway around it. */
export const noStreams = new OpenStreams(() => ({ onSessionEnd: () => () => {} }))

/** How bodies are taken by default. */
export const bodyOptions = { minUploadBytesPerSecond: 1024 }

/** An upstream with every default, as the configuration completes it. */
export function upstream(own: Partial<Upstream> & Pick<Upstream, 'target'>): Upstream {
  return {
    prefix: '/api',
    public: false,
    scopes: [],
    acr: [],
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    host: 'upstream',
    paths: { encodedSlash: false, matrixParameters: false },
    credentials: 'provider-token',
    identityHeaders: {},
    cookies: { request: [], response: [] },
    cacheControl: 'private',
    websocket: false,
    connections: 256,
    connectionsPerSession: 64,
    streamsPerSession: 100,
    connectionMaxAgeMs: 30_000,
    retry: false,
    timeouts: { connectMs: 1000, headersMs: 5000, idleMs: 5000 },
    bodyLimitBytes: 1000,
    responseHeaderBytes: 65_536,
    ...own,
  }
}

export function session(own: Partial<ConstructorParameters<typeof Session>[0]> = {}): Session {
  return new Session({
    grantId: 'grant',
    clientId: 'app',
    issuer: 'https://login.example.com',
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
  /** In place of the plugin's check. */
  authenticate?: Pkce['authenticate']
  forwardAuthPath?: string | undefined
  /** What the plugin's check finds behind a token. Default: `good` is a session, nothing else is. */
  resolve?: (token: string) => Session | Promise<Session>
  /** Hears of every audit event. */
  onAudit?: (event: AuditEvent) => void
  /** Default: no session ends. */
  onSessionEnd?: Pkce['onSessionEnd']
  headersMs?: number
  keepAliveMs?: number
  tls?: { certFile: string; keyFile: string }
  http2?: { maxConcurrentStreams: number } | undefined
  maxConnections?: number
  leaving?: AbortSignal
  minUploadBytesPerSecond?: number
  /** What the endpoints of the plugin answer. */
  endpoint?: () => unknown
  /** Default: no limits. */
  overload?: { eventLoopDelayMs: number; requestsInFlight: number }
  /** Default: warnings alone. */
  log?: { level: 'info' | 'warn' | 'silent'; requests: 'off' | 'errors' | 'all' }
}

export const ALLOWED_ORIGIN = 'https://app.example'

const browserClient: RegisteredClient = {
  clientId: 'app',
  name: 'App',
  enabled: true,
  authentication: 'none',
  redirectUris: [`${ALLOWED_ORIGIN}/callback`],
  scopes: [],
  providerScopes: [],
  claims: [],
  passThrough: [],
  allowedOrigins: [ALLOWED_ORIGIN],
  providers: [],
  requirePar: false,
  dpop: 'off',
  repeatableExchange: false,
}

let features: NodeFeatures = ALL_FEATURES

/** True if an upgrade to something else than WebSocket can be ignored; else it is refused. */
export const choosesUpgrades = () => features.has('chosen upgrades')

/** Every forwarder of this process does without the fast paths, as on a Node where no assumption holds. */
export function usePlainClasses(): void {
  features = new Set(['ordered pipelining'])
}

/** The listener and the forwarder as the gateway composes them, with the plugin's session check and a stand-in for its sessions. */
export async function forwarder(setup: ForwarderSetup): Promise<{
  app: FastifyInstance
  port: number
  logged: string[]
}> {
  const logged: string[] = []
  const trustProxy = setup.trustProxy ?? []
  const log = setup.log ?? { level: 'warn', requests: 'off' }
  const timeouts = {
    headersMs: setup.headersMs ?? 15_000,
    requestMs: 0,
    keepAliveMs: setup.keepAliveMs ?? 72_000,
  }
  const { tls, http2 = false, maxConnections = 10_000, minUploadBytesPerSecond = 1024, leaving } = setup
  const { overload = { eventLoopDelayMs: 0, requestsInFlight: 0 } } = setup
  const load = new Overload(overload)
  const app = publicListener(
    {
      listen: {
        ...{ host: '127.0.0.1', port: 0, timeouts, tls, http2 },
        ...{ maxConnections, minUploadBytesPerSecond, overload },
      },
      trustProxy,
    },
    { ...listenerLogging(log.level, { write: (line) => logged.push(line) }), features },
  )
  load.watch(app.log)
  app.addHook('onClose', async () => load.close())
  const audit = new Audit(app.log)
  if (setup.onAudit) audit.events.on('*', setup.onAudit)
  const clients = new Map([[browserClient.clientId, browserClient]])
  const cors = new Cors({ clients, agents: noAgents })
  const proofs = new DpopProofs({ publicUrl: PUBLIC_URL, clients, secrets: [Buffer.alloc(32)] }, Date.now)
  const sessions: Pick<
    Pkce,
    'authenticate' | 'corsHeaders' | 'preflightHeaders' | 'dpopHeaders' | 'onSessionEnd'
  > = {
    authenticate:
      setup.authenticate ??
      createAuthenticate({
        sessions: { resolve: setup.resolve ?? resolveGood },
        ...{ proofs, audit, realm: 'gateway', now: Date.now },
      }),
    corsHeaders: (origin) => cors.headers(origin),
    preflightHeaders: (request, methods) => cors.preflightHeaders(request, methods),
    dpopHeaders: (of) => proofs.headers(of),
    onSessionEnd: setup.onSessionEnd ?? (() => () => {}),
  }
  const forwarding = registerForwarding(app, {
    publicUrl: PUBLIC_URL,
    allowedHosts: setup.allowedHosts ?? [],
    trustProxy,
    minUploadBytesPerSecond,
    upstreams: setup.upstreams,
    accessLog: createAccessLog(log, app.log, (subject) => `<${subject}>`),
    load,
    forwardAuthPath: setup.forwardAuthPath,
    sessions: () => sessions,
    features,
    sendsWholeBodies: features === ALL_FEATURES,
  })
  leaving?.addEventListener('abort', () => forwarding.leave())
  app.get('/oauth2/endpoint', setup.endpoint ?? (() => ({ endpoint: true })))
  app.post('/oauth2/form', setup.endpoint ?? (({ body }) => ({ body })))
  await app.listen({ host: '127.0.0.1', port: 0 })
  return { app, port: (app.server.address() as AddressInfo).port, logged }
}

const good = session()

function resolveGood(token: string): Session {
  if (token !== 'good') throw new OAuthError('token_unknown')
  return good
}

/** A request head with a session, ready to send. */
export function head(requestLine: string, ...headerLines: string[]): string {
  const lines = [`${requestLine} HTTP/1.1`, `Host: ${HOST}`, 'Authorization: Bearer good', ...headerLines]
  return `${lines.join('\r\n')}\r\n\r\n`
}
