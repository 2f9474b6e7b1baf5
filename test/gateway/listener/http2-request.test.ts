/** Requests over HTTP/2: what reaches the upstream, and what is refused. */

import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import { HOST } from '../../support/forwarder.ts'
import { answerOf, DATA, END_STREAM, fieldOf, frameBytes, RST_STREAM } from '../../support/http2.ts'
import { bareServer, CANCEL, get, setUp } from '../../support/http2-forwarder.ts'
import { until } from '../../support/wait.ts'
import { valuesOf } from '../../support/wire.ts'

const PROTOCOL_ERROR = 1

t.test('a request is forwarded as one of HTTP/1.1 would be (RFC 9113 §8.2.3, §8.3.1)', async (t) => {
  const { api, client } = await setUp(t)
  const { ask } = await client()
  const answer = await ask({
    ':path': '/api/orders?page=2',
    cookie: ['a=1', 'b=2'],
    'x-own': '1',
    host: HOST.toUpperCase(),
    te: 'trailers',
    'x-forwarded-for': '6.6.6.6',
  })
  t.equal(answer.status, 200)
  t.equal(answer.body.toString(), 'ok')
  t.equal(answer.code, 0)
  const [seen] = api.requests
  t.equal(seen?.requestLine, 'GET /orders?page=2 HTTP/1.1')
  t.same(
    seen?.headerLines.slice(2).filter((line) => !line.startsWith('x-request-id')),
    [
      'x-own: 1',
      'x-forwarded-for: 127.0.0.1',
      'x-forwarded-proto: https',
      `x-forwarded-host: ${HOST}`,
      'x-forwarded-prefix: /api',
      'te: trailers',
      'authorization: Bearer provider-token',
    ],
  )
})

t.test('a path arrives byte for byte, and one that is not canonical not at all (H-08)', async (t) => {
  const { api, client } = await setUp(t, { paths: { encodedSlash: true, matrixParameters: true } })
  const { ask } = await client()
  const path = '/a[0]|^{}"`/50%25/@scope%2Fname;v=1'
  t.equal((await ask({ ':path': `/api${path}` })).status, 200)
  t.equal(api.requests[0]?.requestLine, `GET ${path} HTTP/1.1`)
  for (const refused of ['/api/..;/a', '/api/a%2F..%2Fb', '/api/%2e%2e/a', '/api\\a']) {
    t.equal((await ask({ ':path': refused })).status, 400, refused)
  }
  t.equal(api.requests.length, 1)
})

t.test('the crumbs of Cookie are one field again (RFC 9113 §8.2.3)', async (t) => {
  const { api, client } = await setUp(t, { cookies: { request: ['a', 'b'], response: [] } })
  const { ask } = await client()
  const crumbs = Array.from({ length: 101 }, (_, index) => `x${index}=1`)
  await ask({ ':path': '/api/a', cookie: ['a=1', ...crumbs, 'b=2'] })
  t.same(valuesOf(api.requests[0]!, 'cookie'), ['a=1; b=2'])
})

t.test('a body is framed by us, whether its length was announced or not (H-19)', async (t) => {
  const { api, client } = await setUp(t)
  const { ask } = await client()
  await ask({ ':path': '/api/a', ':method': 'POST', 'content-length': 5 }, (stream) => stream.end('hello'))
  await ask({ ':path': '/api/b', ':method': 'POST' }, (stream) => {
    stream.write('hel')
    api.events.once('head', () => stream.end('lo'))
  })
  await ask({ ':path': '/api/c', ':method': 'DELETE' })
  const framing = api.requests.map((one) => [
    one.requestLine.slice(0, -9),
    valuesOf(one, 'content-length').join(),
    valuesOf(one, 'transfer-encoding').join(),
    one.body.toString(),
  ])
  t.same(framing, [
    ['POST /a', '5', '', 'hello'],
    ['POST /b', '', 'chunked', 'hello'],
    ['DELETE /c', '', '', ''],
  ])
})

t.test('refusals are the same, and the connection lives on (H-06, H-27, H-34)', async (t) => {
  const { api, app, client } = await setUp(t)
  let connections = 0
  app.server.on('session', () => connections++)
  const { ask } = await client()
  const seen: unknown[] = []
  for (const fields of [
    { authorization: 'Bearer bad' },
    { ':path': '/nothing' },
    { ':path': '/api/../a' },
    { ':method': 'TRACE' },
    { ':authority': 'other.example' },
    { host: 'other.example' },
    { expect: 'x' },
    { ':method': 'HEAD', authorization: 'Bearer bad' },
    { ':path': '/oauth2/endpoint' },
  ]) {
    const answer = await ask({ ':path': '/api/a', ...fields })
    const code = answer.body.length > 0 ? JSON.parse(answer.body.toString()).code : undefined
    seen.push([answer.status, code, fieldOf(answer, 'connection'), answer.code])
  }
  t.same(seen, [
    [401, 'invalid_token', undefined, 0],
    [404, 'route_unknown', undefined, 0],
    [400, 'path_not_canonical', undefined, 0],
    [405, 'method_not_allowed', undefined, 0],
    [421, 'host_unknown', undefined, 0],
    [400, 'host_malformed', undefined, 0],
    [417, 'expectation_unknown', undefined, 0],
    [401, undefined, undefined, 0],
    [200, undefined, undefined, 0],
  ])
  t.equal(connections, 1)
  t.equal(api.requests.length, 0)
})

