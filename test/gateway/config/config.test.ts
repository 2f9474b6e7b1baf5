import { chmodSync, rmSync, writeFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { parse, stringify } from 'yaml'
import type { Environment } from '../../../gateway/config/environment.ts'
import { readFlags, UsageError } from '../../../gateway/config/flags.ts'
import { gatewayConfig, type LoadedConfig, loadConfig } from '../../../gateway/config/load.ts'
import { printConfig } from '../../../gateway/config/print.ts'
import { ConfigurationError } from '../../../gateway/config/problems.ts'
import type { GatewayInput } from '../../../gateway/config/schemas/gateway.ts'
import { ConfigError } from '../../../plugin/index.ts'
import { selfSigned } from '../../support/certificate.ts'

const secret = 'hunter2-hunter2-hunter2'

function minimal(): GatewayInput {
  return {
    publicUrl: 'http://127.0.0.1:3000',
    provider: { issuer: 'http://127.0.0.1:4000', clientId: 'gateway', clientSecret: secret },
    clients: [
      { clientId: 'com.example.app', redirectUris: ['com.example.app:/callback'], scopes: ['orders.read'] },
    ],
  }
}

const upstream = { prefix: '/api', target: 'http://127.0.0.1:5000' }

/** Writes `content` (text, or values as YAML) into the test's own folder. */
function file(t: Test, content: unknown, name = 'gateway.yaml'): string {
  const path = join(t.testdir({}), name)
  writeFileSync(path, typeof content === 'string' || Buffer.isBuffer(content) ? content : stringify(content))
  return path
}

/** The problem lines, the file's name shortened to `file`. */
function problemsOf(path: string | undefined, environment: Environment = {}, args: string[] = []): string[] {
  try {
    loadConfig({ file: path, environment, flags: readFlags(args).settings })
  } catch (error) {
    if (!(error instanceof ConfigurationError)) throw error
    return error.lines.map((line) => (path ? line.replaceAll(path, 'file') : line))
  }
  return []
}

/** Each problem matches its pattern, and there are no others. */
function matchAll(t: Test, problems: readonly string[], patterns: readonly RegExp[], message = ''): void {
  t.equal(problems.length, patterns.length, `${message} ${problems.join('; ')}`)
  t.match(problems, patterns, message)
}

/** A server secret that holds. */
const sealing = Buffer.alloc(32, 7).toString('base64url')

function load(path: string | undefined, environment: Environment = {}, args: string[] = []): LoadedConfig {
  return loadConfig({ file: path, environment, flags: readFlags(args).settings })
}

t.test('the defaults are the documented ones (design, Gateway configuration; SC-06)', async (t) => {
  const { config } = load(file(t, { ...minimal(), upstreams: [upstream] }))
  const { plugin: registered, store, portable: _, ...around } = config
  const { store: inPlugin, ...plugin } = registered
  t.equal(inPlugin?.name, 'memory')
  t.equal(inPlugin, store.store)
  t.same(
    { ...around, plugin },
    {
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
          },
        ],
        resourceServers: [],
        secrets: [],
        tokens: 'opaque',
        lifetimes: {
          transactionSeconds: 600,
          codeSeconds: 60,
          accessTokenSeconds: 600,
          refreshGraceSeconds: 15,
          refreshIdleSeconds: 2_592_000,
          sessionSeconds: 7_776_000,
          tombstoneSeconds: 3600,
        },
        limits: { transactionsPerAddress: 100, transactions: 100_000 },
        rateLimit: { authorize: { max: 30, windowMs: 60_000 }, token: { max: 60, windowMs: 60_000 } },
      },
      listen: {
        host: '127.0.0.1',
        port: 3000,
        http2: false,
        maxConnections: 10_000,
        timeouts: { headersMs: 15_000, requestMs: 0, keepAliveMs: 72_000 },
      },
      admin: { host: '127.0.0.1', port: 9090 },
      workers: 1,
      allowedHosts: [],
      trustProxy: [],
      upstreams: [
        {
          prefix: '/api',
          target: 'http://127.0.0.1:5000',
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
          timeouts: { connectMs: 3000, headersMs: 30_000, idleMs: 60_000 },
          bodyLimitBytes: 10_485_760,
        },
      ],
      log: { level: 'info' },
      shutdown: { graceMs: 30_000 },
      warnings: [],
    },
  )
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

