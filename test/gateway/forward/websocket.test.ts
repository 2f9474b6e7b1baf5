import { once } from 'node:events'
import { request as httpRequest } from 'node:http'
import type { Socket } from 'node:net'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import { Agent, buildConnector, type CloseEvent, type MessageEvent, WebSocket } from 'undici'
import type { Upstream } from '../../../gateway/config/schemas/gateway.ts'
import { closeFrame, FrameScanner } from '../../../gateway/forward/websocket/frames.ts'
import type { Session } from '../../../plugin/index.ts'
import { type ForwarderSetup, forwarder, HOST, head, upstream } from '../../support/forwarder.ts'
import { until } from '../../support/wait.ts'
import {
  ACCEPT,
  acceptHandshake,
  BINARY,
  CLOSE,
  connected,
  echo,
  frame,
  framesOf,
  handshake,
  PING,
  PONG,
  receive,
  TEXT,
} from '../../support/websocket.ts'
import { exchange, field, RawUpstream, type Responder, valuesOf, WireClient } from '../../support/wire.ts'

const ORIGIN = 'https://app.example'
const options = { origins: [ORIGIN], idleMs: 5000, maxMessageBytes: 1_000_000 }

async function setUp(
  t: Test,
  respond: Responder = echo,
  own: Partial<Upstream> = {},
  setup: Partial<ForwarderSetup> = {},
) {
  const api = new RawUpstream()
  api.respond = respond
  const target = await api.listen()
  const upstreams = [
    upstream({ target, websocket: options, bodyLimitBytes: 1e9, ...own }),
    upstream({ target, prefix: '/plain' }),
    upstream({
      target,
      prefix: '/public',
      public: true,
      methods: ['GET'],
      credentials: 'none',
      websocket: options,
    }),
  ]
  const { app, port, logged } = await forwarder({ upstreams, ...setup })
  const clients = new Set<Socket>()
  app.server.on('connection', (socket: Socket) => {
    clients.add(socket)
    socket.on('close', () => clients.delete(socket))
  })
  t.teardown(async () => {
    await api.close()
    await app.close()
  })
  /** Nothing is left open on either side. */
  const allGone = () => until(() => clients.size === 0 && api.sockets.size === 0)
  return { api, port, app, logged, clients, allGone }
}

/** A client that is not ours. */
function browser(port: number, protocols: string[] = []): WebSocket {
  const connect = buildConnector({})
  const dispatcher = new Agent({
    connect: (to, done) => connect({ ...to, hostname: '127.0.0.1', port: String(port) }, done),
  })
  const headers = { authorization: 'Bearer good', origin: ORIGIN }
  const client = new WebSocket(`ws://${HOST}/api/ws`, { protocols, headers, dispatcher })
  client.binaryType = 'arraybuffer'
  return client
}

async function nextMessage(client: WebSocket): Promise<unknown> {
  const [event] = (await once(client, 'message')) as [MessageEvent]
  return event.data
}

t.test('a WebSocket client talks to its upstream: text, binary, large, the closing (RFC 6455)', async (t) => {
  const { port, allGone } = await setUp(t, echo, { websocket: { ...options, maxMessageBytes: 20_000_000 } })
  const client = browser(port, ['chat', 'other'])
  await once(client, 'open')
  t.equal(client.protocol, 'chat', 'the subprotocol is negotiated end to end')
  client.send('hällo')
  t.equal(await nextMessage(client), 'hällo')
  const large = Buffer.alloc(10_000_000, 'fastify-pkce')
  client.send(large)
  t.ok(Buffer.from((await nextMessage(client)) as ArrayBuffer).equals(large), '10 MB byte for byte')
  client.close(4001, 'bye')
  const [closing] = (await once(client, 'close')) as [CloseEvent]
  t.match(closing, { code: 4001, reason: 'bye', wasClean: true })
  await allGone()
})

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