t.test('CONNECT is refused', async (t) => {
  const { client } = await setUp(t)
  const { session } = await client()
  const stream = session.request({ ':method': 'CONNECT', ':authority': HOST })
  stream.on('response', () => stream.end())
  const answer = await answerOf(stream)
  t.equal(answer.status, 405)
  t.equal(JSON.parse(answer.body.toString()).code, 'method_not_allowed')
})

t.test('a refusal while the upload goes on ends the stream alone (RFC 9113 §8.1, H-33)', async (t) => {
  const { app, client } = await setUp(t)
  const { ask, open } = await client()
  const statuses: unknown[] = []
  const endless = { ':path': '/api/a', ':method': 'POST' }
  const refused = [
    endless,
    { ...endless, 'content-length': 10_000_000 },
    { ...endless, authorization: 'Bearer bad' },
    { ...endless, ':path': '/nothing' },
  ]
  // Often enough for the window of the connection to be used up, if it were not given back.
  for (const fields of [...refused, ...refused, ...refused]) {
    const stream = open(fields, true)
    stream.write(Buffer.alloc(100_000))
    const answer = await answerOf(stream)
    statuses.push([answer.status, answer.body.length > 0, answer.code])
  }
  const once = [
    [413, true, 0],
    [413, true, 0],
    [401, true, 0],
    [404, true, 0],
  ]
  t.same(statuses, [...once, ...once, ...once])
  const after = await ask({ ':path': '/api/a', ':method': 'POST' }, (stream) => stream.end('x'.repeat(999)))
  t.equal(after.status, 200)
  t.equal(await new Promise((resolve) => app.server.getConnections((_, count) => resolve(count))), 1)
})

t.test('an answer before the end of the upload ends both, whole (RFC 9113 §8.1)', async (t) => {
  const { api, client } = await setUp(t, { bodyLimitBytes: 1e9 })
  const { ask, open } = await client()
  api.early = true
  api.respond = (socket) => socket.write('HTTP/1.1 403 X\r\ncontent-length: 4\r\n\r\nstop')
  for (const path of ['/api/a', '/api/b']) {
    const stream = open({ ':path': path, ':method': 'POST' }, true)
    stream.write(Buffer.alloc(500_000))
    const answer = await answerOf(stream)
    t.same([answer.status, answer.body.toString(), answer.code], [403, 'stop', 0])
  }
  api.respond = (socket) => socket.write('HTTP/1.1 204 X\r\n\r\n')
  const empty = open({ ':path': '/api/empty', ':method': 'POST' }, true)
  empty.write(Buffer.alloc(500_000))
  const nothing = await answerOf(empty)
  t.same([nothing.status, nothing.code], [204, 0])
  api.respond = (socket) => socket.end('HTTP/1.1 403 X\r\n\r\nstop')
  const stream = open({ ':path': '/api/c', ':method': 'POST' }, true)
  stream.write(Buffer.alloc(500_000))
  const answer = await answerOf(stream)
  t.same([answer.status, answer.body.toString(), answer.code], [403, 'stop', 0])
  t.equal((await ask({ ':path': '/nothing' })).status, 404)
})

t.test('what nghttp2 finds malformed reaches nobody (RFC 9113 §8.2.1, §8.2.2, §8.3.1)', async (t) => {
  const { api, frames } = await setUp(t)
  const wire = await frames()
  const without = (name: string) => get().filter(([one]) => one !== name)
  const malformed: [string, readonly (readonly [string, string])[]][] = [
    ['upper case', get(['X-Own', '1'])],
    ['connection', get(['connection', 'close'])],
    ['keep-alive', get(['keep-alive', '1'])],
    ['proxy-connection', get(['proxy-connection', 'close'])],
    ['transfer-encoding', get(['transfer-encoding', 'chunked'])],
    ['upgrade', get(['upgrade', 'websocket'])],
    ['te', get(['te', 'gzip'])],
    ['no authority', without(':authority')],
    ['no path', without(':path')],
    ['no scheme', without(':scheme')],
    ['two paths', [[':path', '/api/b'], ...get()]],
    ['two authorities', [[':authority', 'other'], ...get()]],
    ['late pseudo-header', [...get(), [':path', '/api/b']]],
    ['unknown pseudo-header', [[':own', '1'], ...get()]],
    ['two lengths', get(['content-length', '0'], ['content-length', '0'])],
    ['a length and no body', get(['content-length', '5'])],
    ['extended CONNECT', [[':protocol', 'websocket'], ...get()]],
  ]
  for (const [index, [what, fields]] of malformed.entries()) {
    wire.request(2 * index + 1, fields)
    t.equal(await wire.fate(2 * index + 1), `RST_STREAM ${PROTOCOL_ERROR}`, what)
  }
  t.equal(api.requests.length, 0)
  wire.request(101, get())
  t.equal(await wire.fate(101), 'HEADERS', 'the connection lives on')
})