t.test('flags win over the environment, it over the file, that over defaults (design)', async (t) => {
  const path = file(t, { ...minimal(), listen: { host: '127.0.0.2', port: 3001 }, log: { level: 'warn' } })
  const environment = { PKCE_GATEWAY_LISTEN__PORT: '3002', PKCE_GATEWAY_LOG__LEVEL: 'debug' }
  const { config } = load(path, environment, ['--port', '3003'])
  t.match(config, {
    listen: { host: '127.0.0.2', port: 3003 },
    log: { level: 'debug' },
    admin: { port: 9090 },
  })
})

t.test('the environment alone is enough: nesting, lists and maps as JSON (design)', async (t) => {
  const { config } = load(undefined, {
    PATH: '/bin',
    PKCE_GATEWAY_PUBLIC_URL: 'http://127.0.0.1:3000',
    PKCE_GATEWAY_PROVIDER__ISSUER: 'http://127.0.0.1:4000',
    PKCE_GATEWAY_PROVIDER__CLIENT_ID: 'gateway',
    PKCE_GATEWAY_PROVIDER__CLIENT_SECRET: '0123',
    PKCE_GATEWAY_PROVIDER__AUTHORIZATION_PARAMS: '{"prompt":"consent"}',
    PKCE_GATEWAY_CLIENTS: JSON.stringify(minimal().clients),
    PKCE_GATEWAY_STORE__DANGEROUSLY_ALLOW_IN_PRODUCTION: 'true',
    PKCE_GATEWAY_RATE_LIMIT: '{"token":{"max":1,"windowMs":5}}',
    PKCE_GATEWAY_RATE_LIMIT__TOKEN__MAX: '2',
    PKCE_GATEWAY_SERVICE_HOST: '10.0.0.1',
    PKCE_GATEWAY_SERVICE_PORT_HTTP: '80',
    PKCE_GATEWAY_PORT: 'tcp://10.0.0.1:80',
    PKCE_GATEWAY_PORT_80_TCP_ADDR: '10.0.0.1',
    PKCE_GATEWAY_CONFIG: 'read by the command',
  })
  t.match(config.plugin, {
    provider: { clientId: 'gateway', clientSecret: '0123', authorizationParams: { prompt: 'consent' } },
    clients: [{ clientId: 'com.example.app' }],
    rateLimit: { token: { max: 2, windowMs: 5 } },
  })
  t.same(config.warnings, [])
})

t.test('problems of the environment and the flags carry their names (design)', async (t) => {
  t.same(
    new Set(
      problemsOf(
        file(t, minimal()),
        {
          PKCE_GATEWAY_LISTEN_PORT: '3000',
          PKCE_GATEWAY_LISTNE__HOST: 'x',
          PKCE_GATEWAY_CLIENTS__0__NAME: 'x',
          PKCE_GATEWAY_PROVIDER__AUTHORIZATION_PARAMS__PROMPT: 'consent',
          PKCE_GATEWAY_TRUST_PROXY: '10.0.0.0/8',
          PKCE_GATEWAY_RATE_LIMIT__TOKEN__MAX: '0',
          PKCE_GATEWAY_LIFETIMES__CODE_SECONDS: '1m',
          PKCE_GATEWAY_UPSTREAMS: '[{"prefix":"/a"}]',
        },
        ['--port', '80a', '--log-level', 'loud'],
      ),
    ),
    new Set([
      'PKCE_GATEWAY_UPSTREAMS[0].target: is required',
      'PKCE_GATEWAY_LIFETIMES__CODE_SECONDS: must be a whole number',
      'PKCE_GATEWAY_RATE_LIMIT__TOKEN__MAX: must be at least 1',
      '--port: must be a whole number',
      '--log-level: must be one of fatal, error, warn, info, debug, trace, silent',
      'PKCE_GATEWAY_CLIENTS__0__NAME: a list is set as a whole: give PKCE_GATEWAY_CLIENTS as JSON',
      'PKCE_GATEWAY_LISTEN_PORT: is not known; the nearest is PKCE_GATEWAY_LISTEN__PORT',
      'PKCE_GATEWAY_LISTNE__HOST: is not known; the nearest is PKCE_GATEWAY_LISTEN__HOST',
      'PKCE_GATEWAY_PROVIDER__AUTHORIZATION_PARAMS__PROMPT: a map is set as a whole: give PKCE_GATEWAY_PROVIDER__AUTHORIZATION_PARAMS as JSON',
      'PKCE_GATEWAY_TRUST_PROXY: must be JSON',
    ]),
  )
  t.same(
    problemsOf(undefined, { PKCE_GATEWAY_PROVIDER__CLIENT_ID: 'x' }),
    ['PKCE_GATEWAY_PUBLIC_URL', 'PKCE_GATEWAY_CLIENTS', 'PKCE_GATEWAY_PROVIDER__ISSUER'].map(
      (name) => `${name}: is required`,
    ),
    'without a file the missing key is named as a variable',
  )
})

