/**
 * The threat: a client on a raw socket that plays by no rules. Whatever it sends, the answer is one of ours, with
 * `no-store` and without a 500, no connection is held for longer than a limit, and the API sees nothing that was
 * not asked for properly (requirements H-20, H-22, H-27, H-33, K-01).
 */
import { channel } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { startGatewayStack } from '../support/gateway-stack.ts'
import { NativeApp } from '../support/native-app.ts'
import { exchange, field, WireClient } from '../support/wire.ts'

const stack = await startGatewayStack(t as unknown as Test)
const token = (await new NativeApp(stack).login()).access_token
const HOST = `Host: 127.0.0.1:${stack.port}`
const BEARER = `Authorization: Bearer ${token}`
const FORM = 'Content-Type: application/x-www-form-urlencoded'

const head = (...lines: string[]) => `${lines.join('\r\n')}\r\n\r\n`

/** Resolves when the gateway has read the head of a request. */
function nextRequest(): Promise<void> {
  return new Promise((resolve) => {
    const started = channel('http.server.request.start')
    const onStart = () => {
      started.unsubscribe(onStart)
      setImmediate(resolve)
    }
    started.subscribe(onStart)
  })
}

/** Timers that are set from now on run when the test says so. */
function stopTheClock(t: Test): void {
  mock.timers.enable({ apis: ['setTimeout'] })
  t.teardown(() => mock.timers.reset())
}

for (const [name, framing] of [
  ['with a length', 'Content-Length: 100'],
  ['in chunks', 'Transfer-Encoding: chunked'],
] as const) {
  t.test(
    `a form ${name} that never comes -> 408 and close, not a connection held for ever (H-22)`,
    async (t) => {
      stopTheClock(t)
      const client = new WireClient(stack.port)
      t.teardown(() => client.socket.destroy())
      const started = nextRequest()
      client.send(head('POST /oauth2/token HTTP/1.1', HOST, FORM, framing))
      await started
      mock.timers.tick(10_000)
      const answer = await client.answer()
      t.equal(answer.status, 408)
      t.ok(answer.closed)
      t.equal(field(answer, 'cache-control'), 'no-store')
      t.same(JSON.parse(answer.body.toString()), {
        error: 'invalid_request',
        error_description: 'The body did not arrive in time.',
      })
    },
  )
}

t.test('what is refused before its body has come does not hold the connection either', async (t) => {
  stopTheClock(t)
  for (const [method, status] of [
    ['PUT /oauth2/token', 405],
    ['GET /oauth2/authorize', 400],
    ['GET /.well-known/openid-configuration', 200],
  ] as const) {
    const client = new WireClient(stack.port)
    const started = nextRequest()
    client.send(head(`${method} HTTP/1.1`, HOST, 'Content-Length: 100'))
    await started
    t.equal((await client.answer()).status, status)
    mock.timers.tick(10_000)
    await client.untilClose()
    t.pass(`${method}: closed`)
  }
})

/** An OAuth request with a body, and an API request with a session. */
const post = (path: string, body: string, ...lines: string[]) =>
  `${head(`POST ${path} HTTP/1.1`, HOST, 'Connection: close', `Content-Length: ${body.length}`, ...lines)}${body}`
const get = (target: string, ...lines: string[]) =>
  head(`GET ${target} HTTP/1.1`, HOST, 'Connection: close', ...lines)