t.test('whichever side goes, the other one goes too, and no socket is left', async (t) => {
  const ways = ['end', 'destroy', 'resetAndDestroy'] as const
  for (const leave of ways) {
    const { port, api, allGone } = await setUp(t)
    const first = await connected(port)
    first.socket[leave]()
    await allGone()
    const second = await connected(port)
    for (const socket of api.sockets) socket[leave]()
    await second.untilClose()
    second.socket.destroy()
    await allGone()
    t.pass(leave)
  }
})

t.test('frames pass as they are: fragmented, coalesced, torn apart, control frames between', async (t) => {
  const received: Buffer[] = []
  const { port } = await setUp(t, (socket, request) => {
    acceptHandshake(socket, request)
    socket.on('data', (chunk) => received.push(chunk))
  })
  const client = await connected(port)
  const sent = Buffer.concat([
    frame(TEXT, 'one ', { fin: false, mask: true }),
    frame(PING, 'ping', { mask: true }),
    frame(0, 'message', { mask: true }),
    frame(BINARY, Buffer.alloc(70_000, 7), { mask: true }),
    frame(PONG, '', { mask: true }),
  ])
  for (const byte of sent.subarray(0, 40)) {
    client.send(Buffer.from([byte]))
    await new Promise(setImmediate)
  }
  client.send(sent.subarray(40))
  await until(() => Buffer.concat(received).length >= sent.length)
  t.ok(Buffer.concat(received).equals(sent))
  client.socket.destroy()
})

t.test('what the upstream sends along with its 101 is not lost', async (t) => {
  const { port } = await setUp(t, (socket, request) => {
    socket.cork()
    acceptHandshake(socket, request)
    socket.write(frame(TEXT, 'welcome'))
    socket.uncork()
  })
  const client = await connected(port)
  t.equal((await receive(client, 1))[0]?.payload.toString(), 'welcome')
  client.socket.destroy()
})

t.test('idleness ends a connection with 1001, traffic in either direction keeps it (K-04)', async (t) => {
  const { port, api, allGone } = await setUp(t, echo, { websocket: { ...options, idleMs: 1000 } })
  const client = await connected(port)
  const opened = performance.now()
  for (let beats = 0; beats < 4; beats++) {
    await new Promise((resolve) => setTimeout(resolve, 400))
    client.send(frame(PING, '', { mask: true }))
  }
  await receive(client, 4)
  t.ok(performance.now() - opened >= 1500, 'longer than its time')
  const { frames } = framesOf(await client.untilClose())
  t.same(frames.at(-1), { fin: true, opcode: CLOSE, payload: Buffer.from([0x03, 0xe9]) })
  client.socket.destroy()
  await allGone()
  t.equal(api.sockets.size, 0)
})

t.test('a message of more than maxMessageBytes -> 1009, and it does not pass (K-01)', async (t) => {
  const limit = { ...options, maxMessageBytes: 100 }
  const tooLarge: Record<string, Buffer[]> = {
    'in one frame': [frame(TEXT, 'x'.repeat(101), { mask: true })],
    'in fragments': [
      frame(TEXT, 'x'.repeat(60), { fin: false, mask: true }),
      frame(PING, 'x'.repeat(60), { mask: true }),
      frame(0, 'x'.repeat(41), { mask: true }),
    ],
    'announced only': [frame(BINARY, Buffer.alloc(1e6), { mask: true }).subarray(0, 14)],
    'beyond 2^53': [Buffer.from([0x82, 0xff, ...Buffer.alloc(8, 0xff), 1, 2, 3, 4])],
  }
  for (const [form, frames] of Object.entries(tooLarge)) {
    await t.test(form, async (t) => {
      const seen: Buffer[] = []
      const { port, allGone } = await setUp(
        t,
        (socket, request) => {
          acceptHandshake(socket, request)
          socket.on('data', (chunk) => seen.push(chunk)).on('end', () => socket.end())
        },
        { websocket: limit },
      )
      const client = await connected(port)
      client.send(frame(TEXT, 'x'.repeat(100), { mask: true }))
      await until(() => seen.length > 0)
      for (const piece of frames) client.send(piece)
      const received = framesOf(await client.untilClose()).frames
      t.same(received, [{ fin: true, opcode: CLOSE, payload: Buffer.from([0x03, 0xf1]) }])
      client.socket.destroy()
      await allGone()
      const passed = framesOf(Buffer.concat(seen)).frames
      t.equal(passed[0]?.payload.length, 100, 'the limit itself passes')
      t.notOk(passed.some(({ payload }) => [101, 41].includes(payload.length)))
      t.same(passed.at(-1)?.payload, Buffer.from([0x03, 0xe9]), 'the upstream is told, too')
    })
  }
})