t.test('a bare PKCE_GATEWAY_PORT is ignored, with a word about it (design)', async (t) => {
  const { config } = load(file(t, minimal()), { PKCE_GATEWAY_PORT: '8080' })
  t.equal(config.listen.port, 3000)
  t.match(config.warnings, [/^PKCE_GATEWAY_PORT is ignored.*PKCE_GATEWAY_LISTEN__PORT/])
})

t.test('every problem is listed at once, with line and column, in their order (design)', async (t) => {
  const path = file(
    t,
    `publicUrl: http://example.com
publicURL: x
listen: { port: 99999, hots: a }
trustProxy: [loopback, 10.0.0.0/8, "0.0.0.0/0", "1", "::1/129", 10.0.0.1]
allowedHosts: ["a b", "api.example.com:8443"]
provider:
  issuer: ftp://127.0.0.1:4000
  clientId: gateway
  pkse: own
clients:
  - clientId: a
    redirectUris: ["javascript:alert(1)"]
upstreams:
  - prefix: /api
    methods: [GET, OPTIONS]
    target: http://127.0.0.1:5000
  - prefix: /b/
    target: http://127.0.0.1:5000/x/
`,
  )
  const problems = problemsOf(path)
  const places = problems.map((line) => line.split(': ')[0])
  t.same(places, [
    'file:1:1 publicUrl',
    'file:2:1 publicURL',
    'file:3:11 listen.port',
    'file:3:24 listen.hots',
    'file:4:14 trustProxy[0]',
    'file:4:36 trustProxy[2]',
    'file:4:49 trustProxy[3]',
    'file:4:54 trustProxy[4]',
    'file:5:16 allowedHosts[0]',
    'file:6:1 provider.clientSecret',
    'file:7:3 provider.issuer',
    'file:9:3 provider.pkse',
    'file:12:20 clients[0].redirectUris[0]',
    'file:15:20 upstreams[0].methods[1]',
    'file:17:5 upstreams[1].prefix',
    'file:18:5 upstreams[1].target',
  ])
  t.match(problems[1], 'is not known here; did you mean "publicUrl"?')
  t.match(problems[3], 'is not known here; did you mean "host"?')
  t.match(problems[11], 'is not known here; did you mean "pkce"?')
})

t.test('a missing or wrong type is said in plain words (design)', async (t) => {
  const cases: [unknown, string][] = [
    [{ ...minimal(), publicUrl: 3 }, 'file:1:1 publicUrl: must be text'],
    [{ ...minimal(), trustProxy: true }, 'trustProxy: must be a list'],
    [{ ...minimal(), rateLimit: true }, 'rateLimit: must be a map or false'],
    [{ ...minimal(), clients: [] }, 'clients: must not be empty'],
    [{ ...minimal(), clients: null }, 'clients: must be a list'],
    [{ ...minimal(), tokens: 'jwt' }, 'tokens: must be one of opaque, relay'],
    [{ ...minimal(), listen: { port: 1.5 } }, 'listen.port: must be a whole number'],
    [{ ...minimal(), listen: 3000 }, 'listen: must be a map'],
    [{ ...minimal(), provider: { clientId: 'a' } }, 'provider.issuer: is required'],
    [{ ...minimal(), rateLimit: { token: { max: 'many' } } }, 'rateLimit.token.max: must be a whole number'],
    [
      { ...minimal(), rateLimit: { tokens: {} } },
      'rateLimit.tokens: is not known here; did you mean "token"?',
    ],
    [
      { ...minimal(), lifetimes: { codeSeconds: 61 } },
      'lifetimes.codeSeconds: must be', // The plugin's own rule (B-10).
    ],
  ]
  for (const [values, problem] of cases) {
    const problems = problemsOf(file(t, values))
    t.equal(problems.length, 1, problem)
    t.match(problems[0], problem)
  }
})