t.test('a body that is not as long as announced never has an end (RFC 9113 §8.1.1)', async (t) => {
  const { api, frames } = await setUp(t)
  api.early = true
  api.respond = () => {}
  const post = get().map(([name, value]) => [name, name === ':method' ? 'POST' : value] as const)
  for (const bytes of ['abc', 'abcdefg']) {
    const wire = await frames()
    wire.request(1, [...post, ['content-length', '5']], 0)
    wire.socket.write(frameBytes(DATA, END_STREAM, 1, Buffer.from(bytes)))
    // Newer ones end the connection.
    t.match(await wire.fate(1), /^RST_STREAM 1$|^GOAWAY|^closed/)
  }
  const wire = await frames()
  wire.request(1, get())
  await until(() => api.requests.some(({ requestLine }) => requestLine.startsWith('GET')))
  t.ok(api.requests.every(({ body }) => body.length === 0))
})

t.test('a client that leaves ends the upstream request, and half a body is not whole (H-35)', async (t) => {
  const { api, frames } = await setUp(t)
  api.early = true
  api.respond = () => {}
  const leave = async (method: string, how: number | 'disconnect') => {
    const wire = await frames()
    const gone = once(api.events, 'close')
    const fields = get().map(([name, value]) => [name, name === ':method' ? method : value] as const)
    const hasBody = method === 'POST'
    wire.request(1, fields, hasBody ? 0 : END_STREAM)
    if (hasBody) wire.socket.write(frameBytes(DATA, 0, 1, Buffer.from('half')))
    await once(api.events, 'head')
    await new Promise((resolve) => setTimeout(resolve, 50))
    if (how === 'disconnect') wire.socket.destroy()
    else wire.socket.write(frameBytes(RST_STREAM, 0, 1, Buffer.from([0, 0, 0, how])))
    await gone
  }
  for (const method of ['GET', 'HEAD', 'POST']) {
    for (const how of [CANCEL, 0, 'disconnect'] as const) await leave(method, how)
  }
  t.equal(api.requests.length, 9)
  t.ok(api.requests.every(({ body }) => body.length === 0))
})

t.test('a body that was broken off has no end for who reads it (RFC 9113 §8.1)', async (t) => {
  const { server, frames } = await bareServer(t)
  const seen: string[] = []
  server.on('request', (request, response) => {
    for (const event of ['data', 'end', 'close']) request.on(event, () => seen.push(event))
    response.on('close', () => seen.push('response closed'))
  })
  const post = get().map(([name, value]) => [name, name === ':method' ? 'POST' : value] as const)
  for (const how of [CANCEL, 0, 'disconnect'] as const) {
    const wire = await frames()
    wire.request(1, post, 0)
    wire.socket.write(frameBytes(DATA, 0, 1, Buffer.from('half')))
    await until(() => seen.includes('data'))
    if (how === 'disconnect') wire.socket.destroy()
    else wire.socket.write(frameBytes(RST_STREAM, 0, 1, Buffer.from([0, 0, 0, how])))
    await until(() => seen.includes('response closed'))
    await new Promise((resolve) => setTimeout(resolve, 20))
    t.same(seen.splice(0), ['data', 'close', 'response closed'])
  }
})

t.test('an upload waits for an upstream that does not read (H-19)', async (t) => {
  const size = 20_000_000
  let arrived = 0
  const api = createServer((request, response) => {
    request.on('end', () => response.end())
    const read = (chunk: Buffer) => {
      arrived += chunk.length
    }
    setTimeout(() => request.on('data', read), 300)
  }).listen(0, '127.0.0.1')
  t.teardown(() => api.close())
  await once(api, 'listening')
  const target = `http://127.0.0.1:${(api.address() as AddressInfo).port}`
  const { client } = await setUp(t, { target, bodyLimitBytes: 1e9 })
  const { open } = await client()
  const upload = open({ ':path': '/api/a', ':method': 'POST' }, true)
  const answer = answerOf(upload)
  let sent = 0
  const piece = Buffer.alloc(100_000)
  const sending = (async () => {
    for (; sent < size; sent += piece.length) if (!upload.write(piece)) await once(upload, 'drain')
    upload.end()
  })()
  await new Promise((resolve) => setTimeout(resolve, 200))
  t.ok(sent < size / 2, `${sent} bytes taken while nobody read`)
  await sending
  t.equal((await answer).status, 200)
  t.equal(arrived, size)
})
