import type { ClientMetadata } from 'oidc-provider'
import type { GatewayInput } from '../../gateway/config/schemas/gateway.ts'

/** The provider's registration of the gateway: its one and only client there. */
export function gatewayAtProvider(publicUrl: string): ClientMetadata {
  return {
    client_id: 'gateway',
    client_secret: 'gateway-secret',
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['authorization_code', 'refresh_token'],
    redirect_uris: [`${publicUrl}/oauth2/callback`],
    // Who signs out there, is signed out here.
    backchannel_logout_uri: `${publicUrl}/oauth2/backchannel-logout`,
    backchannel_logout_session_required: true,
  }
}

/** The gateway's configuration in the demo: the same keys as in its YAML file. */
export function demoConfiguration(demo: {
  publicUrl: string
  port: number
  adminPort: number
  providerIssuer: string
  apiOrigin: string
  /** Where the page of the demo is served; absent: there is none. */
  pageOrigin?: string
}): GatewayInput & { provider: { issuer: string } } {
  return {
    publicUrl: demo.publicUrl,
    listen: { host: '127.0.0.1', port: demo.port },
    admin: { host: '127.0.0.1', port: demo.adminPort },
    provider: {
      issuer: demo.providerIssuer,
      clientId: 'gateway',
      clientSecret: 'gateway-secret',
      scope: 'openid email profile offline_access',
      // This provider gives a refresh token only where the user was asked.
      authorizationParams: { prompt: 'consent' },
    },
    clients: [
      {
        clientId: 'com.example.app',
        name: 'Example app',
        redirectUris: ['com.example.app:/callback', 'http://127.0.0.1/callback'],
        scopes: ['orders.read'],
        claims: ['email', 'name'],
      },
      ...(demo.pageOrigin === undefined ? [] : [pageClient(demo.publicUrl)]),
    ],
    store: { type: 'memory' },
    upstreams: [
      {
        prefix: '/api',
        target: demo.apiOrigin,
        scopes: ['orders.read'],
        identityHeaders: { 'x-auth-subject': 'sub' },
      },
      { prefix: '/status', target: `${demo.apiOrigin}/status`, public: true },
      ...(demo.pageOrigin === undefined ? [] : pageUpstreams(demo.pageOrigin)),
    ],
    log: { level: 'warn' },
    ...(demo.pageOrigin !== undefined && pageSettings),
  }
}

/** The page is an app of its own: a public client that comes back to where it is. */
function pageClient(publicUrl: string) {
  return {
    clientId: 'com.example.page',
    name: 'Demo page',
    redirectUris: [`${publicUrl}/`],
    scopes: ['orders.read'],
    claims: ['email', 'name'],
  }
}

/** The page and what it is told need no session; the API keeps its own, longer prefix. */
function pageUpstreams(target: string) {
  return [
    { prefix: '/', target, public: true },
    {
      prefix: '/demo',
      target: `${target}/demo`,
      public: true,
      methods: ['GET', 'POST'] as ('GET' | 'POST')[],
    },
  ]
}

/**
 * The page is told what the log tells. One person with many attacks shall see no limit of an address, and a code that
 * is replayed ends its session at once: by default a repetition within 15 seconds is taken for the app's own, which is
 * refused, and nothing ends.
 */
const pageSettings = {
  log: { level: 'info' as const },
  lifetimes: { duplicateSeconds: 0 },
  rateLimit: {
    authorize: { max: 600, windowMs: 60_000 },
    token: { max: 600, windowMs: 60_000 },
  },
}