t.test('a shared store needs its URL, and a URL that leads somewhere (issue: bad input)', async (t) => {
  const shared = (store: object) => problemsOf(file(t, { ...minimal(), secrets: [sealing], store }))
  matchAll(t, shared({ type: 'redis' }), [/store\.url: is required: type is redis$/])
  matchAll(t, shared({ type: 'postgres' }), [/store\.url: is required: type is postgres$/])
  matchAll(t, shared({ type: 'memory', url: 'redis://h' }), [
    /store\.url: must be absent: the memory store has none$/,
  ])
  matchAll(t, shared({ type: 'redis', url: 'redis://h', listenUrl: 'x' }), [
    /store\.listenUrl: must be absent/,
  ])
  for (const type of ['redis', 'postgres']) {
    const [problem, ...others] = shared({ type, url: `http://:${secret}@h` })
    t.match(problem, /^file:\d+:\d+ store\.url: /)
    t.same(others, [])
    t.notMatch(problem, secret)
  }
  const { config } = load(
    file(t, { ...minimal(), secrets: [sealing], store: { type: 'redis', url: `redis://:${secret}@h` } }),
  )
  t.equal(config.plugin.store?.name, 'redis')
  await config.store.close()
})

t.test(
  "a shared store without server secrets is refused: instances must open each other's seals",
  async (t) => {
    const problems = problemsOf(file(t, { ...minimal(), store: { type: 'redis', url: 'redis://h' } }))
    matchAll(t, problems, [/secrets: is required unless the store is memory/])
  },
)

t.test('WebSocket is off, on with its defaults, or as written (H-29)', async (t) => {
  const completed = (websocket: unknown) =>
    load(file(t, { ...minimal(), upstreams: [{ ...upstream, websocket }] })).config.upstreams[0]?.websocket
  t.equal(completed(false), false)
  t.same(completed(true), { origins: [], idleMs: 120_000, maxMessageBytes: 1_048_576 })
  t.same(completed({ origins: ['https://a.example'], idleMs: 1000 }), {
    origins: ['https://a.example'],
    idleMs: 1000,
    maxMessageBytes: 1_048_576,
  })
  const wrong = { origins: ['https://a.example/', '*', 'null'], idle: 1 }
  const upstreams = [
    { ...upstream, websocket: wrong },
    { ...upstream, prefix: '/b', websocket: true, methods: ['POST'] },
    { ...upstream, prefix: '/c', websocket: 'on' },
  ]
  matchAll(t, problemsOf(file(t, { ...minimal(), upstreams })), [
    /upstreams\[0\]\.websocket\.origins\[0\]: must be an origin/,
    /upstreams\[0\]\.websocket\.origins\[1\]: must be an origin/,
    /upstreams\[0\]\.websocket\.origins\[2\]: must be an origin/,
    /upstreams\[0\]\.websocket\.idle: is not known here/,
    /upstreams\[1\]\.websocket: needs GET among the methods/,
    /upstreams\[2\]\.websocket: must be true or false or a map/,
  ])
})

t.test(
  'a file that two readers could understand differently is refused (J-01 for the messages)',
  async (t) => {
    const cases: [string | Buffer, string[]][] = [
      ['a: 1\na: 2', ['file:2:1 this key is given twice']],
      ['{"a": 1, "a": 2}', ['file:1:10 this key is given twice']],
      ['a: 1\n---\nb: 2', ['file:2:1 a second document begins here; there must be one']],
      ['a: !vault x', ['file:1:4 unknown tag']],
      ['? [a]\n: b', ['file:1:3 a key must be text']],
      [
        `clientSecret: "${secret}" ${secret}`,
        [`file:1:${18 + secret.length} not valid YAML: unexpected token`],
      ],
      ['- a', ['file:1:1 must be a map of keys and values']],
      [Buffer.from([0x61, 0x3a, 0x20, 0xff]), ['file: is not UTF-8 text']],
      [
        `a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: [*c,*c,*c,*c,*c,*c]`,
        ['file: too many aliases'],
      ],
    ]
    for (const [content, problems] of cases) t.same(problemsOf(file(t, content)), problems)
    t.same(problemsOf(join(t.testdir({}), 'none.yaml')), ['file: cannot be read: ENOENT'])
  },
)

t.test('JSON, a byte order mark and a few aliases are fine', async (t) => {
  t.equal(load(file(t, JSON.stringify(minimal(), null, '\t'))).config.listen.port, 3000)
  t.equal(load(file(t, `\ufeff${stringify(minimal())}`)).config.listen.port, 3000)
  const withAlias = `${stringify(minimal())}allowedHosts: &hosts [A.example]\ntrustProxy: []\n`
  t.same(load(file(t, withAlias)).config.allowedHosts, ['a.example'])
  t.same(problemsOf(file(t, '')).length, 3, 'an empty file lacks three keys')
})

