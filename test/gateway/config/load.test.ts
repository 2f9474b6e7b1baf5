import t from 'tap'
import { gatewayConfig } from '../../../gateway/config/load.ts'
import { ConfigError } from '../../../plugin/index.ts'
import { file, load, minimal, secret, upstream } from '../../support/gateway-config.ts'
import { noAgents } from '../../support/oauth-fixtures.ts'

t.test('the defaults are the documented ones (design, Gateway configuration; SC-06)', async (t) => {
  const { config } = load(file(t, { ...minimal(), upstreams: [upstream] }))
  const { store, ...around } = config
  t.same(store, { type: 'memory', maxRecords: 100_000, dangerouslyAllowInProduction: false })
  t.same(around, {
    plugin: {
      publicUrl: 'http://127.0.0.1:3000',
      routePrefix: '/oauth2',
      provider: {
        issuer: 'http://127.0.0.1:4000',
        clientId: 'gateway',
        clientSecret: secret,
        clientAuthentication: 'client_secret_basic',
        scope: 'openid offline_access',
        pkce: 'own',
        par: 'auto',
        responseMode: 'query',
        subjectClaim: 'sub',
        nonce: true,
        idToken: 'check',
        trustedAudiences: [],
        clockToleranceSeconds: 60,
        authorizationParams: {},
        timeouts: { connectMs: 3000, headersMs: 5000, bodyMs: 5000, totalMs: 10_000 },
        allowedHosts: [],
        dangerouslyAllowPrivateNetwork: false,
      },
      clients: [
        {
          clientId: 'com.example.app',
          enabled: true,
          authentication: 'none',
          redirectUris: ['com.example.app:/callback'],
          scopes: ['orders.read'],
          providerScopes: [],
          claims: [],
          passThrough: [],
          allowedOrigins: [],
          providers: [],
          requirePar: false,
          dpop: 'off',
          repeatableExchange: false,
        },
      ],
      scopes: [],
      agents: noAgents,
      resourceServers: [],
      appLinks: [],
      secrets: [],
      tokens: 'opaque',
      lifetimes: {
        transactionSeconds: 600,
        codeSeconds: 60,
        accessTokenSeconds: 600,
        duplicateSeconds: 15,
        refreshGraceSeconds: 15,
        refreshIdleSeconds: 2_592_000,
        sessionSeconds: 7_776_000,
        tombstoneSeconds: 3600,
      },
      session: { cacheSeconds: 300 },
      limits: { transactionsPerAddress: 100, transactions: 100_000 },
      rateLimit: {
        authorize: { max: 30, windowMs: 60_000 },
        token: { max: 60, windowMs: 60_000 },
        register: { max: 10, windowMs: 60_000 },
        logout: { max: 600, windowMs: 60_000 },
      },
      pages: { accentColor: '#2563eb' },
      log: { subject: 'hash' },
    },
    listen: {
      host: '127.0.0.1',
      port: 3000,
      http2: false,
      maxConnections: 10_000,
      overload: { eventLoopDelayMs: 1000, requestsInFlight: 10_000 },
      minUploadBytesPerSecond: 1024,
      timeouts: { headersMs: 15_000, requestMs: 0, keepAliveMs: 72_000 },
    },
    admin: { host: '127.0.0.1', port: 9090, metrics: true },
    workers: 1,
    allowedHosts: [],
    trustProxy: [],
    forwardAuth: false,
    upstreams: [
      {
        prefix: '/api',
        target: 'http://127.0.0.1:5000',
        public: false,
        scopes: [],
        acr: [],
        methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
        host: 'upstream',
        paths: { encodedSlash: false, matrixParameters: false },
        responseHeaderBytes: 65_536,
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
        timeouts: { connectMs: 3000, headersMs: 30_000, idleMs: 60_000 },
        bodyLimitBytes: 10_485_760,
      },
    ],
    log: { level: 'info', requests: 'errors', subject: 'hash' },
    shutdown: { delayMs: 0, graceMs: 30_000 },
    warnings: [],
  })
})

t.test('the configuration is frozen to the bottom (design, Gateway configuration)', async (t) => {
  const { config } = load(file(t, { ...minimal(), upstreams: [upstream] }))
  for (const part of [
    config,
    config.plugin,
    config.upstreams,
    config.upstreams[0]?.timeouts,
    config.listen.timeouts,
  ]) {
    t.ok(Object.isFrozen(part))
  }
})

t.test('no value at any key makes the loader fail otherwise than with a list of problems', async (t) => {
  const { effective } = load(file(t, { ...minimal(), upstreams: [upstream] }))
  const paths = pathsOf(effective)
  t.ok(paths.length > 80)
  for (const path of paths) {
    for (const value of [null, -1, 'x\ny', [null], { x: 1 }]) {
      const broken = structuredClone(effective)
      const parent = path.slice(0, -1).reduce<never>((node, key) => node[key as never], broken as never)
      Object.assign(parent, { [path.at(-1)!]: value })
      try {
        gatewayConfig(broken)
      } catch (error) {
        if (!(error instanceof ConfigError)) t.fail(`${path.join('.')}: ${JSON.stringify(value)}`, { error })
      }
    }
  }

  function pathsOf(value: unknown, path: (string | number)[] = []): (string | number)[][] {
    if (typeof value !== 'object' || value === null) return [path]
    const inner = Object.entries(value).flatMap(([key, one]) =>
      pathsOf(one, [...path, Array.isArray(value) ? Number(key) : key]),
    )
    return path.length === 0 ? inner : [path, ...inner]
  }
})

t.test('a gateway built in code goes through the same rules', async (t) => {
  t.equal(gatewayConfig(minimal()).listen.port, 3000)
  const wrong = { ...minimal(), upstreams: [{ ...upstream, prefix: '/api/' }] }
  t.throws(() => gatewayConfig(wrong), {
    name: 'ConfigError',
    problems: [{ path: ['upstreams', 0, 'prefix'] }],
  })
  t.throws(() => gatewayConfig(wrong), ConfigError)
})
