import { EventEmitter, once } from 'node:events'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { Upstream } from '../../../gateway/config/schemas/gateway.ts'
import { type AuditEvent, OAuthError, StoreError } from '../../../plugin/index.ts'
import type { Session } from '../../../plugin/session/session.ts'
import {
  ALLOWED_ORIGIN,
  choosesUpgrades,
  type ForwarderSetup,
  forwarder,
  HOST,
  head,
  session,
  upstream,
} from '../../support/forwarder.ts'
import {
  exchange,
  field,
  RawUpstream,
  type RecordedRequest,
  valuesOf,
  type WireAnswer,
  WireClient,
} from '../../support/wire.ts'

/** A recording upstream behind a gateway; `own`: settings of the route /api. */
async function setUp(t: Test, own: Partial<Upstream> = {}, setup: Partial<ForwarderSetup> = {}) {
  const api = new RawUpstream()
  const target = await api.listen()
  const upstreams = [
    upstream({ target, ...own }),
    upstream({
      prefix: '/status',
      target: `${target}/health`,
      public: true,
      methods: ['GET', 'HEAD'],
      credentials: 'none',
    }),
  ]
  const { app, port, logged } = await forwarder({ upstreams, ...setup })
  t.teardown(async () => {
    await api.close()
    await app.close()
  })
  return { api, port, logged, app }
}

function problem(answer: WireAnswer): { requestId?: string } {
  return JSON.parse(answer.body.toString()) as { requestId?: string }
}

t.test(
  'a request with a session is forwarded, with our fields and without its credential (H-13, H-15, H-16)',
  async (t) => {
    const { api, port } = await setUp(t, { identityHeaders: { 'x-auth-subject': 'sub' } })
    const fields = [
      'X-Forwarded-For: 6.6.6.6',
      'X-Auth-Subject: root',
      'X_Auth_Subject: root',
      'Cookie: a=1',
      'Accept: a/b',
    ]
    const answer = await exchange(port, head('GET /api/orders?page=2', ...fields))
    t.equal(answer.status, 200)
    t.equal(answer.body.toString(), 'ok')
    t.equal(api.requests[0]?.requestLine, 'GET /orders?page=2 HTTP/1.1')
    const requestId = field(answer, 'x-request-id')
    t.match(requestId, /^[0-9a-f]{32}$/)
    t.same(api.requests[0]?.headerLines.slice(2), [
      'Accept: a/b',
      'x-forwarded-for: 127.0.0.1',
      'x-forwarded-proto: https',
      `x-forwarded-host: ${HOST}`,
      `x-request-id: ${requestId}`,
      'x-forwarded-prefix: /api',
      'authorization: Bearer provider-token',
      'x-auth-subject: alice',
    ])
  },
)

t.test('Host of the upstream is its own authority (H-13)', async (t) => {
  const { api, port } = await setUp(t)
  await exchange(port, head('GET /api/a'))
  t.match(valuesOf(api.requests[0]!, 'host'), [/^127\.0\.0\.1:\d+$/])
})

t.test('a public route needs no session, and forwards no credential (H-32)', async (t) => {
  const { api, port } = await setUp(t)
  const answer = await exchange(
    port,
    `GET /status/deep?x=1 HTTP/1.1\r\nHost: ${HOST}\r\nAuthorization: Bearer bad\r\n\r\n`,
  )
  t.equal(answer.status, 200)
  t.equal(api.requests[0]?.requestLine, 'GET /health/deep?x=1 HTTP/1.1')
  t.same(valuesOf(api.requests[0]!, 'authorization'), [])
  t.equal(field(answer, 'cache-control'), undefined)
})