/** Sessions that end when the test says so. */
function endings() {
  const listeners = new Set<() => void>()
  const onSessionEnd = (_session: Session, listener: () => void) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  }
  return { listeners, onSessionEnd, end: () => [...listeners].map((listener) => listener()) }
}

t.test('the end of the session ends the connection with 1008 (H-29)', async (t) => {
  const sessions = endings()
  const seen: Buffer[] = []
  const respond: Responder = (socket, request) => {
    acceptHandshake(socket, request)
    socket.on('data', (chunk) => seen.push(chunk))
  }
  const { port, api, allGone } = await setUp(t, respond, {}, { onSessionEnd: sessions.onSessionEnd })
  const client = await connected(port)
  client.send(frame(TEXT, 'before', { mask: true }))
  await until(() => seen.length > 0)
  const before = performance.now()
  sessions.end()
  for (const socket of api.sockets) socket.write(frame(TEXT, 'after'))
  const { frames } = framesOf(await client.untilClose())
  t.ok(performance.now() - before < 4500, 'however slowly the sides take leave')
  t.same(
    frames,
    [{ fin: true, opcode: CLOSE, payload: Buffer.from([0x03, 0xf0]) }],
    'nothing passes after it',
  )
  client.socket.destroy()
  await allGone()
  t.same(framesOf(Buffer.concat(seen)).frames.at(-1)?.payload, Buffer.from([0x03, 0xe9]))
  t.equal(sessions.listeners.size, 0, 'nobody listens any more')
})

t.test('in the middle of a frame there is no close frame, only the end', async (t) => {
  const sessions = endings()
  const half = frame(BINARY, Buffer.alloc(1000)).subarray(0, 500)
  const { port, allGone } = await setUp(
    t,
    (socket, request) => {
      acceptHandshake(socket, request)
      socket.write(half)
    },
    {},
    { onSessionEnd: sessions.onSessionEnd },
  )
  const client = await connected(port)
  await client.until((received) => received.length >= 500)
  sessions.end()
  t.ok((await client.untilClose()).equals(half))
  client.socket.destroy()
  await allGone()
})

t.test('closing the gateway ends every connection with 1001 (K-07)', async (t) => {
  const { port, app, allGone } = await setUp(t)
  const client = await connected(port)
  const closing = app.close()
  const { frames } = framesOf(await client.untilClose())
  t.same(frames.at(-1)?.payload, Buffer.from([0x03, 0xe9]))
  client.socket.destroy()
  await closing
  await allGone()
})

t.test('a grant has at most a hundred connections at a time -> 429 (K-05)', async (t) => {
  const { port, allGone } = await setUp(t)
  const clients = await Promise.all(Array.from({ length: 100 }, () => connected(port)))
  t.equal((await exchange(port, handshake('/api/ws'))).status, 429)
  clients[0]?.socket.destroy()
  await until(() => clients[0]?.socket.destroyed === true)
  let status = 0
  for (let tries = 0; tries < 50 && status !== 101; tries++) {
    const client = new WireClient(port).send(handshake('/api/ws'))
    status = (await client.answer()).status
    clients.push(client)
  }
  t.equal(status, 101)
  for (const client of clients) client.socket.destroy()
  await allGone()
})

