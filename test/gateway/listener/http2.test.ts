/** HTTP/2 to clients (`listen.http2`), and what stays with HTTP/1.1 beside it. */
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { Agent as HttpsAgent, request } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { Agent, getGlobalDispatcher, setGlobalDispatcher } from 'undici'
import { gatewayConfig } from '../../../gateway/config/load.ts'
import type { Upstream } from '../../../gateway/config/schemas/gateway.ts'
import { watchCertificate } from '../../../gateway/listener/certificate.ts'
import { createHttp2Server } from '../../../gateway/listener/http2-server.ts'
import { ConfigError } from '../../../plugin/index.ts'
import { selfSigned } from '../../support/certificate.ts'
import { type ForwarderSetup, forwarder, HOST, head, upstream } from '../../support/forwarder.ts'
import { startGatewayStack } from '../../support/gateway-stack.ts'
import {
  answerOf,
  DATA,
  END_STREAM,
  FrameClient,
  fieldOf,
  frameBytes,
  HEADERS,
  http2Client,
  RST_STREAM,
} from '../../support/http2.ts'
import { NativeApp, send } from '../../support/native-app.ts'
import { until } from '../../support/wait.ts'
import { ACCEPT, acceptHandshake, frame, handshake, TEXT } from '../../support/websocket.ts'
import { RawUpstream, valuesOf } from '../../support/wire.ts'

const certificate = selfSigned(HOST)
const PROTOCOL_ERROR = 1
const INTERNAL_ERROR = 2
const CANCEL = 8
const ENHANCE_YOUR_CALM = 11

function files(t: Test, { cert, key } = certificate) {
  const folder = t.testdir({ 'tls.crt': cert, 'tls.key': key })
  return { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') }
}

/** A recording upstream behind a gateway that speaks HTTP/2; `own`: settings of the route /api. */
async function setUp(t: Test, own: Partial<Upstream> = {}, setup: Partial<ForwarderSetup> = {}) {
  const api = new RawUpstream()
  const target = await api.listen()
  const tls = files(t)
  const { app, port, logged } = await forwarder({
    upstreams: [upstream({ target, ...own })],
    tls,
    http2: { maxConcurrentStreams: 100 },
    ...setup,
  })
  const clients: { destroy(): void }[] = []
  t.teardown(async () => {
    for (const client of clients) client.destroy()
    await api.close()
    await app.close()
  })
  const client = async () => {
    const one = await http2Client(port, certificate.cert)
    clients.push(one.session)
    return one
  }
  const frames = async () => {
    const one = await FrameClient.connect(port, certificate.cert)
    clients.push(one.socket)
    return one
  }
  const socket = async (options: object = {}) => {
    const ca = certificate.cert
    const one = connectTls({ port, host: '127.0.0.1', servername: HOST, ca, ...options })
    clients.push(one)
    await once(one, 'secureConnect')
    return one
  }
  return { api, app, port, logged, tls, client, frames, socket }
}

const get = (...more: [string, string][]): [string, string][] => [
  [':method', 'GET'],
  [':scheme', 'https'],
  [':authority', HOST],
  [':path', '/api/a'],
  ['authorization', 'Bearer good'],
  ...more,
]

t.test('by default only HTTP/1.1 is offered (H-34)', async (t) => {
  const { socket } = await setUp(t, {}, { http2: undefined })
  t.equal((await socket({ ALPNProtocols: ['h2', 'http/1.1'] })).alpnProtocol, 'http/1.1')
  await t.rejects(socket({ ALPNProtocols: ['h2'] }))
})

t.test('the option needs TLS, and true stands for its defaults (H-34)', async (t) => {
  const input = (listen: object) => ({
    publicUrl: 'https://gateway.example',
    listen,
    provider: {
      issuer: 'https://login.example',
      clientId: 'a',
      clientSecret: 'b'.repeat(32),
      scope: 'api',
    },
    clients: [{ clientId: 'app', redirectUris: ['https://app.example/callback'], scopes: [] }],
    secrets: [Buffer.alloc(32, 1).toString('base64url')],
  })
  const problems = (listen: object) => {
    try {
      gatewayConfig(input(listen))
      return []
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      return error.problems.map(({ path, problem }) => `${path.join('.')}: ${problem}`)
    }
  }
  const tls = files(t)
  t.match(problems({ http2: true }), [/^listen\.http2: needs listen\.tls/])
  t.match(problems({ http2: {} }), [/^listen\.http2: needs listen\.tls/])
  t.match(problems({ tls, http2: { maxConcurrentStreams: 0 } }), [/^listen\.http2/])
  t.match(problems({ maxConnections: 0 }), [/^listen\.maxConnections/])
  t.equal(gatewayConfig(input({ tls })).listen.http2, false)
  t.same(gatewayConfig(input({ tls, http2: true })).listen.http2, { maxConcurrentStreams: 100 })
  t.same(gatewayConfig(input({ tls, http2: {} })).listen.http2, { maxConcurrentStreams: 100 })
})

t.test('clients that do not ask for it get HTTP/1.1 as ever, and WebSocket with it', async (t) => {
  const websocket = { origins: [], idleMs: 5000, maxMessageBytes: 1000 }
  const { api, socket } = await setUp(t, { websocket }, { headersMs: 300 })
  const plain = await socket()
  plain.write(head('GET /api/a'))
  const [chunk] = await once(plain, 'data')
  t.match(String(chunk), /^HTTP\/1\.1 200 OK\r\n/)

  api.respond = (upstreamSocket, seen) => {
    acceptHandshake(upstreamSocket, seen)
    upstreamSocket.write(frame(TEXT, 'over TLS'))
  }
  const open = await socket({ ALPNProtocols: ['http/1.1'] })
  let received = ''
  open.on('data', (bytes) => {
    received += bytes.toString('latin1')
  })
  open.write(handshake('/api/ws'))
  await until(() => received.includes('over TLS'))
  t.match(received, ACCEPT)

  const slow = await socket()
  slow.write('GET /api/a HTTP/1.1\r\nHost: ')
  const [refused] = await once(slow, 'data')
  t.match(String(refused), /^HTTP\/1\.1 408 /, 'with the timeouts of the configuration (H-22)')

  const large = await socket()
  large.write(head('GET /api/a', `X-Large: ${'x'.repeat(20_000)}`))
  const [tooLarge] = await once(large, 'data')
  t.match(String(tooLarge), /^HTTP\/1\.1 431 /, 'and its limits')
})

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
      'te: trailers',
      'authorization: Bearer provider-token',
    ],
  )
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