t.test(
  'a protected route is not opened by the path of a public one in its query (GHSA-7rh7-c77v-6434, H-32)',
  async (t) => {
    const { api, port } = await setUp(t)
    t.equal(
      (await exchange(port, `GET /api/private?x=/status HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)).status,
      401,
    )
    t.equal(api.requests.length, 0)
  },
)

t.test('the longest prefix of whole segments wins; what has no route is 404 (H-01)', async (t) => {
  const api = new RawUpstream()
  const target = await api.listen()
  const upstreams = [
    upstream({ prefix: '/api', target: `${target}/short` }),
    upstream({ prefix: '/api/orders', target: `${target}/long` }),
  ]
  const { app, port } = await forwarder({ upstreams })
  t.teardown(async () => {
    await api.close()
    await app.close()
  })
  await exchange(port, head('GET /api/orders/7'))
  await exchange(port, head('GET /api/ordersx'))
  await exchange(port, head('GET /api'))
  t.same(
    api.requests.map(({ requestLine }) => requestLine),
    ['GET /long/7 HTTP/1.1', 'GET /short/ordersx HTTP/1.1', 'GET /short HTTP/1.1'],
  )
  const answer = await exchange(port, head('GET /apix'))
  t.equal(answer.status, 404)
  t.match(problem(answer), { type: 'about:blank', title: 'Not Found', status: 404, code: 'route_unknown' })
  t.equal(field(answer, 'content-type'), 'application/problem+json')
  t.equal(field(answer, 'cache-control'), 'no-store')
  t.equal(problem(answer).requestId, field(answer, 'x-request-id'))
})

t.test('a root upstream does not hide the endpoints of the plugin', async (t) => {
  const { port, api } = await setUp(t, { prefix: '/' })
  t.equal((await exchange(port, head('GET /oauth2/endpoint'))).body.toString(), '{"endpoint":true}')
  await exchange(port, head('GET /'))
  await exchange(port, head('GET /other'))
  t.same(
    api.requests.map(({ requestLine }) => requestLine),
    ['GET / HTTP/1.1', 'GET /other HTTP/1.1'],
  )
})

t.test(
  'methods that a route lacks -> 405 and Allow, and never the upstream (RFC 9110 §15.5.6, H-18)',
  async (t) => {
    const { api, port } = await setUp(t, { methods: ['GET', 'HEAD'] })
    for (const method of ['POST', 'DELETE', 'OPTIONS', 'TRACE', 'PROPFIND', 'PURGE', 'M-SEARCH', 'SOURCE']) {
      await t.test(`${method} -> 405`, async (t) => {
        const answer = await exchange(port, head(`${method} /api/a`))
        t.equal(answer.status, 405)
        t.equal(field(answer, 'allow'), 'GET, HEAD')
        t.equal(api.requests.length, 0)
      })
    }
    t.equal((await exchange(port, head('BREW /api/a'))).status, 501)
  },
)

t.test('the session check refuses as RFC 6750 §3 says, and is audited (H-06, J-04)', async (t) => {
  const audited: AuditEvent[] = []
  const { api, port } = await setUp(t, { scopes: ['admin'] }, { onAudit: (event) => audited.push(event) })
  const none = await exchange(port, `GET /api/a HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)
  t.equal(none.status, 401)
  t.match(problem(none), { status: 401, code: 'token_absent' })
  t.match(field(none, 'www-authenticate'), /^Bearer realm="gateway"(?!.*error)/)
  t.equal(field(none, 'content-type'), 'application/problem+json')
  t.equal(field(none, 'cache-control'), 'no-store')
  const bad = await exchange(
    port,
    `GET /api/a HTTP/1.1\r\nHost: ${HOST}\r\nAuthorization: Bearer bad\r\n\r\n`,
  )
  t.match(problem(bad), { status: 401, code: 'invalid_token' })
  const scope = await exchange(port, head('GET /api/a'))
  t.match(problem(scope), { status: 403, code: 'insufficient_scope' })
  t.equal(api.requests.length, 0)
  t.same(
    audited.map(({ event, reason }) => [event, reason]),
    [
      ['forward.denied', 'token_absent'],
      ['forward.denied', 'token_unknown'],
      ['forward.denied', 'scope_insufficient'],
    ],
  )
  t.match(audited[0], { requestId: field(none, 'x-request-id'), address: '127.0.0.1' })
})

t.test(
  'a client that resets its connection during the look-up is audited with its address (J-04)',
  async (t) => {
    let onAudit: (event: AuditEvent) => void = () => {}
    const denied = new Promise<AuditEvent>((resolve) => {
      onAudit = resolve
    })
    let asked = () => {}
    let answer: (error: Error) => void = () => {}
    const lookedUp = new Promise<void>((resolve) => {
      asked = resolve
    })
    const lookUp = () => {
      asked()
      return new Promise<Session>((_, reject) => {
        answer = reject
      })
    }
    const { app, port } = await setUp(t, {}, { onAudit, resolve: lookUp })
    const connected = once(app.server, 'connection')
    const client = new WireClient(port).send(head('GET /api/a'))
    const [socket] = (await connected) as [Socket]
    await lookedUp
    const closed = new Promise((resolve) => socket.once('close', resolve))
    client.socket.resetAndDestroy()
    await closed
    answer(new OAuthError('token_unknown'))
    t.match(await denied, { event: 'forward.denied', address: '127.0.0.1' })
  },
)

t.test('a session that must be looked up is waited for (H-04)', async (t) => {
  const { api, port } = await setUp(t, {}, { authenticate: () => Promise.resolve(session()) })
  t.equal((await exchange(port, `${head('POST /api/a', 'Content-Length: 5')}hello`)).status, 200)
  t.equal(api.requests[0]?.body.toString(), 'hello')
})

t.test('a store that cannot answer -> 503 and Retry-After, and never the upstream (G-08)', async (t) => {
  const refused = new OAuthError('store_unavailable')
  const byOAuth = await setUp(t, {}, { authenticate: () => Promise.reject(refused) })
  const answer = await exchange(byOAuth.port, head('GET /api/a'))
  t.equal(answer.status, 503)
  t.equal(field(answer, 'retry-after'), '5')
  t.equal(byOAuth.api.requests.length, 0)
  const byStore = await setUp(
    t,
    {},
    { authenticate: () => Promise.reject(new StoreError('memory', 'read', 'is down')) },
  )
  const other = await exchange(byStore.port, head('GET /api/a'))
  t.equal(other.status, 503)
  t.equal(field(other, 'retry-after'), '5')
})

t.test('a fault of the session check -> 500 without detail (H-27)', async (t) => {
  const authenticate = () => {
    throw new Error('secret detail')
  }
  const { api, port } = await setUp(t, {}, { authenticate })
  const answer = await exchange(port, head('GET /api/a'))
  t.equal(answer.status, 500)
  t.notMatch(answer.body.toString(), 'secret')
  t.equal(api.requests.length, 0)
})

const refusedBytes: Readonly<Record<string, string>> = {
  'CL and TE': `POST /api/a HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'TE and CL': `POST /api/a HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n0\r\n\r\n`,
  'two CL': `POST /api/a HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nabcde`,
  'two equal CL': `POST /api/a HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nabcd`,
  'CL: +3': `POST /api/a HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: +3\r\n\r\nabc`,
  'CL: 3, 3': `POST /api/a HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 3, 3\r\n\r\nabc`,
  'TE: xchunked': `POST /api/a HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: xchunked\r\n\r\n0\r\n\r\n`,
  'TE: gzip, chunked': `POST /api/a HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n`,
  'TE: chunked, identity': `POST /api/a HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n`,
  'TE : chunked': `POST /api/a HTTP/1.1\r\nHost: ${HOST}\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n`,
  'TE with HTTP/1.0': `POST /api/a HTTP/1.0\r\nHost: ${HOST}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
  'obs-fold': `GET /api/a HTTP/1.1\r\nHost: ${HOST}\r\nX-A: 1\r\n 2\r\n\r\n`,
  'a bare LF': `GET /api/a HTTP/1.1\nHost: ${HOST}\n\n`,
  'a bare CR in a value': `GET /api/a HTTP/1.1\r\nHost: ${HOST}\r\nX-A: 1\r2\r\n\r\n`,
  'a NUL in a value': `GET /api/a HTTP/1.1\r\nHost: ${HOST}\r\nX-A: 1\x002\r\n\r\n`,
  'a NUL in the target': `GET /api/\x00a HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`,
  'two Hosts': `GET /api/a HTTP/1.1\r\nHost: ${HOST}\r\nHost: ${HOST}\r\n\r\n`,
  'no Host': 'GET /api/a HTTP/1.1\r\nAccept: a/b\r\n\r\n',
  'no Host with HTTP/1.0': 'GET /api/a HTTP/1.0\r\n\r\n',
  'a Host that is none': 'GET /api/a HTTP/1.1\r\nHost: a/b@c\r\n\r\n',
  'HTTP/0.9': 'GET /api/a\r\n\r\n',
  'HTTP/2.0': `GET /api/a HTTP/2.0\r\nHost: ${HOST}\r\n\r\n`,
  'an HTTP/2 preface': 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n',
  'two Content-Types': head('POST /api/a', 'Content-Type: a/b', 'Content-Type: a/c'),
  'a protected field in Connection': head('GET /api/a', 'Connection: close, x-auth-subject'),
  'a body with GET': `${head('GET /api/a', 'Content-Length: 5')}hello`,
  'a chunked body with GET': `${head('GET /api/a', 'Transfer-Encoding: chunked')}0\r\n\r\n`,
  'a body with HEAD': `${head('HEAD /api/a', 'Content-Length: 5')}hello`,
}

t.test(
  'a message of doubtful framing -> 400 and close, and never the upstream (RFC 9112 §6.1, §11.2, H-20, P-15)',
  async (t) => {
    const { api, port } = await setUp(t)
    for (const [form, bytes] of Object.entries(refusedBytes)) {
      await t.test(form, async (t) => {
        const client = new WireClient(port).send(bytes)
        const received = (await client.untilClose()).toString('latin1')
        t.match(received, /^HTTP\/1\.1 400 /)
        t.match(received.toLowerCase(), 'connection: close')
        t.match(received.toLowerCase(), 'cache-control: no-store')
        t.match(received.toLowerCase(), 'content-type: application/problem+json')
        t.equal(received.split(/HTTP\/1\.1 [0-9]{3}/).length, 2)
        t.equal(api.requests.length, 0)
      })
    }
  },
)

t.test('a header of more than 100 fields or 16 KiB -> 431 and close (K-01)', async (t) => {
  const { port } = await setUp(t)
  const many = await exchange(port, head('GET /api/a', ...Array.from({ length: 99 }, (_, i) => `X-${i}: 1`)))
  t.equal(many.status, 431)
  t.equal(many.closed, true)
  const large = await exchange(port, head('GET /api/a', `X-A: ${'a'.repeat(17_000)}`))
  t.equal(large.status, 431)
  t.match(problem(large), { code: 'head_too_large' })
})

t.test('a host that is not served -> 421 (RFC 9110 §15.5.20, H-13)', async (t) => {
  const { api, port } = await setUp(t, {}, { allowedHosts: ['internal.example:8080'] })
  t.equal((await exchange(port, 'GET /api/a HTTP/1.1\r\nHost: evil.example\r\n\r\n')).status, 421)
  t.equal((await exchange(port, 'GET /oauth2/endpoint HTTP/1.1\r\nHost: evil.example\r\n\r\n')).status, 421)
  t.equal((await exchange(port, 'GET /nowhere HTTP/1.1\r\nHost: evil.example\r\n\r\n')).status, 421)
  t.equal(
    (await exchange(port, 'GET /oauth2/endpoint HTTP/1.1\r\nHost: Internal.Example:8080\r\n\r\n')).status,
    200,
  )
  t.equal(api.requests.length, 0)
})

t.test('a header that drips in -> 408 and close (P-4, P-18, H-22)', async (t) => {
  const { port } = await setUp(t, {}, { headersMs: 200 })
  const received = await new WireClient(port).send('GET /api/a HTTP/1.1\r\nHost:').untilClose()
  t.match(received.toString(), /^HTTP\/1\.1 408 /)
})

t.test('WebSocket upgrades are refused, others ignored and removed (RFC 9110 §7.8, H-29)', async (t) => {
  const { api, port } = await setUp(t)
  const websocket = await exchange(port, head('GET /api/a', 'Connection: Upgrade', 'Upgrade: websocket'))
  t.equal(websocket.status, 501)
  t.equal(websocket.closed, true)
  t.equal(api.requests.length, 0)
  const fields = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk']
  const answer = await exchange(port, head('GET /api/a', ...fields))
  t.equal(answer.closed, true)
  if (!choosesUpgrades()) return void t.equal(answer.status, 501)
  t.equal(answer.status, 200)
  t.same(valuesOf(api.requests[0]!, 'upgrade'), [])
  t.same(valuesOf(api.requests[0]!, 'http2-settings'), [])
})

t.test(
  'a preflight is answered before the session check and without the upstream (Fetch §3.2.2, H-28)',
  async (t) => {
    const { api, port } = await setUp(t, { methods: ['GET', 'HEAD', 'PUT'] })
    const preflight = (origin: string) =>
      `OPTIONS /api/a HTTP/1.1\r\nHost: ${HOST}\r\nOrigin: ${origin}\r\nAccess-Control-Request-Method: PUT\r\nAccess-Control-Request-Headers: authorization, x-custom\r\n\r\n`
    const answer = await exchange(port, preflight(ALLOWED_ORIGIN))
    t.equal(answer.status, 204)
    t.equal(field(answer, 'access-control-allow-origin'), ALLOWED_ORIGIN)
    t.equal(field(answer, 'access-control-allow-methods'), 'GET, HEAD, PUT')
    t.equal(field(answer, 'access-control-allow-headers'), 'authorization, x-custom')
    t.equal(field(answer, 'vary'), 'Origin')
    for (const origin of ['null', 'https://evil.example', `${ALLOWED_ORIGIN}.evil.example`]) {
      const refused = await exchange(port, preflight(origin))
      t.equal(refused.status, 405)
      t.equal(field(refused, 'access-control-allow-origin'), undefined)
    }
    t.equal(api.requests.length, 0)
  },
)

t.test('an origin may read our answers and refusals only if it is registered (H-28)', async (t) => {
  const { port } = await setUp(t)
  const allowed = await exchange(port, head('GET /api/a', `Origin: ${ALLOWED_ORIGIN}`))
  t.equal(field(allowed, 'access-control-allow-origin'), ALLOWED_ORIGIN)
  t.equal(field(allowed, 'vary'), 'Authorization, Cookie, Origin')
  const refused = await exchange(port, head('GET /api/a', `Origin: ${ALLOWED_ORIGIN}`).replace('good', 'bad'))
  t.equal(refused.status, 401)
  t.equal(field(refused, 'access-control-allow-origin'), ALLOWED_ORIGIN)
  const other = await exchange(port, head('GET /api/a', 'Origin: null'))
  t.equal(other.status, 200)
  t.equal(field(other, 'access-control-allow-origin'), undefined)
})

t.test('fields that Connection names do not reach the upstream (H-14)', async (t) => {
  const { api, port } = await setUp(t)
  await exchange(port, head('GET /api/a', 'X-Hop: 1', 'Connection: keep-alive, X-Hop'))
  t.same(valuesOf(api.requests[0]!, 'x-hop'), [])
  t.same(valuesOf(api.requests[0]!, 'connection'), ['keep-alive'])
})

t.test('a body keeps its length, a chunked one is chunked anew (H-19)', async (t) => {
  const { api, port } = await setUp(t)
  await exchange(port, `${head('POST /api/a', 'Content-Length: 5')}hello`)
  t.same(valuesOf(api.requests[0]!, 'content-length'), ['5'])
  t.equal(api.requests[0]?.body.toString(), 'hello')
  const client = new WireClient(port).send(head('PUT /api/a', 'Transfer-Encoding: chunked'))
  client.send('3;ext=1\r\nhel\r\n')
  await new Promise(setImmediate)
  client.send('2\r\nlo\r\n0\r\nX-Trailer: 1\r\n\r\n')
  t.equal((await client.answer()).status, 200)
  client.socket.destroy()
  const forwarded = api.requests[1]!
  t.equal(valuesOf(forwarded, 'content-length').length + valuesOf(forwarded, 'transfer-encoding').length, 1)
  t.equal(forwarded.body.toString(), 'hello')
  await exchange(port, head('POST /api/a', 'Content-Length: 0'))
  t.same(valuesOf(api.requests[2]!, 'content-length'), ['0'])
})

t.test('a body in one piece with its header goes on as one that comes after it (H-19)', async (t) => {
  const { api, port } = await setUp(t)
  const body = 'b'.repeat(999)
  for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
    api.requests.length = 0
    const header = head(`${method} /api/a`, `Content-Length: ${body.length}`)
    // In one piece, in two, cut in the middle of the body, and in one piece with the request that follows.
    const pieces = [[header + body], [header, body], [header + body.slice(0, 9), body.slice(9)]]
    const client = new WireClient(port)
    for (const [first = '', second] of pieces) {
      client.send(first)
      if (second !== undefined) {
        await new Promise((resolve) => setTimeout(resolve, 20))
        client.send(second)
      }
      t.equal((await client.answer()).status, 200)
    }
    client.send(header + body + head('GET /api/last'))
    t.same([(await client.answer()).status, (await client.answer()).status], [200, 200])
    client.socket.destroy()

    const [one, ...others] = api.requests
    t.equal(one?.body.toString(), body)
    t.same(valuesOf(one!, 'content-length'), ['999'])
    const seen = ({ requestLine, headerLines, body }: RecordedRequest) => ({
      requestLine,
      fields: headerLines.filter((line) => !/^(?:x-request-id|traceparent):/i.test(line)).sort(),
      body: body.toString(),
    })
    for (const other of others.slice(0, 3)) t.same(seen(other), seen(one!), method)
    t.equal(others[3]?.requestLine, 'GET /last HTTP/1.1')
  }
})

t.test('Expect: 100-continue is answered here and not passed on (Appendix C)', async (t) => {
  const { api, port } = await setUp(t)
  const client = new WireClient(port).send(head('POST /api/a', 'Content-Length: 5', 'Expect: 100-continue'))
  t.equal((await client.answer()).status, 100)
  t.equal((await client.send('hello').answer()).status, 200)
  client.socket.destroy()
  t.same(valuesOf(api.requests[0]!, 'expect'), [])
})

t.test('a body beyond the limit -> 413 and close (H-19)', async (t) => {
  const { api, port } = await setUp(t)
  const announced = await exchange(port, head('POST /api/a', 'Content-Length: 1001') + 'a'.repeat(1001))
  t.equal(announced.status, 413)
  t.equal(announced.closed, true)
  t.equal(api.requests.length, 0)
  t.equal((await exchange(port, head('POST /api/a', 'Content-Length: 1000') + 'a'.repeat(1000))).status, 200)
})

t.test(
  'a chunked body that grows beyond the limit -> 413, and the upstream sees the connection close (H-19)',
  async (t) => {
    const { api, port } = await setUp(t)
    const arrived = once(api.events, 'head')
    const client = new WireClient(port).send(head('POST /api/a', 'Transfer-Encoding: chunked'))
    client.send(`1f4\r\n${'a'.repeat(500)}\r\n`)
    await arrived
    const gone = once(api.events, 'close')
    client.send(`1f5\r\n${'b'.repeat(501)}\r\n`)
    const answer = await client.answer()
    t.equal(answer.status, 413)
    t.match(problem(answer), { code: 'body_too_large' })
    await gone
    t.equal(api.requests.length, 1)
  },
)

t.test('a client that leaves while its session is looked up causes no upstream request (H-35)', async (t) => {
  const found: ((session: Session) => void)[] = []
  const lookups = new EventEmitter()
  const authenticate = () => {
    lookups.emit('begun')
    return new Promise<Session>((resolve) => found.push(resolve))
  }
  const { api, port, app } = await setUp(t, {}, { authenticate })
  const connected = once(app.server, 'connection')
  const begun = once(lookups, 'begun')
  const client = new WireClient(port).send(head('GET /api/a'))
  const [accepted] = (await connected) as [Socket]
  await begun
  client.socket.destroy()
  await once(accepted, 'close')
  found[0]?.(session())
  await new Promise(setImmediate)
  t.equal(api.requests.length, 0)
})

t.test(
  'X-Forwarded-For from a peer that is not trusted: one warning that names trustProxy (J-05)',
  async (t) => {
    const ask = async (trustProxy: string[]) => {
      const { app, port, logged } = await forwarder({ upstreams: [], trustProxy })
      t.teardown(() => app.close())
      for (let i = 0; i < 3; i++) await exchange(port, head('GET /nowhere', `X-Forwarded-For: 192.0.2.${i}`))
      return logged
    }
    const [warning, ...others] = await ask([])
    t.match(JSON.parse(warning!), { level: 40, address: '127.0.0.1', msg: /name it in trustProxy/ })
    t.same(others, [])
    t.same(await ask(['127.0.0.0/8']), [])
  },
)