t.test('__proto__ and constructor are keys like any other (CWE-1321)', async (t) => {
  const path = file(t, `${stringify(minimal())}__proto__: { polluted: true }\nconstructor: {}\n`)
  matchAll(t, problemsOf(path), [/__proto__: is not known here/, /constructor: is not known here/])
  t.notOk('polluted' in {})
})

t.test('upstream rules: prefixes (H-01, H-08)', async (t) => {
  const refused = [
    'api',
    '/api/',
    '//',
    '/a//b',
    '/../a',
    '/a/.',
    '/%61',
    '/a;b',
    '/a?b',
    '/:id',
    '/*',
    '/ü',
    '',
  ]
  for (const prefix of refused) {
    const problems = problemsOf(file(t, { ...minimal(), upstreams: [{ ...upstream, prefix }] }))
    matchAll(t, problems, [/upstreams\[0\]\.prefix: /], `prefix ${prefix}`)
  }
  for (const prefix of ['/oauth2', '/oauth2/x', '/.well-known', '/.well-known/acme']) {
    const problems = problemsOf(file(t, { ...minimal(), upstreams: [{ ...upstream, prefix }] }))
    matchAll(t, problems, [/is inside of .*, which is ours$/])
  }
  for (const prefix of ['/', '/oauth', '/oauth2x', '/v1.0/a_b~c']) {
    t.same(problemsOf(file(t, { ...minimal(), upstreams: [{ ...upstream, prefix }] })), [])
  }
  const twice = [upstream, { ...upstream, target: 'http://127.0.0.1:5001' }]
  matchAll(t, problemsOf(file(t, { ...minimal(), upstreams: twice })), [
    /upstreams\[1\]\.prefix: is the prefix of another upstream too$/,
  ])
})

t.test('upstream rules: the longest prefix comes first', async (t) => {
  const upstreams = ['/a', '/', '/a/b'].map((prefix) => ({ ...upstream, prefix }))
  const { config } = load(file(t, { ...minimal(), upstreams }))
  t.same(
    config.upstreams.map(({ prefix }) => prefix),
    ['/a/b', '/a', '/'],
  )
})

t.test('upstream rules: targets (H-08, H-10, H-11)', async (t) => {
  const refused = [
    'ftp://h/',
    'http://',
    '/api',
    'http://u:p@h/',
    'http://u@h/',
    'http://h/?a=b',
    'http://h/#f',
    'http://h/a/../b',
    'http://h/a//b',
    'http://h/a%2fb',
    'http://h/a/',
    'http://h\\x',
    'http://h:99999',
    'http://h/a b',
  ]
  for (const target of refused) {
    const problems = problemsOf(file(t, { ...minimal(), upstreams: [{ ...upstream, target }] }))
    matchAll(t, problems, [/upstreams\[0\]\.target: /], `target ${target}`)
  }
  for (const target of ['http://h', 'https://h:8443/base/v1', 'http://[::1]:5000', 'http://h/']) {
    const { config } = load(file(t, { ...minimal(), upstreams: [{ ...upstream, target }] }))
    t.equal(config.upstreams[0]?.target, target.replace(/\/$/, ''))
  }
})

t.test('upstream rules: several targets are one upstream on several servers (H-10)', async (t) => {
  const target = ['http://a:1/', 'http://b:1', 'https://a:1']
  const { config } = load(file(t, { ...minimal(), upstreams: [{ ...upstream, target }] }))
  t.same(config.upstreams[0]?.target, ['http://a:1', 'http://b:1', 'https://a:1'])
  const refused: [unknown, RegExp[]][] = [
    [[], [/target: must not be empty$/]],
    [3, [/target: must be text or a list$/]],
    [['http://a', 'http://u:p@h'], [/target\[1\]: must be an http or https URL/]],
    [
      ['http://a/v1', 'http://b/v2', 'http://c/v1'],
      [/target\[1\]: must have the same path as the first one$/],
    ],
    [['http://a', 'http://b', 'http://a:80'], [/target\[2\]: is there twice$/]],
  ]
  for (const [wrong, problems] of refused) {
    matchAll(
      t,
      problemsOf(file(t, { ...minimal(), upstreams: [{ ...upstream, target: wrong }] })),
      problems,
      JSON.stringify(wrong),
    )
  }
})

