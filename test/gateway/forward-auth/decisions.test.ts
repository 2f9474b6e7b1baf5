/**
 * What the endpoint for proxies decides: the same as a forward of the same request, and only for a proxy that is
 * trusted. CVE-2026-40575: oauth2-proxy believed `X-Forwarded-Uri` of everybody, so that a client could name a path
 * that needs no session.
 */
import t, { type Test } from 'tap'
import { OAuthError } from '../../../plugin/index.ts'
import {
  ALLOWED_ORIGIN,
  type ForwarderSetup,
  forwarder,
  HOST,
  session,
  upstream,
} from '../../support/forwarder.ts'
import { PATHS, tricked } from '../../support/path-tricks.ts'
import { exchange as exchangeBytes, field, RawUpstream, type WireAnswer } from '../../support/wire.ts'

const GOOD = 'Authorization: Bearer good'

async function setUp(t: Test, own: Partial<ForwarderSetup> = {}) {
  const api = new RawUpstream()
  api.respond = (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n')
  const target = await api.listen()
  const { app, port, logged } = await forwarder({
    upstreams: tricked().map(({ credentials = 'provider-token', ...route }) =>
      upstream({
        ...{ ...route, target, credentials },
        identityHeaders: route.prefix === '/api' ? { 'x-user': 'sub', 'x-role': 'role' } : {},
      }),
    ),
    trustProxy: ['127.0.0.1'],
    forwardAuthPath: '/oauth2/verify',
    ...own,
  })
  t.teardown(async () => {
    await api.close()
    await app.close()
  })
  return { api, port, logged }
}

const exchange = (port: number, bytes: string) => exchangeBytes(port, bytes, bytes.startsWith('HEAD '))

/** A request head with nothing but these lines and its Host. */
function head(requestLine: string, ...lines: string[]): string {
  return `${[`${requestLine} HTTP/1.1`, `Host: ${HOST}`, ...lines].join('\r\n')}\r\n\r\n`
}

/** How each kind of proxy asks about a request. */
const KINDS: Record<string, (method: string, target: string, ...lines: string[]) => string> = {
  nginx: (method, target, ...lines) =>
    head('GET /oauth2/verify', `X-Original-Method: ${method}`, `X-Original-URI: ${target}`, ...lines),
  'ingress-nginx': (method, target, ...lines) =>
    head(
      'GET /oauth2/verify',
      `X-Original-Method: ${method}`,
      `X-Original-URL: https://${HOST}${target}`,
      ...lines,
    ),
  traefik: (method, target, ...lines) =>
    head(
      'GET /oauth2/verify',
      `X-Forwarded-Method: ${method}`,
      `X-Forwarded-Uri: ${target}`,
      `X-Forwarded-Host: ${HOST}`,
      ...lines,
    ),
  envoy: (method, target, ...lines) =>
    head(`${method} /oauth2/verify${target}`, 'Content-Length: 0', ...lines),
}

const ask = KINDS.nginx!

function code(answer: WireAnswer): string {
  return JSON.parse(answer.body.toString()).code
}

/** What a proxy is told where a forward is answered with `status`. */
function told(status: number): number {
  if (status === 200) return 204
  return status === 401 || status === 503 ? status : 403
}

for (const [kind, asks] of Object.entries(KINDS)) {
  t.test(`${kind}: every path is decided as a forward of it is (Q-10, H-08, H-09)`, async (t) => {
    const { port } = await setUp(t)
    const different: string[] = []
    for (const method of ['GET', 'HEAD', 'POST', 'DELETE', 'OPTIONS']) {
      for (const target of PATHS) {
        for (const credentials of [[GOOD], ['Authorization: Bearer bad'], []]) {
          const forward = await exchange(
            port,
            head(`${method} ${target}`, ...credentials, 'Content-Length: 0'),
          )
          // An endpoint of the plugin is never behind a proxy's question.
          const expected = /^\/(?:oauth2|\.well-known)\//.test(target) ? 403 : told(forward.status)
          const { status } = await exchange(port, asks(method, target, ...credentials))
          if (status !== expected)
            different.push(`${method} ${target} ${credentials}: ${status}, ${expected}`)
        }
      }
    }
    t.same(different, [])
    t.ok(PATHS.length > 40)
  })
}

t.test(
  '204 has the fields that a forward would send, and empties all others of ours (Q-10, H-15)',
  async (t) => {
    const { port, api } = await setUp(t)
    const answer = await exchange(port, ask('GET', '/api/orders', GOOD))
    t.equal(answer.status, 204)
    t.equal(field(answer, 'authorization'), 'Bearer provider-token')
    t.equal(field(answer, 'x-user'), 'alice')
    t.equal(field(answer, 'x-role'), '', 'a proxy that copies it replaces what the client has sent')
    t.equal(field(answer, 'cache-control'), 'no-store')
    t.match(field(answer, 'x-request-id'), /^[0-9a-f]{32}$/)
    const open = await exchange(port, ask('GET', '/open/status', GOOD))
    t.equal(open.status, 204)
    t.equal(field(open, 'authorization'), '', "a public route gets nobody's token")
    t.equal(field(open, 'x-user'), '')
    t.equal(api.requests.length, 0, 'nothing is forwarded')
  },
)

t.test(
  'a login that is too weak for the route is told what to ask for (RFC 9470 §3, S-04, Q-10)',
  async (t) => {
    const upstreams = [upstream({ target: 'http://127.0.0.1:1', acr: ['phr'], maxAgeSeconds: 60 })]
    const weak = await setUp(t, { upstreams })
    const refused = await exchange(weak.port, ask('GET', '/api/orders', GOOD))
    t.equal(refused.status, 401)
    t.match(
      field(refused, 'www-authenticate'),
      /error="insufficient_user_authentication".*, acr_values="phr", max_age="60"/,
    )
    const resolve = () => session({ acr: 'phr', authTime: Date.now() })
    const strong = await setUp(t, { upstreams, resolve })
    t.equal((await exchange(strong.port, ask('GET', '/api/orders', GOOD))).status, 204)
  },
)

t.test('401 and 403 have the challenge, and scripts of a client can read them (Q-10, H-06)', async (t) => {
  const { port } = await setUp(t)
  const none = await exchange(port, ask('GET', '/api/orders', `Origin: ${ALLOWED_ORIGIN}`))
  t.equal(none.status, 401)
  t.match(field(none, 'www-authenticate'), /^Bearer realm="gateway"(?!.*error)/)
  t.equal(field(none, 'access-control-allow-origin'), ALLOWED_ORIGIN)
  t.equal(field(none, 'cache-control'), 'no-store')
  const bad = await exchange(port, ask('GET', '/api/orders', 'Authorization: Bearer bad'))
  t.match(field(bad, 'www-authenticate'), /error="invalid_token"/)
  const scope = await exchange(port, ask('GET', '/api/admin', GOOD))
  t.equal(scope.status, 403)
  t.match(field(scope, 'www-authenticate'), /error="insufficient_scope".*scope="admin"/)
  const query = await exchange(port, ask('GET', '/api/orders?access_token=x'))
  t.equal(query.status, 403)
  t.match(field(query, 'www-authenticate'), /error="invalid_request"/)
})

t.test('503 where the store cannot answer, and where a look-up takes its time (Q-10, G-08)', async (t) => {
  const { port } = await setUp(t, {
    authenticate: async () => {
      throw new OAuthError('store_unavailable')
    },
  })
  const answer = await exchange(port, ask('GET', '/api/orders', GOOD))
  t.equal(answer.status, 503)
  const slow = await setUp(t, { resolve: async () => session() })
  t.equal((await exchange(slow.port, ask('GET', '/api/orders', GOOD))).status, 204)
})

t.test('nobody but a trusted proxy is answered, whatever it sends (Q-10, CVE-2026-40575)', async (t) => {
  for (const trustProxy of [['127.0.0.2'], ['10.0.0.0/8']]) {
    const { port, logged } = await setUp(t, { trustProxy, log: { level: 'info', requests: 'off' } })
    for (const asks of Object.values(KINDS)) {
      const answer = await exchange(port, asks('GET', '/open/status', GOOD, 'X-Forwarded-For: 127.0.0.2'))
      t.equal(answer.status, 403)
      t.equal(code(answer), 'proxy_untrusted')
      t.equal(field(answer, 'authorization'), undefined)
    }
    t.match(logged.join(''), /"code":"proxy_untrusted"/)
  }
})

t.test('spoofed X-Forwarded-Uri and X-Original-URI have no effect on a forward (Q-10)', async (t) => {
  const { port, api } = await setUp(t)
  const spoofed = ['X-Forwarded-Uri: /open/status', 'X-Original-URI: /open/status', 'X-Original-Method: GET']
  t.equal((await exchange(port, head('GET /api/orders', ...spoofed))).status, 401)
  t.equal((await exchange(port, head('GET /api/admin', GOOD, ...spoofed))).status, 403)
  t.equal(api.requests.length, 0)
})

const METHOD = 'X-Original-Method: GET'
const URI = 'X-Original-URI: /api/orders'
const doubtful: Record<string, [code: string, ...lines: string[]]> = {
  'no path': ['original_missing', METHOD],
  'no method, which is not GET by default': ['original_missing', URI],
  nothing: ['original_missing'],
  'two paths': ['original_ambiguous', METHOD, URI, 'X-Forwarded-Uri: /open/status'],
  'one path twice in one field': ['original_ambiguous', METHOD, URI, URI],
  'two methods': ['original_ambiguous', METHOD, URI, 'X-Forwarded-Method: DELETE'],
  'a URL with another path': ['original_ambiguous', METHOD, URI, `X-Original-URL: https://${HOST}/open`],
  'a URL without a path': ['original_ambiguous', METHOD, `X-Original-URL: https://${HOST}`],
  'a URL whose host swallows the path': [
    'original_ambiguous',
    METHOD,
    'X-Original-URL: https://evil?x/open/status',
  ],
  'a URL of another host': ['host_unknown', METHOD, 'X-Original-URL: https://other.example/open/status'],
  'another host': ['host_unknown', METHOD, URI, 'X-Forwarded-Host: other.example'],
  'a body': ['body_not_allowed', METHOD, URI, 'Content-Length: 2'],
  'two credentials': ['field_repeated', METHOD, URI, GOOD],
  'a protected field named by Connection': ['connection_protected', METHOD, URI, 'Connection: X-User'],
}
for (const [what, [reason, ...lines]] of Object.entries(doubtful)) {
  t.test(`${what} -> 403 ${reason} (Q-10)`, async (t) => {
    const { port } = await setUp(t)
    const answer = await exchange(
      port,
      head('GET /oauth2/verify', GOOD, ...lines) + (what === 'a body' ? 'ab' : ''),
    )
    t.equal(answer.status, 403)
    t.equal(code(answer), reason)
  })
}

t.test('names that agree are one (Q-10)', async (t) => {
  const { port } = await setUp(t)
  const lines = [URI, METHOD, 'X-Forwarded-Uri: /api/orders', 'X-Forwarded-Method: GET', GOOD]
  t.equal((await exchange(port, head('HEAD /oauth2/verify?page=2', ...lines))).status, 204)
  t.equal((await exchange(port, head('POST /oauth2/verify', ...lines))).status, 405)
  t.equal((await exchange(port, head('GET /oauth2/verify/open', ...lines))).status, 403)
  t.equal((await exchange(port, head('GET /oauth2/verifyx', ...lines))).status, 404)
})

t.test('a handshake needs a route with WebSocket and an origin of its list (Q-10, H-29)', async (t) => {
  const upgraded = { origins: [ALLOWED_ORIGIN], idleMs: 1000, maxMessageBytes: 1000 }
  const upstreams = [
    upstream({ prefix: '/ws', target: 'http://127.0.0.1:1', websocket: upgraded }),
    upstream({ prefix: '/api', target: 'http://127.0.0.1:1' }),
  ]
  const { port } = await setUp(t, { upstreams })
  const key = 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
  const whole = [key, 'Connection: Upgrade', 'Upgrade: websocket', 'Sec-WebSocket-Version: 13']
  for (const lines of [[key], whole]) {
    const at = (path: string, ...more: string[]) => exchange(port, ask('GET', path, GOOD, ...lines, ...more))
    t.equal((await at('/ws', `Origin: ${ALLOWED_ORIGIN}`)).status, 204)
    t.equal((await at('/ws')).status, 204, 'a native app has no origin')
    t.equal(code(await at('/ws', 'Origin: https://evil.example')), 'origin_not_allowed')
    t.equal(code(await at('/api/chat')), 'upgrade_unsupported')
  }
})

t.test('an upstream without a target is decided on, and never forwarded to (Q-10)', async (t) => {
  const { port } = await setUp(t, {
    upstreams: [
      upstream({ prefix: '/', target: 'http://127.0.0.1:1', public: true, credentials: 'none' }),
      upstream({ prefix: '/api', target: [], scopes: ['orders.read'] }),
    ],
  })
  t.equal((await exchange(port, ask('GET', '/api/orders', GOOD))).status, 204)
  t.equal((await exchange(port, ask('GET', '/api/orders'))).status, 401)
  t.equal((await exchange(port, head('GET /api/orders', GOOD))).status, 404)
  t.equal((await exchange(port, head('GET /api/orders'))).status, 404, 'nor does a shorter prefix get it')
})

t.test('without forwardAuth there is no such endpoint (Q-10)', async (t) => {
  const { port } = await setUp(t, { forwardAuthPath: undefined })
  t.equal((await exchange(port, ask('GET', '/api/orders', GOOD))).status, 404)
})
