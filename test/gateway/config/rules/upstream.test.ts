import t from 'tap'
import { stringify } from 'yaml'
import { file, load, matchAll, minimal, problemsOf, upstream } from '../../../support/gateway-config.ts'

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

t.test('the share of a session is a quarter of the connections, or as written (H-22)', async (t) => {
  const share = (own: object) =>
    load(file(t, { ...minimal(), upstreams: [{ ...upstream, ...own }] })).config.upstreams[0]
      ?.connectionsPerSession
  t.equal(share({}), 64)
  t.equal(share({ connections: 100 }), 25)
  t.equal(share({ connections: 7 }), 1, 'at most')
  t.equal(share({ connections: 1 }), 1)
  t.equal(share({ connections: 10, connectionsPerSession: 10 }), 10)
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
    [[], [/target: is required$/]],
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
    acr: ['urn:example:mfa'],
    maxAgeSeconds: 60,
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

t.test('upstream rules: targets that are sockets (unix:)', async (t) => {
  const refused = [
    'unix:',
    'unix:api.sock',
    'unix://host/api.sock/',
    'unix:/run/',
    'unix:/run/api.sock:v1',
    'unix:/run/api.sock:/v1/',
    'unix:/run/api.sock:/a/../b',
    'unix:/run/api.sock?a',
    `unix:/${'a'.repeat(107)}`,
  ]
  for (const target of refused) {
    const problems = problemsOf(file(t, { ...minimal(), upstreams: [{ ...upstream, target }] }))
    matchAll(t, problems, [/upstreams\[0\]\.target: /], `target ${target}`)
  }
  for (const target of [
    'unix:/run/api.sock',
    'unix:///run/api.sock',
    'unix:/run/api.sock:/v1',
    'unix:/a b.sock:/',
  ]) {
    t.same(problemsOf(file(t, { ...minimal(), upstreams: [{ ...upstream, target }] })), [], target)
  }
  const several = (...target: string[]) =>
    problemsOf(file(t, { ...minimal(), upstreams: [{ ...upstream, target }] }))
  t.same(several('unix:/a.sock', 'unix:/b.sock', 'http://h'), [])
  matchAll(t, several('unix:/a.sock', 'unix:///a.sock', 'http://h/v1'), [
    /target\[1\]: is there twice$/,
    /target\[2\]: must have the same path as the first one$/,
  ])
})

t.test('upstream rules: the Host that an upstream gets (H-13)', async (t) => {
  const completed = (host: string) =>
    load(file(t, { ...minimal(), upstreams: [{ ...upstream, host }] })).config.upstreams[0]?.host
  for (const host of ['upstream', 'public', 'orders.example', 'Orders:8080', '[::1]:80']) {
    t.equal(completed(host), host.toLowerCase())
  }
  for (const host of ['a/b', 'http://a', 'a@b', 'a b', 'a:', 'a:99999', '[:::]', 'a\r\nx: y', '']) {
    const problems = problemsOf(file(t, { ...minimal(), upstreams: [{ ...upstream, host }] }))
    matchAll(t, problems, [/upstreams\[0\]\.host: /], `host ${host}`)
  }
})

t.test(
  'an upstream has a target, unless a proxy that is trusted asks and forwards by itself (Q-10)',
  async (t) => {
    const upstreams = [{ prefix: '/api' }]
    const trustProxy = ['10.0.0.1']
    matchAll(t, problemsOf(file(t, { ...minimal(), upstreams })), [/upstreams\[0\]\.target: is required/])
    matchAll(t, problemsOf(file(t, { ...minimal(), upstreams, forwardAuth: true })), [
      /forwardAuth: needs trustProxy/,
    ])
    const { config } = load(file(t, { ...minimal(), upstreams, trustProxy, forwardAuth: true }))
    t.same(config.upstreams[0]?.target, [])
    const trusted = { ...minimal(), trustProxy, forwardAuth: true }
    const withFile = [{ prefix: '/api', caFile: 'ca.pem' }]
    t.match(problemsOf(file(t, { ...trusted, upstreams: withFile }))[0], /caFile: needs an https target/)
  },
)

t.test('audience is for identity-jwt alone, which needs a session (Q-11)', async (t) => {
  const upstreams = [
    { ...upstream, audience: 'orders' },
    { ...upstream, prefix: '/b', public: true, credentials: 'identity-jwt' },
    { ...upstream, prefix: '/c', credentials: 'identity-jwt', audience: 'orders' },
  ]
  matchAll(t, problemsOf(file(t, { ...minimal(), upstreams })), [
    /upstreams\[0\]\.audience: is for credentials: identity-jwt alone/,
    /upstreams\[1\]\.credentials: needs a session/,
  ])
})

t.test('step-up: what can be asked for, and a warning where nobody can ask (S-04)', async (t) => {
  const at = (own: object) => file(t, { ...minimal(), upstreams: [{ ...upstream, ...own }] })
  matchAll(t, problemsOf(at({ acr: ['urn:example:mfa', 'a b', 'a"b'] })), [
    /upstreams\[0\]\.acr\[1\]: must be visible ASCII without spaces, quotes and backslashes/,
    /upstreams\[0\]\.acr\[2\]: must be/,
  ])
  matchAll(t, problemsOf(at({ maxAgeSeconds: 0 })), [/upstreams\[0\]\.maxAgeSeconds/])

  const demands = { ...upstream, acr: ['mfa'], maxAgeSeconds: 60 }
  const warnings = (more: object) =>
    load(file(t, { ...minimal(), upstreams: [demands], ...more })).config.warnings
  matchAll(t, warnings({}), [
    /upstream \/api: acr is set, and no client has acr_values in its passThrough, so nobody can step up/,
    /upstream \/api: maxAgeSeconds is set, and no client has max_age in its passThrough/,
  ])
  const [client] = minimal().clients
  matchAll(t, warnings({ clients: [{ ...client, passThrough: ['acr_values', 'max_age'] }] }), [])
  const authorizationParams = { acr_values: 'mfa', max_age: '60' }
  matchAll(t, warnings({ provider: { ...minimal().provider, authorizationParams } }), [])
})