t.test('upstream rules: a public route has no session to speak of (H-03, H-32)', async (t) => {
  const open = { ...upstream, public: true }
  const { config } = load(file(t, { ...minimal(), upstreams: [open] }))
  t.match(config.upstreams[0], { methods: ['GET', 'HEAD'], credentials: 'none' })
  const refused = {
    scopes: ['orders.read'],
    credentials: 'provider-token',
    identityHeaders: { 'x-a': 'sub' },
  }
  for (const [key, value] of Object.entries(refused)) {
    matchAll(t, problemsOf(file(t, { ...minimal(), upstreams: [{ ...open, [key]: value }] })), [
      new RegExp(`upstreams\\[0\\]\\.${key}: needs a session, and public is true$`),
    ])
  }
})

t.test('upstream rules: identity headers and cookies (H-12, H-15, H-17, Appendix C)', async (t) => {
  const refused = [
    'x_user',
    'Host',
    'content-length',
    'Authorization',
    'cookie',
    'connection',
    'te',
    'a b',
    '',
  ].concat(['x-forwarded-for', 'transfer-encoding', 'proxy-authorization', '__proto__', 'x-request-id'])
  for (const name of refused) {
    const path = file(
      t,
      `${stringify(minimal())}upstreams:\n  - prefix: /api\n    target: http://h\n    identityHeaders: { "${name}": sub }\n`,
    )
    matchAll(t, problemsOf(path), [/upstreams\[0\]\.identityHeaders/], `header ${name}`)
  }
  const twice = { ...upstream, identityHeaders: { 'x-a': 'sub', 'X-A': 'sub' } }
  matchAll(t, problemsOf(file(t, { ...minimal(), upstreams: [twice] })), [/is there twice/])
  const { config } = load(
    file(t, { ...minimal(), upstreams: [{ ...upstream, identityHeaders: { 'X-Auth-Subject': 'sub' } }] }),
  )
  t.same(config.upstreams[0]?.identityHeaders, { 'x-auth-subject': 'sub' })

  const cookies = { request: ['a b', '__Host-pkce-x'], response: ['ok', 'pkce-y'] }
  matchAll(t, problemsOf(file(t, { ...minimal(), upstreams: [{ ...upstream, cookies }] })), [
    /cookies\.request\[0\]: must be a cookie name/,
    /cookies\.request\[1\]: is a cookie of ours/,
    /cookies\.response\[1\]: is a cookie of ours/,
  ])
})

t.test('what can be built but hardly be meant gives a warning', async (t) => {
  const odd = { ...upstream, scopes: ['orders.write'], identityHeaders: { 'x-mail': 'email' } }
  t.match(load(file(t, { ...minimal(), upstreams: [odd] })).config.warnings, [
    /no client may have the scope orders\.write/,
    /no client has the claim email/,
  ])
})

t.test('workers: a number, or one for each core; by the environment too', async (t) => {
  const shared = { ...minimal(), secrets: [sealing], store: { type: 'redis', url: 'redis://127.0.0.1:1' } }
  const workers = (value: unknown, environment: Environment = {}) =>
    load(file(t, { ...shared, workers: value }), environment).config.workers
  t.equal(workers(3), 3)
  t.equal(workers('auto'), availableParallelism())
  t.equal(workers(3, { PKCE_GATEWAY_WORKERS: '2' }), 2)
  t.equal(workers(3, { PKCE_GATEWAY_WORKERS: 'auto' }), availableParallelism())
  for (const value of [0, 257, 1.5, '2', 'many', true, [2]]) {
    matchAll(t, problemsOf(file(t, { ...shared, workers: value })), [
      /^file:\d+:\d+ workers: must be (at least 1|at most 256|a whole number or auto)$/,
    ])
  }
  t.same(problemsOf(file(t, shared), { PKCE_GATEWAY_WORKERS: 'many' }), [
    'PKCE_GATEWAY_WORKERS: must be a whole number or auto',
  ])
})

t.test(
  'several workers are refused with the memory store, which none of them could share (G-13)',
  async (t) => {
    for (const workers of [2, 'auto']) {
      t.same(problemsOf(file(t, `workers: ${workers}\n${stringify(minimal())}`)), [
        'file:1:1 workers: must be 1 with the memory store, which no other process can see; or set store.type to redis or postgres',
      ])
    }
  },
)