t.test('a side that does not read slows the other one down (K-04)', async (t) => {
  await t.test('the client', async (t) => {
    let taken = 0
    let full = false
    const { port, allGone } = await setUp(t, (socket, request) => {
      acceptHandshake(socket, request)
      const piece = frame(BINARY, Buffer.alloc(65_536))
      const flood = () => {
        while (taken < 200_000_000 && !socket.destroyed) {
          taken += piece.length
          if (socket.write(piece)) continue
          full = true
          socket.once('drain', flood)
          return
        }
      }
      flood()
    })
    const client = await connected(port)
    client.socket.pause()
    await until(() => full)
    let before = -1
    while (before !== taken) {
      before = taken
      await new Promise((resolve) => setTimeout(resolve, 200))
    }
    t.ok(taken < 50_000_000, `${taken} bytes were taken`)
    client.socket.destroy()
    await allGone()
  })
  await t.test('the upstream', async (t) => {
    const { port, api, allGone } = await setUp(t, (socket, request) => {
      acceptHandshake(socket, request)
      socket.pause()
    })
    const client = await connected(port)
    const piece = frame(BINARY, Buffer.alloc(65_536), { mask: true })
    let stalled = false
    while (!stalled && client.socket.bytesWritten < 200_000_000) {
      if (client.socket.write(piece)) continue
      const drained = once(client.socket, 'drain').then(() => false)
      stalled = await Promise.race([drained, new Promise<boolean>((go) => setTimeout(go, 300, true))])
    }
    t.ok(client.socket.bytesWritten < 50_000_000, `${client.socket.bytesWritten} bytes were taken`)
    client.socket.destroy()
    for (const socket of api.sockets) socket.resume()
    await allGone()
  })
})

t.test('a library that knows nothing of WebSocket gets an answer too', async (t) => {
  const { port } = await setUp(t, echo)
  const headers = { host: HOST, authorization: 'Bearer bad', connection: 'upgrade', upgrade: 'websocket' }
  const request = httpRequest({ port, path: '/api/ws', headers }).end()
  const [answer] = (await once(request, 'response')) as [{ statusCode: number; resume(): void }]
  answer.resume()
  t.equal(answer.statusCode, 401)
})

t.test('the frame scanner knows where frames end, however they are cut (RFC 6455 §5.2)', async (t) => {
  const anyFrame = fc
    .record({
      opcode: fc.constantFrom(0, TEXT, BINARY, CLOSE, PING, PONG),
      size: fc.oneof(
        fc.nat(125),
        fc.integer({ min: 126, max: 300 }),
        fc.integer({ min: 65_530, max: 65_540 }),
      ),
      fin: fc.boolean(),
      mask: fc.boolean(),
    })
    .map(({ opcode, size, fin, mask }) =>
      frame(opcode, Buffer.alloc(opcode >= 8 ? size % 126 : size), { fin, mask }),
    )
  fc.assert(
    fc.property(
      fc.array(anyFrame, { maxLength: 5 }),
      fc.array(fc.integer({ min: 1, max: 400 })),
      (frames, cuts) => {
        const bytes = Buffer.concat(frames)
        const ends = new Set([0])
        frames.reduce((at, { length }) => ends.add(at + length) && at + length, 0)
        const scanner = new FrameScanner()
        for (let at = 0, i = 0; at < bytes.length; i++) {
          const end = Math.min(bytes.length, at + (cuts[i % cuts.length] ?? 1000))
          if (scanner.accept(bytes.subarray(at, end)) !== null) return false
          at = end
          if (scanner.whole !== ends.has(at)) return false
        }
        return true
      },
    ),
  )
  t.same(framesOf(closeFrame(1008, true)).frames, framesOf(closeFrame(1008, false)).frames)
  t.equal(new FrameScanner().accept(frame(PING, 'x'.repeat(126))), 1002, 'a control frame is short (§5.5)')
})
