import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import t from 'tap'
import { HOST, head } from '../../../support/forwarder.ts'
import { until } from '../../../support/wait.ts'
import { ACCEPT, acceptHandshake, echo, handshake } from '../../../support/websocket.ts'
import { ORIGIN, setUp } from '../../../support/websocket-forwarder.ts'
import { exchange, field, type Responder, valuesOf, WireClient } from '../../../support/wire.ts'

t.test('the upstream sees the handshake as it was, and our fields (H-13, H-16, H-29)', async (t) => {
  const { port, api } = await setUp(t, (socket, request) =>
    acceptHandshake(
      socket,
      request,
      'Sec-WebSocket-Extensions: permessage-deflate',
      'Server: secret/1.0',
      'X-Name: café',
      'Set-Cookie: a=1',
    ),
  )
  const client = new WireClient(port).send(
    handshake(
      '/api/ws?room=1',
      'Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits',
      'Sec-WebSocket-Protocol: a, b',
      `Origin: ${ORIGIN}`,
      'Cookie: a=1',
      'X-Auth-Subject: root',
    ),
  )
  const answer = await client.answer()
  t.equal(answer.status, 101)
  t.equal(field(answer, 'sec-websocket-accept'), ACCEPT)
  t.equal(field(answer, 'sec-websocket-extensions'), 'permessage-deflate')
  t.equal(field(answer, 'x-name'), 'caf\xc3\xa9', 'every byte of it')
  t.equal(field(answer, 'upgrade'), 'websocket')
  t.equal(field(answer, 'connection'), 'Upgrade')
  for (const name of ['server', 'set-cookie', 'content-length', 'transfer-encoding']) {
    t.equal(field(answer, name), undefined, name)
  }
  const [seen] = api.requests
  t.equal(seen?.requestLine, 'GET /ws?room=1 HTTP/1.1')
  const expected = {
    upgrade: 'websocket',
    connection: 'upgrade',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-version': '13',
    'sec-websocket-extensions': 'permessage-deflate; client_max_window_bits',
    'sec-websocket-protocol': 'a, b',
    origin: ORIGIN,
    authorization: 'Bearer provider-token',
    'x-forwarded-host': HOST,
    'x-forwarded-proto': 'https',
  }
  for (const [name, value] of Object.entries(expected)) t.same(valuesOf(seen!, name), [value], name)
  for (const name of ['cookie', 'x-auth-subject']) t.same(valuesOf(seen!, name), [], name)
  client.socket.destroy()
})

const refusals: Readonly<Record<string, [bytes: string, status: number]>> = {
  'no session': [handshake('/api/ws').replace('Bearer good', 'Bearer bad'), 401],
  'an origin that is not listed, before the session is looked at': [
    handshake('/api/ws', 'Origin: https://evil.example').replace('Bearer good', 'Bearer bad'),
    403,
  ],
  'the origin null': [handshake('/api/ws', 'Origin: null'), 403],
  'a listed origin in another spelling': [handshake('/api/ws', `Origin: ${ORIGIN}:443`), 403],
  'an origin on a public route': [handshake('/public/ws', 'Origin: https://evil.example'), 403],
  'a route without WebSocket': [handshake('/plain/ws'), 501],
  'no route': [handshake('/other'), 404],
  'another host': [handshake('/api/ws').replace(HOST, 'evil.example'), 421],
  'a path in a second spelling': [handshake('/api/%2e%2e/ws'), 400],
  'an absolute-form target (CVE-2026-44578)': [handshake('http://evil.example/api/ws'), 400],
  'another method': [handshake('/api/ws').replace('GET', 'POST'), 400],
  'a method that the route lacks': [handshake('/public/ws').replace('GET', 'POST'), 405],
  'HTTP/1.0': [handshake('/api/ws').replace('HTTP/1.1', 'HTTP/1.0'), 400],
  'a key that is none': [handshake('/api/ws').replace('dGhlIHNhbXBsZSBub25jZQ==', 'c2hvcnQ='), 400],
  'two keys': [handshake('/api/ws', 'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='), 400],
  'a body': [handshake('/api/ws', 'Content-Length: 1'), 400],
  'a protected field in Connection': [handshake('/api/ws', 'Connection: sec-websocket-key'), 400],
  'no Connection: Upgrade': [handshake('/api/ws').replace('Connection: Upgrade\r\n', ''), 400],
  'another version': [handshake('/api/ws').replace('Version: 13', 'Version: 8'), 426],
  'bytes behind the handshake (RFC 6455 §4.1)': [`${handshake('/api/ws')}GET /admin HTTP/1.1\r\n\r\n`, 400],
}

t.test('a handshake is refused, the connection closes, and no upstream sees it (H-29, H-33)', async (t) => {
  const { port, api, allGone } = await setUp(t)
  for (const [form, [bytes, status]] of Object.entries(refusals)) {
    const answer = await exchange(port, bytes)
    t.equal(answer.status, status, form)
    t.equal(answer.closed || field(answer, 'connection') === 'upgrade, close', true, form)
    t.match(JSON.parse(answer.body.toString()), { status }, form)
    if (status === 426) t.equal(field(answer, 'sec-websocket-version'), '13')
  }
  t.equal(api.requests.length, 0)
  await allGone()
})