t.test('the listeners must differ (H-31)', async (t) => {
  const same = { listen: { host: '0.0.0.0', port: 9090 }, admin: { host: '127.0.0.1', port: 9090 } }
  matchAll(t, problemsOf(file(t, { ...minimal(), ...same })), [/admin\.port: must differ from listen's$/])
  const any = { listen: { port: 0 }, admin: { port: 0 } }
  t.same(problemsOf(file(t, { ...minimal(), ...any })), [])
})

t.test('every secret can be named by a file; one trailing line break is not part of it', async (t) => {
  const folder = t.testdir({
    a: `${secret}\n`,
    b: `${secret}\r\n`,
    c: `${secret}\n\n`,
    list: `${'a'.repeat(43)}\n${'b'.repeat(43)}\n`,
    'gateway.yaml': stringify({
      ...minimal(),
      provider: { issuer: 'http://127.0.0.1:4000', clientId: 'gateway', clientSecretFile: 'a' },
      clients: [{ ...minimal().clients[0], authentication: 'client_secret_basic', clientSecretFile: 'b' }],
      resourceServers: [{ clientId: 'rs', clientSecretFile: 'c' }],
      secretsFile: 'list',
    }),
  })
  for (const name of ['a', 'b', 'c', 'list']) chmodSync(join(folder, name), 0o640)
  const { config, effective } = load(join(folder, 'gateway.yaml'))
  const { provider, clients, resourceServers, secrets } = config.plugin
  t.equal(clients[0]?.clientSecret, secret)
  t.equal(resourceServers?.[0]?.clientSecret, `${secret}\n`)
  t.same(secrets, ['a'.repeat(43), 'b'.repeat(43)])
  t.same(config.warnings, [])
  t.notMatch(printConfig(effective), secret)

  const read = provider.clientSecret as () => Promise<string>
  t.equal(await read(), secret)
  writeFileSync(join(folder, 'a'), 'rotated\n')
  t.equal(await read(), 'rotated', "the provider's is read again at each use")
  writeFileSync(join(folder, 'a'), '\n')
  await t.rejects(read(), /is empty/)

  chmodSync(join(folder, 'b'), 0o644)
  writeFileSync(join(folder, 'a'), 'rotated\n')
  t.match(load(join(folder, 'gateway.yaml')).config.warnings, [
    /b holds a secret and can be read by every user/,
  ])
})

t.test(
  'another process makes the same configuration of its portable form, whatever becomes of files',
  async (t) => {
    const folder = t.testdir({
      a: secret,
      b: `${secret}b`,
      c: `${secret}c`,
      list: `${'a'.repeat(43)}\n${'b'.repeat(43)}\n`,
      url: 'redis://127.0.0.1:1',
      ...Object.fromEntries(
        Object.entries(selfSigned('gateway.example')).map(([name, pem]) => [`${name}.pem`, pem]),
      ),
      'gateway.yaml': stringify({
        ...minimal(),
        publicUrl: 'https://gateway.example',
        listen: { port: 0, tls: { certFile: 'cert.pem', keyFile: 'key.pem' } },
        workers: 3,
        provider: { issuer: 'http://127.0.0.1:4000', clientId: 'gateway', clientSecretFile: 'a' },
        clients: [{ ...minimal().clients[0], authentication: 'client_secret_basic', clientSecretFile: 'b' }],
        resourceServers: [{ clientId: 'rs', clientSecretFile: 'c' }],
        secretsFile: 'list',
        store: { type: 'redis', urlFile: 'url' },
        allowedHosts: ['API.example'],
        upstreams: [
          upstream,
          {
            ...upstream,
            prefix: '/api/long',
            websocket: true,
            identityHeaders: { 'X-Sub': 'sub' },
            methods: ['GET'],
          },
          {
            ...upstream,
            prefix: '/open',
            public: true,
            target: ['http://127.0.0.1:1/', 'http://127.0.0.1:2'],
          },
        ],
        rateLimit: false,
        limits: { transactions: 7 },
      }),
    })
    const { config, effective } = load(join(folder, 'gateway.yaml'))
    t.notMatch(printConfig(effective), secret)
    for (const name of ['b', 'c', 'list', 'url', 'gateway.yaml']) rmSync(join(folder, name))

    const again = gatewayConfig(JSON.parse(JSON.stringify(config.portable)))
    const comparable = ({ portable: _, warnings: __, store: ___, plugin, ...around }: typeof config) => {
      const { store, provider, ...options } = plugin
      return { ...around, ...options, provider: { ...provider, clientSecret: null }, store: store?.name }
    }
    t.same(comparable(again), { ...comparable(config), workers: 1 })
    writeFileSync(join(folder, 'a'), 'rotated')
    t.equal(await (again.plugin.provider.clientSecret as () => Promise<string>)(), 'rotated')
  },
)

t.test('a secret file relative to the working directory when the environment names it', async (t) => {
  const folder = t.testdir({ secret: 'from the environment', 'gateway.yaml': stringify(minimal()) })
  const path = file(t, { ...minimal(), provider: { issuer: 'http://127.0.0.1:4000', clientId: 'gateway' } })
  writeFileSync(join(folder, 'secret'), 'x')
  const variable = 'PKCE_GATEWAY_PROVIDER__CLIENT_SECRET_FILE'
  const { config } = load(path, { [variable]: join(folder, 'secret') })
  t.type(config.plugin.provider.clientSecret, 'function')
  matchAll(t, problemsOf(path, { [variable]: 'gateway.yaml.missing' }), [
    new RegExp(`^${variable}: ${process.cwd()}/gateway.yaml.missing cannot be read: ENOENT$`),
  ])
})

t.test('a secret given twice, unreadable, empty or weak is a problem at its own line', async (t) => {
  const folder = t.testdir({
    empty: '\n',
    weak: 'hunter2\n',
    'gateway.yaml': stringify({
      ...minimal(),
      provider: { ...minimal().provider, clientSecretFile: 'empty' },
      clients: [
        {
          clientId: 'a',
          redirectUris: ['com.x:/a'],
          authentication: 'client_secret_post',
          clientSecretFile: 'none',
        },
        {
          clientId: 'b',
          redirectUris: ['com.x:/b'],
          authentication: 'client_secret_post',
          clientSecretFile: 'empty',
        },
      ],
      resourceServers: [{ clientId: 'rs' }],
      secretsFile: 'weak',
    }),
  })
  const problems = problemsOf(join(folder, 'gateway.yaml')).map((line) => line.replaceAll(`${folder}/`, ''))
  matchAll(t, problems, [
    /^file:6:3 provider\.clientSecretFile: is given besides clientSecret: keep one of them$/,
    /clients\[0\]\.clientSecretFile: none cannot be read: ENOENT$/,
    /clients\[1\]\.clientSecretFile: empty is empty$/,
    /resourceServers\[0\]\.clientSecret: is required$/,
    /secretsFile\[0\]: must be at least 32 random bytes/,
  ])
})

t.test('no message and no print holds a secret (J-01)', async (t) => {
  const values = {
    ...minimal(),
    provider: { ...minimal().provider, clientSecret: [secret], privateKey: { k: secret } },
    clients: [{ ...minimal().clients[0], clientSecret: secret }],
    resourceServers: [{ clientId: 'rs', clientSecret: secret, [secret.slice(0, 3)]: 1 }],
    secrets: [secret],
    store: { type: 'redis', url: `http://:${secret}@h` },
  }
  const problems = problemsOf(file(t, values))
  t.ok(problems.length >= 3)
  t.notMatch(problems.join('\n'), secret)

  const usable = {
    ...minimal(),
    clients: [{ ...minimal().clients[0], authentication: 'client_secret_post', clientSecret: secret }],
    resourceServers: [{ clientId: 'rs', clientSecret: secret }],
    secrets: [Buffer.from(secret.repeat(2)).toString('base64url')],
  }
  const printed = printConfig(load(file(t, usable)).effective)
  t.notMatch(printed, secret)
  t.notMatch(printed, usable.secrets[0])
  t.match(parse(printed), {
    provider: { clientSecret: '***' },
    clients: [{ clientSecret: '***' }],
    resourceServers: [{ clientSecret: '***' }],
    secrets: ['***'],
  })
})

t.test('the print is the effective configuration and loads again', async (t) => {
  const { config, effective } = load(file(t, { ...minimal(), upstreams: [upstream] }), {
    PKCE_GATEWAY_LISTEN__PORT: '3001',
  })
  const again = load(file(t, printConfig(effective))).config
  t.same(again.upstreams, config.upstreams)
  t.same(again.listen, config.listen)
  t.same(again.plugin.clients, config.plugin.clients)
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

t.test(
  'the command line: unknown flags, missing values and arguments are wrong usage (design)',
  async (t) => {
    for (const args of [
      ['--confg', 'x'],
      ['--config'],
      ['gateway.yaml'],
      ['--config-test=yes'],
      ['-c', 'x'],
    ]) {
      t.throws(() => readFlags(args), UsageError, args.join(' '))
    }
    t.same(readFlags(['--config', 'a.yaml', '--port=1']), {
      config: 'a.yaml',
      migrate: false,
      sql: false,
      configTest: false,
      printConfig: false,
      version: false,
      help: false,
      settings: [{ path: ['listen', 'port'], value: 1, origin: '--port' }],
    })
  },
)