t.test(
  'an answer passes whole: repeated fields, hints, trailers, and nothing of its connection',
  async (t) => {
    const { api, client } = await setUp(t, { cookies: { request: [], response: ['a', 'b'] } })
    const { ask } = await client()
    const lines = [
      'set-cookie: a=1',
      'Set-Cookie: b=2',
      'x-own: 1',
      'X-Own: 2',
      'x-content-type-options: nosniff',
      'x-content-type-options: nosniff',
      'x-latin: \xe9',
      'http2-settings: AA',
      'connection: x-hop',
      'x-hop: 1',
      'transfer-encoding: chunked',
    ]
    api.respond = (socket) => {
      socket.write('HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n')
      socket.write('HTTP/1.1 102 Processing\r\n\r\n')
      socket.write(`HTTP/1.1 200 OK\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1')
      socket.write('3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n')
    }
    const answer = await ask({ ':path': '/api/a', te: 'trailers' })
    t.equal(answer.status, 200)
    t.same(answer.interim, ['103 </a.css>; rel=preload', '102 '])
    t.equal(answer.body.toString(), 'abc')
    t.match(answer.trailers, { 'x-sum': '1' })
    const ours = ['date', 'x-request-id', 'cache-control', 'vary']
    t.same(
      answer.fields.filter(([name]) => !ours.includes(name)),
      [
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
        ['x-own', '1, 2'],
        ['x-content-type-options', 'nosniff, nosniff'],
        ['x-latin', '\xe9'],
      ],
    )
  },
)

t.test('answers that end with their head', async (t) => {
  const { api, client } = await setUp(t)
  const { ask } = await client()
  const seen: unknown[] = []
  for (const [method, status, length, content] of [
    ['HEAD', 200, 5, ''],
    ['GET', 204, undefined, ''],
    ['GET', 304, 5, ''],
    ['GET', 205, 5, 'reset'],
    ['GET', 200, 0, ''],
  ] as const) {
    const announced = length === undefined ? '' : `content-length: ${length}\r\n`
    api.respond = (socket) => socket.write(`HTTP/1.1 ${status} X\r\n${announced}\r\n${content}`)
    const answer = await ask({ ':method': method, ':path': '/api/a' })
    const announcedHere = fieldOf(answer, 'content-length')
    seen.push([method, answer.status, announcedHere, answer.body.length, answer.code])
  }
  t.same(seen, [
    ['HEAD', 200, '5', 0, 0],
    ['GET', 204, undefined, 0, 0],
    ['GET', 304, '5', 0, 0],
    ['GET', 205, undefined, 0, 0],
    ['GET', 200, '0', 0, 0],
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

t.test('a header beyond the limits is refused (H-20, RFC 9113 §10.5.1)', async (t) => {
  const { api, client, frames } = await setUp(t)
  const { ask } = await client()
  const wire = await frames()
  const fields = (count: number, value: string) =>
    Array.from({ length: count }, (_, n): [string, string] => [`x-${n}`, value])
  wire.request(1, get(...fields(95, 'x'.repeat(140))))
  t.equal(await wire.fate(1), `RST_STREAM ${ENHANCE_YOUR_CALM}`)
  wire.request(3, get(...fields(200, '1')))
  t.equal(await wire.fate(3), `RST_STREAM ${ENHANCE_YOUR_CALM}`)
  t.equal((await ask({ ':path': '/api/a', ...Object.fromEntries(fields(101, '1')) })).status, 431)
  t.equal(api.requests.length, 0)
})

t.test('who opens more streams than it may loses its connection (RFC 9113 §5.1.2)', async (t) => {
  const { api, frames } = await setUp(t, {}, { http2: { maxConcurrentStreams: 3 } })
  const wire = await frames()
  api.respond = () => {}
  for (const stream of [1, 3, 5]) wire.request(stream, get())
  await until(() => api.requests.length === 3)
  wire.request(7, get())
  await until(() => wire.closed)
  t.equal(api.requests.length, 3)
})

t.test('a flood of resets is cut off (CVE-2023-44487, RFC 9113 §10.5)', async (t) => {
  const { app, frames } = await setUp(t, {}, { keepAliveMs: 500 })
  const wire = await frames()
  let taken = 0
  app.server.on('request', () => taken++)
  const cancel = Buffer.from([0, 0, 0, CANCEL])
  for (let stream = 1; stream < 6000; stream += 2) {
    wire.request(stream, get())
    wire.socket.write(frameBytes(RST_STREAM, 0, stream, cancel))
    if (stream % 100 === 1) await new Promise((resolve) => setImmediate(resolve))
  }
  await until(() => wire.closed)
  t.ok(taken < 1500, `${taken} of 3000 were taken`)
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

/** The server alone: nobody walks. */
async function bareServer(t: Test) {
  const { cert, key } = certificate
  const times = { headersTimeout: 1000, requestTimeout: 0, keepAliveTimeout: 1000 }
  const http1 = {
    ...times,
    connectionsCheckingInterval: 1000,
    maxHeaderSize: 16_384,
    requireHostHeader: false,
  }
  const server = createHttp2Server({ cert, key, ...http1 }, { maxConcurrentStreams: 10 })
  const sockets = new Set<TLSSocket>()
  t.teardown(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const frames = async () => {
    const wire = await FrameClient.connect((server.address() as AddressInfo).port, cert)
    sockets.add(wire.socket)
    return wire
  }
  return { server, frames }
}

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

t.test('what no field may hold is an error, as with HTTP/1.1 (RFC 9113 §8.2.1)', async (t) => {
  const { server, frames } = await bareServer(t)
  const wire = await frames()
  const answering = once(server, 'request')
  wire.request(1, get())
  const [, response] = (await answering) as [IncomingMessage, ServerResponse]
  for (const fields of [
    ['x-own', 'a\0b'],
    ['x-own', 'a\r\nb: c'],
    ['x own', 'a'],
    [':status', '201'],
  ]) {
    t.throws(() => response.writeHead(200, fields), TypeError)
  }
  response.writeHead(200, ['x-own', 'a']).end()
  t.equal(await wire.fate(1), 'HEADERS')
})

t.test('an answer without a body ends its stream, whatever is written to it', async (t) => {
  const { server, frames } = await bareServer(t)
  const wire = await frames()
  server.on('request', (_, response) => response.writeHead(200).end('not for HEAD'))
  wire.request(1, [[':method', 'HEAD'], ...get().slice(1)], 0)
  await until(() => wire.frames.some(({ type }) => type === RST_STREAM))
  const [answer, reset, ...more] = wire.frames.filter(({ stream }) => stream === 1)
  t.same([answer?.type, (answer?.flags ?? 0) & END_STREAM], [HEADERS, END_STREAM])
  t.same([reset?.type, reset?.payload.readUInt32BE(0)], [RST_STREAM, 0], 'the upload is not wanted')
  t.same(more, [])
})

t.test('who changes its mind now and then is no attacker', async (t) => {
  const { api, client } = await setUp(t)
  const { ask, open } = await client()
  api.respond = (socket, { requestLine }) => {
    if (requestLine.includes('/ok')) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
  }
  for (let round = 0; round < 10; round++) {
    const streams = Array.from({ length: 20 }, () => open({ ':path': '/api/slow' }))
    for (const stream of streams) stream.close(CANCEL)
    await Promise.all(streams.map((stream) => once(stream, 'close')))
  }
  t.equal((await ask({ ':path': '/api/ok' })).status, 200)
})

t.test('an answer that breaks off does not look whole', async (t) => {
  const { api, client } = await setUp(t)
  const { ask } = await client()
  const begin = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n'
  api.respond = (socket) => {
    socket.write(begin)
    setTimeout(() => socket.destroy(), 100)
  }
  const answer = await ask({ ':path': '/api/a' })
  t.same([answer.status, answer.body.toString(), answer.code], [200, 'abc', INTERNAL_ERROR])
  api.respond = (socket) => socket.write('HTTP/1.1 999 X\r\nx-own: 1\r\ncontent-length: 0\r\n\r\n')
  const odd = await ask({ ':path': '/api/a' })
  t.same([odd.status, fieldOf(odd, 'x-own')], [502, undefined])
})

t.test('large bodies pass at the pace of who reads them (H-19)', async (t) => {
  const size = 40_000_000
  const { api, client } = await setUp(t, { bodyLimitBytes: 1e9 })
  const { open } = await client()
  api.early = true
  api.respond = async (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`)
    const piece = Buffer.alloc(100_000, 'x')
    for (let sent = 0; sent < size; sent += piece.length) {
      if (!socket.write(piece)) await once(socket, 'drain')
    }
  }
  const download = open({ ':path': '/api/a' })
  download.pause()
  await once(download, 'response')
  await new Promise((resolve) => setTimeout(resolve, 300))
  const [upstreamSocket] = api.sockets
  t.ok((upstreamSocket?.bytesWritten ?? size) < size / 2, 'nothing is read ahead of the client')
  let received = 0
  download.on('data', (chunk: Buffer) => {
    received += chunk.length
  })
  download.resume()
  await once(download, 'end')
  t.equal(received, size)
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

t.test('an event stream ends whole when its session ends (H-30)', async (t) => {
  let end: () => void = () => {}
  const { api, client } = await setUp(
    t,
    {},
    {
      onSessionEnd: (_session, listener) => {
        end = listener as () => void
        return () => {}
      },
    },
  )
  const { ask, open } = await client()
  api.respond = (socket) =>
    socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n')
  const stream = open({ ':path': '/api/events' })
  const answer = answerOf(stream)
  await once(stream, 'data')
  const gone = once(api.events, 'close')
  end()
  const { status, body, code } = await answer
  t.same([status, body.toString(), code], [200, 'data: 1\n\n', 0])
  await gone
  t.equal((await ask({ ':path': '/nothing' })).status, 404)
})

t.test('when the gateway stops, what is in flight finishes and event streams end (K-07)', async (t) => {
  const { api, app, client } = await setUp(t)
  const busy = await client()
  const idle = await client()
  let finish: () => void = () => {}
  api.respond = (socket, { requestLine }) => {
    if (requestLine.includes('events')) {
      socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n')
    } else finish = () => socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
  }
  const events = busy.open({ ':path': '/api/events' })
  const ended = answerOf(events)
  const slow = busy.ask({ ':path': '/api/slow' })
  await once(events, 'data')
  await until(() => api.requests.length === 2)
  const closed = app.close()
  t.equal((await ended).code, 0)
  await until(() => busy.goaway() === 0 && idle.goaway() === 0)
  await until(() => idle.session.destroyed)
  t.notOk(busy.session.destroyed)
  finish()
  t.same([(await slow).status, (await slow).code], [200, 0])
  await closed
})

t.test('a connection on which nothing happens is ended, an open stream keeps it (H-22)', async (t) => {
  const { api, client, frames } = await setUp(t, {}, { headersMs: 200, keepAliveMs: 200 })
  const silent = await frames()
  const used = await client()
  const streaming = await client()
  api.respond = (socket, { requestLine }) =>
    requestLine.includes('events')
      ? socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n')
      : socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
  const events = streaming.open({ ':path': '/api/events' })
  await once(events, 'data')
  t.equal((await used.ask({ ':path': '/api/a' })).status, 200)
  await until(() => silent.closed && used.session.destroyed)
  await new Promise((resolve) => setTimeout(resolve, 300))
  t.notOk(streaming.session.destroyed)
  events.close(CANCEL)
  await until(() => streaming.session.destroyed)
})

t.test('a new certificate serves new connections of HTTP/2 too', async (t) => {
  const { app, client, tls, socket } = await setUp(t)
  const { ask } = await client()
  const other = selfSigned(HOST)
  const lines: string[] = []
  const log = { info: (line: string) => lines.push(line), error: () => {} }
  const watched = watchCertificate(app.server as never, tls, log as never, 60_000)
  t.teardown(() => watched.close())
  writeFileSync(tls.certFile, other.cert)
  writeFileSync(tls.keyFile, other.key)
  watched.reload()
  t.same(lines, ['certificate reloaded'])
  const fresh = await socket({ ca: other.cert, ALPNProtocols: ['h2'] })
  t.equal(fresh.alpnProtocol, 'h2')
  t.equal((await ask({ ':path': '/api/a' })).status, 200, 'open ones go on')
})

t.test('connections beyond listen.maxConnections are dropped, and counted in the log (H-22)', async (t) => {
  const { client, socket, logged } = await setUp(t, {}, { maxConnections: 2 })
  const first = await client()
  await socket()
  for (let i = 0; i < 3; i++) await t.rejects(socket())
  await until(() => logged.length > 0)
  t.match(JSON.parse(logged.join('')), { level: 40, dropped: 3, maxConnections: 2 })
  first.session.close()
  await once(first.session, 'close')
  await socket()
})

t.test('a whole login and its session over HTTP/2, with a client of somebody else', async (t) => {
  const tls = files(t)
  const dispatcher = getGlobalDispatcher()
  const agent = new Agent({ allowH2: true, connect: { ca: certificate.cert } })
  setGlobalDispatcher(agent)
  t.teardown(async () => {
    setGlobalDispatcher(dispatcher)
    await agent.destroy()
  })
  const stack = await startGatewayStack(
    t,
    (config) => ({ ...config, listen: { ...config.listen, tls, http2: true } }),
    { scheme: 'https' },
  )
  const versions = new Set<number>()
  stack.app.server.on('request', ({ httpVersionMajor }) => versions.add(httpVersionMajor))
  const app = new NativeApp(stack)
  const tokens = await app.login()
  const api = (token: string) =>
    send(`${stack.publicUrl}/api/a`, { headers: { authorization: `Bearer ${token}` } })
  t.equal((await api(tokens.access_token)).status, 200)
  const refreshed = (await app.refresh(tokens.refresh_token)).json as unknown as typeof tokens
  t.equal((await api(refreshed.access_token)).status, 200)
  t.equal((await app.redeem({ code: 'x'.repeat(43), verifier: 'y'.repeat(43) })).status, 400)
  t.equal((await app.post('revoke', { token: refreshed.refresh_token })).status, 200)
  const refused = await api(refreshed.access_token)
  t.equal(refused.status, 401)
  t.match(refused.headers.get('www-authenticate'), /^Bearer .*error="invalid_token"/)
  t.same([...versions], [2])
})

const token = fc.string({ unit: fc.constantFrom(...'abcxyzABC019-!#$&.^~'), minLength: 1, maxLength: 12 })
const fieldValue = fc
  .string({ unit: fc.constantFrom(...'ab Z9,;=:/"()<>@[]{}%\\\t*\xe9\xff'), maxLength: 40 })
  .map((value) => value.trim())
const fieldLines = fc.array(
  fc.tuple(
    fc.oneof(
      token.map((name) => `X-Own-${name}`),
      fc.constantFrom(
        'Set-Cookie',
        'Vary',
        'etag',
        'Server',
        'X-Content-Type-Options',
        'Link',
        'Retry-After',
      ),
    ),
    fieldValue,
  ),
  { maxLength: 8 },
)
const answers = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'POST', 'DELETE'),
  status: fc.constantFrom(200, 201, 204, 206, 304, 400, 401, 404, 418, 500, 503, 599),
  request: fieldLines,
  fields: fieldLines,
  body: fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
  chunked: fc.boolean(),
})