t.test('native apps send no Origin; a public route needs no session (H-29, H-32)', async (t) => {
  const { port, api } = await setUp(t)
  const bytes = handshake('/public/ws').replace('Authorization: Bearer good\r\n', '')
  const client = new WireClient(port).send(bytes)
  t.equal((await client.answer()).status, 101)
  t.same(valuesOf(api.requests[0]!, 'authorization'), [])
  client.socket.destroy()
})

t.test('any other upgrade is ignored, and its body passes (RFC 9110 §7.8, P-12)', async (t) => {
  const { port, api } = await setUp(t, (socket, { body }) =>
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`),
  )
  const fields = ['Connection: Upgrade, HTTP2-Settings', 'Upgrade: h2c', 'HTTP2-Settings: AAMAAABk']
  const answer = await exchange(port, `${head('POST /api/a', ...fields, 'Content-Length: 5')}hello`)
  t.equal(answer.status, 200)
  t.equal(answer.body.toString(), 'hello')
  t.same(valuesOf(api.requests[0]!, 'upgrade'), [])
  t.equal((await exchange(port, `CONNECT a:1 HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)).status, 405)
})

t.test('an upgrade behind a request that is being answered closes the connection', async (t) => {
  const { port, api } = await setUp(t, () => {})
  const client = new WireClient(port).send(head('GET /api/slow'))
  await once(api.events, 'head')
  await client.send(handshake('/api/ws')).untilClose()
  t.equal(api.requests.length, 1)
})

t.test("the upstream's own refusal is passed on as it is (H-29)", async (t) => {
  const body = 'x'.repeat(1_000_000)
  const { port } = await setUp(t, (socket) =>
    socket.write(`HTTP/1.1 403 Forbidden\r\nx-why: quota\r\ncontent-length: ${body.length}\r\n\r\n${body}`),
  )
  const answer = await exchange(port, handshake('/api/ws'))
  t.equal(answer.status, 403)
  t.equal(field(answer, 'x-why'), 'quota')
  t.equal(answer.body.length, body.length)
  t.equal(answer.closed, true)
  const ordinary = await setUp(t, (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'))
  t.equal((await exchange(ordinary.port, handshake('/api/ws'))).body.toString(), 'ok')
})

const falseHandshakes: Readonly<Record<string, (accept: string) => string>> = {
  'a wrong Sec-WebSocket-Accept': () =>
    'upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: AAAA',
  'no Sec-WebSocket-Accept': () => 'upgrade: websocket\r\nconnection: upgrade',
  'another protocol': (accept) => `upgrade: h2c\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}`,
  'a subprotocol that was not offered': (accept) =>
    `upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\nsec-websocket-protocol: c`,
  'an extension that was not offered': (accept) =>
    `upgrade: websocket\r\nconnection: upgrade\r\nsec-websocket-accept: ${accept}\r\nsec-websocket-extensions: x`,
}

t.test('a 101 that does not accept the handshake -> 502, and no tunnel (RFC 6455 §4.1, H-29)', async (t) => {
  for (const [form, fields] of Object.entries(falseHandshakes)) {
    await t.test(form, async (t) => {
      const { port, allGone } = await setUp(t, (socket) =>
        socket.write(`HTTP/1.1 101 Switching Protocols\r\n${fields(ACCEPT)}\r\n\r\n`),
      )
      const answer = await exchange(port, handshake('/api/ws', 'Sec-WebSocket-Protocol: a, b'))
      t.equal(answer.status, 502)
      t.equal(answer.closed, true)
      await allGone()
    })
  }
})

t.test('an upstream that fails the handshake -> 502 or 504 (H-27)', async (t) => {
  const timeouts = { connectMs: 1000, headersMs: 100, idleMs: 1000 }
  const faults: Record<string, [Responder, number]> = {
    'a reset': [(socket) => socket.resetAndDestroy(), 502],
    silence: [() => {}, 504],
    'a 101 without Upgrade': [
      (socket) => socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: x\r\n\r\n'),
      502,
    ],
  }
  for (const [form, [respond, status]] of Object.entries(faults)) {
    const { port, allGone } = await setUp(t, respond, { timeouts })
    t.equal((await exchange(port, handshake('/api/ws'))).status, status, form)
    await allGone()
  }
})

t.test('a client that leaves during the handshake leaves nothing behind (H-35)', async (t) => {
  for (const leave of ['end', 'destroy', 'resetAndDestroy'] as const) {
    const { port, api, clients } = await setUp(t, () => {})
    const arrived = once(api.events, 'head')
    const client = new WireClient(port).send(handshake('/api/ws'))
    await arrived
    const gone = once(api.events, 'close')
    client.socket[leave]()
    await gone
    await until(() => clients.size === 0)
    t.pass(leave)
  }
})

t.test('a library that knows nothing of WebSocket gets an answer too', async (t) => {
  const { port } = await setUp(t, echo)
  const headers = { host: HOST, authorization: 'Bearer bad', connection: 'upgrade', upgrade: 'websocket' }
  const request = httpRequest({ port, path: '/api/ws', headers }).end()
  const [answer] = (await once(request, 'response')) as [{ statusCode: number; resume(): void }]
  answer.resume()
  t.equal(answer.statusCode, 401)
})