const refusals: Record<string, readonly [status: number, bytes: string]> = {
  'an unknown method': [501, head('FOO /oauth2/token HTTP/1.1', HOST)],
  'the preface of HTTP/2': [400, 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n'],
  'a TLS handshake': [501, `\x16\x03\x01\x02\x00\x01${'x'.repeat(100)}`],
  'HTTP/0.9': [400, 'GET /api/orders\r\n\r\n'],
  'an expectation of something else': [417, get('/api/orders', BEARER, 'Expect: tea')],
  'the same at the token endpoint': [417, post('/oauth2/token', 'a=b', FORM, 'Expect: tea')],
  'a NUL in the target': [400, get('/api/orders\0', BEARER)],
  '101 fields': [431, get('/oauth2/authorize', ...Array<string>(101).fill('a: b'))],
  'a target of 9 KB at authorize': [414, get(`/oauth2/authorize?${'a'.repeat(9000)}`)],
  'JSON at the token endpoint': [400, post('/oauth2/token', '{}', 'Content-Type: application/json')],
  'two lists of codings': [
    400,
    head('POST /oauth2/token HTTP/1.1', HOST, FORM, 'Transfer-Encoding: gzip, chunked'),
  ],
  '17 KB of form, announced': [413, head('POST /oauth2/token HTTP/1.1', HOST, FORM, 'Content-Length: 17000')],
  '17 KB of form, in a chunk': [
    413,
    `${head('POST /oauth2/token HTTP/1.1', HOST, FORM, 'Transfer-Encoding: chunked')}4268\r\n${'a'.repeat(17_000)}`,
  ],
  'compressed forms': [415, post('/oauth2/token', 'a=b', FORM, 'Content-Encoding: gzip')],
  'parameters in the URL': [400, post('/oauth2/token?code=x', 'a=b', FORM)],
  'a client called __proto__': [
    401,
    post('/oauth2/token', 'grant_type=refresh_token&client_id=__proto__&refresh_token=x', FORM),
  ],
  'a client called constructor at authorize': [400, get('/oauth2/authorize?client_id=constructor')],
  'two Authorization fields at the token endpoint': [
    400,
    post(
      '/oauth2/token',
      'grant_type=refresh_token',
      FORM,
      'Authorization: Basic YTpi',
      'Authorization: Basic YTpi',
    ),
  ],
  'a token in the body of userinfo': [401, post('/oauth2/userinfo', `access_token=${token}`, FORM)],
  'a token in the query of userinfo': [400, get(`/oauth2/userinfo?%61ccess_token=${token}`)],
  'a query of nothing but separators': [400, get('/oauth2/authorize?&&&&=')],
  'a broken escape at the callback': [400, get('/oauth2/callback?state=%zz')],
  'bytes that are no UTF-8 at the callback': [400, get('/oauth2/callback?state=%ff')],
  'a preflight of a stranger': [
    405,
    head(
      'OPTIONS /api/orders HTTP/1.1',
      HOST,
      'Connection: close',
      'Origin: null',
      'Access-Control-Request-Method: PUT',
    ),
  ],
}
for (const [name, [status, bytes]] of Object.entries(refusals)) {
  t.test(`${name} -> ${status}`, async (t) => {
    const { requests } = stack.api
    const answer = await exchange(stack.port, bytes)
    t.equal(answer.status, status)
    t.equal(field(answer, 'cache-control'), 'no-store')
    t.equal(field(answer, 'access-control-allow-origin'), undefined)
    t.notMatch(answer.body.toString(), /node_modules|at \w+ \(|pka_/, 'no detail')
    t.equal(stack.api.requests, requests, 'UP=0')
  })
}

t.test('requests behind one another on a connection get their own answers, in order', async (t) => {
  const one = (...lines: string[]) => head('GET /api/orders HTTP/1.1', HOST, ...lines)
  const client = new WireClient(stack.port)
  client.send(`${one().repeat(50)}${one(BEARER)}${get('/oauth2/jwks')}`)
  const received = (await client.untilClose()).toString('latin1')
  const statuses = [...received.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => status)
  t.same(statuses, [...Array<string>(50).fill('401'), '200', '200'])
})

t.test(
  'a request behind an answer that closes the connection is not run (RFC 9112 §9.6, H-33)',
  async (t) => {
    const { requests } = stack.api
    const unread = head('POST /api/x HTTP/1.1', HOST, 'Content-Length: 2')
    const conflict = head('GET /api/x HTTP/1.1', HOST, BEARER, 'Connection: x-auth-subject')
    for (const first of [`${unread}ab`, conflict]) {
      const client = new WireClient(stack.port)
      client.send(`${first}${head('DELETE /api/orders/7 HTTP/1.1', HOST, BEARER)}`)
      const received = (await client.untilClose()).toString('latin1')
      t.equal([...received.matchAll(/HTTP\/1\.1 /g)].length, 1, 'one answer')
    }
    t.equal(stack.api.requests, requests, 'UP=0')
  },
)

t.test('a repeated Content-Type is refused at the token endpoint too (Appendix C)', async (t) => {
  const answer = await exchange(stack.port, post('/oauth2/token', 'grant_type=x', FORM, FORM))
  t.equal(answer.status, 400)
})

t.test('a denied forward is in the log, by its reason (J-04)', async (t) => {
  await exchange(stack.port, get('/api/orders'))
  t.match(stack.log(), /"event":"forward\.denied","reason":"token_absent"/)
})

t.test('a client that asks and never reads is not answered without end (K-04)', async (t) => {
  const client = new WireClient(stack.port)
  t.teardown(() => client.socket.destroy())
  client.socket.pause()
  const requests = get('/.well-known/openid-configuration').replace('Connection: close\r\n', '').repeat(1000)
  /** True once there is room again; false if there is none for a while. */
  const drained = () =>
    Promise.race([
      once(client.socket, 'drain').then(
        () => true,
        () => false,
      ),
      new Promise<false>((resolve) => setTimeout(resolve, 500, false)),
    ])
  // 40 MB of requests and 300 MB of answers, if the gateway took them all.
  for (let batch = 0; batch < 500; batch += 1) {
    if (!client.socket.write(requests) && !(await drained())) break
  }
  t.ok(client.socket.writableLength > 0 || client.socket.destroyed, 'the gateway has stopped reading')
})

t.test('after all of that the gateway is well, and has logged no error of its own', async (t) => {
  t.equal((await exchange(stack.port, get('/api/orders', BEARER))).status, 200)
  t.notMatch(stack.log(), /"level":(?:50|60)/)
})