t.test(
  'generated requests and answers are the same over HTTP/1.1 and HTTP/2 (H-25, RFC 9113 §8)',
  async (t) => {
    const { api, port, client } = await setUp(t, {
      bodyLimitBytes: 1e6,
      cookies: { request: [], response: ['a'] },
    })
    const { ask } = await client()
    const agent = new HttpsAgent({ keepAlive: true, maxSockets: 1 })
    t.teardown(() => agent.destroy())
    const cases = fc.sample(answers, { numRuns: 150, seed: 20_261_122 })
    const noBody = (one: (typeof cases)[number]) =>
      one.method === 'HEAD' || one.status === 204 || one.status === 304
    api.respond = (socket, request) => {
      const one = cases[Number(valuesOf(request, 'x-case')[0])]!
      const lines = one.fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
      const length = one.status === 204 ? '' : `content-length: ${one.body.length}\r\n`
      const chunked = one.chunked && !noBody(one)
      const framing = chunked ? 'transfer-encoding: chunked\r\n' : length
      socket.write(`HTTP/1.1 ${one.status} X\r\n${lines}${framing}\r\n`, 'latin1')
      if (chunked) {
        if (one.body.length > 0) {
          socket.write(`${one.body.length.toString(16)}\r\n`)
          socket.write(one.body)
          socket.write('\r\n')
        }
        socket.write('0\r\nX-Sum: 1\r\n\r\n')
      } else if (!noBody(one)) socket.write(one.body)
    }
    const byName = (flat: readonly string[], dropped: readonly string[]) => {
      const fields: Record<string, string> = {}
      for (let i = 0; i < flat.length; i += 2) {
        const name = flat[i]!.toLowerCase()
        if (dropped.includes(name)) continue
        // An empty member of a list says nothing (RFC 9110 §5.6.1).
        fields[name] = [fields[name] ?? '', flat[i + 1]!].filter((value) => value !== '').join(', ')
      }
      return Object.entries(fields).sort()
    }
    const ofConnection = ['date', 'connection', 'keep-alive', 'transfer-encoding', 'x-request-id']
    const seenByUpstream = () => {
      const { requestLine, headerLines, body } = api.requests.at(-1)!
      const flat = headerLines.flatMap((line) => {
        const colon = line.indexOf(':')
        return [line.slice(0, colon), line.slice(colon + 1).trim()]
      })
      return [requestLine, byName(flat, ['x-request-id']), body.toString('latin1')]
    }
    const differences: string[] = []
    for (const [id, one] of cases.entries()) {
      const hasBody = one.method === 'POST'
      const own = Object.fromEntries(one.request.map(([name, value]) => [name.toLowerCase(), value]))
      const sent = { ...own, 'x-case': String(id), ...(hasBody && { 'content-length': one.body.length }) }
      const overHttp1 = request({
        port,
        host: '127.0.0.1',
        servername: HOST,
        ca: certificate.cert,
        agent,
        method: one.method,
        path: '/api/a',
        headers: { ...sent, host: HOST, authorization: 'Bearer good' },
      }).end(hasBody ? one.body : undefined)
      const [first] = (await once(overHttp1, 'response')) as [IncomingMessage]
      const expected = [
        first.statusCode,
        Buffer.concat(await first.toArray()).toString('latin1'),
        byName(first.rawHeaders, ofConnection),
        byName(first.rawTrailers, []),
        seenByUpstream(),
      ]
      const second = await ask(
        { ...sent, ':method': one.method, ':path': '/api/a' },
        hasBody ? (stream) => stream.end(one.body) : undefined,
      )
      const actual = [
        second.status,
        second.body.toString('latin1'),
        byName(second.fields.flat(), ofConnection),
        byName(Object.entries(second.trailers).flat() as string[], []),
        seenByUpstream(),
      ]
      for (const [index, part] of expected.flat(2).entries()) {
        const [left, right] = [JSON.stringify(part), JSON.stringify(actual.flat(2)[index])]
        if (left !== right) differences.push(`case ${id}: ${left} became ${right}`)
      }
      if (expected.flat(2).length !== actual.flat(2).length) differences.push(`case ${id}: another length`)
    }
    t.same(differences.slice(0, 3), [])
  },
)
