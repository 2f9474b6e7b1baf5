import { EventEmitter, once } from 'node:events'
import type { Socket } from 'node:net'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import type { Upstream } from '../../../gateway/config/schemas/gateway.ts'
import { forwarder, head, upstream } from '../../support/forwarder.ts'
import { exchange, field, RawUpstream, type Responder, WireClient } from '../../support/wire.ts'

async function setUp(t: Test, respond?: Responder, own: Partial<Upstream> = {}) {
  const api = new RawUpstream()
  const target = await api.listen()
  const { app, port, logged } = await forwarder({ upstreams: [upstream({ target, ...own })] })
  if (respond) api.respond = respond
  t.teardown(async () => {
    await api.close()
    await app.close()
  })
  return { api, port, app, logged }
}

const raw =
  (text: string): Responder =>
  (socket) =>
    socket.write(Buffer.from(text, 'latin1'))

t.test('a compressed body passes unchanged (H-21)', async (t) => {
  const body = gzipSync('hello '.repeat(1000))
  const { port } = await setUp(t, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: ${body.length}\r\n\r\n`)
    socket.write(body)
  })
  const answer = await exchange(port, head('GET /api/a', 'Accept-Encoding: gzip'))
  t.equal(field(answer, 'content-encoding'), 'gzip')
  t.ok(answer.body.equals(body))
})

t.test('bytes above ASCII in a field pass as they are', async (t) => {
  const { port } = await setUp(t, raw('HTTP/1.1 200 OK\r\nx-name: caf\xe9\r\ncontent-length: 0\r\n\r\n'))
  const answer = await exchange(port, head('GET /api/a', 'X-Name: caf\xe9'))
  t.equal(answer.status, 200)
  t.equal(field(answer, 'x-name'), 'caf\xe9')
})

t.test('they do, too, where the head goes out before the body', async (t) => {
  const { port } = await setUp(t, (socket) => {
    socket.write(Buffer.from('HTTP/1.1 200 OK\r\nx-name: caf\xe9\r\ncontent-length: 2\r\n\r\n', 'latin1'))
    setTimeout(() => socket.write('ok'), 50)
  })
  const answer = await exchange(port, head('GET /api/a'))
  t.equal(field(answer, 'x-name'), 'caf\xe9')
  t.equal(answer.body.toString(), 'ok')
})

t.test(
  'HEAD, 204 and 304 have no body, and the connection goes on (RFC 9110 §9.3.2, §15.3.5, §15.4.5)',
  async (t) => {
    const answers = [
      'HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n',
      'HTTP/1.1 204 No Content\r\n\r\n',
      'HTTP/1.1 304 Not Modified\r\netag: "a"\r\ncontent-length: 1000\r\n\r\n',
      'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok',
    ]
    const { port } = await setUp(t, (socket) => socket.write(answers.shift() ?? ''))
    const client = new WireClient(port)
    const headAnswer = await client.send(head('HEAD /api/a')).answer(true)
    t.equal(headAnswer.status, 200)
    t.equal(field(headAnswer, 'content-length'), '1000')
    const empty = await client.send(head('GET /api/a')).answer()
    t.equal(empty.status, 204)
    t.equal(field(empty, 'content-length'), undefined)
    t.equal(field(empty, 'transfer-encoding'), undefined)
    const unchanged = await client.send(head('GET /api/a', 'If-None-Match: "a"')).answer()
    t.equal(unchanged.status, 304)
    t.equal(field(unchanged, 'etag'), '"a"')
    t.equal((await client.send(head('GET /api/a')).answer()).body.toString(), 'ok')
    client.socket.destroy()
  },
)

t.test('an answer until close and a chunked one arrive whole, trailers included', async (t) => {
  const untilClose = await setUp(t, (socket) => socket.end('HTTP/1.1 200 OK\r\n\r\nhello'))
  const first = await exchange(untilClose.port, head('GET /api/a'))
  t.equal(first.body.toString(), '5\r\nhello\r\n0\r\n\r\n')
  const chunked = await setUp(
    t,
    raw(
      'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-sum: 1\r\nset-cookie: a=1\r\n\r\n',
    ),
  )
  const second = await exchange(chunked.port, head('GET /api/a', 'TE: trailers'))
  t.equal(second.body.toString(), '5\r\nhello\r\n0\r\nx-sum: 1\r\n\r\n')
})

t.test('HTTP/1.0 clients get an answer that ends with the connection', async (t) => {
  const { port } = await setUp(
    t,
    raw('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n'),
  )
  const answer = await exchange(port, head('GET /api/a').replace('HTTP/1.1', 'HTTP/1.0'))
  t.equal(field(answer, 'transfer-encoding'), undefined)
  t.equal(answer.body.toString(), 'hello')
})

t.test('early hints pass, other interim answers are not taken for the answer (RFC 9110 §15.2)', async (t) => {
  const interim =
    'HTTP/1.1 102 Processing\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n'
  const { port } = await setUp(t, raw(`${interim}HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok`))
  const client = new WireClient(port).send(head('GET /api/a'))
  t.equal((await client.answer()).status, 102)
  const hints = await client.answer()
  t.equal(hints.status, 103)
  t.equal(field(hints, 'link'), '</a.css>; rel=preload')
  t.equal((await client.answer()).body.toString(), 'ok')
  client.socket.destroy()
})

t.test('the head of a stream goes out before its first event', async (t) => {
  const { port, api } = await setUp(t, raw('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\n'))
  const client = new WireClient(port).send(head('GET /api/a'))
  await client.untilReceived('text/event-stream')
  for (const socket of api.sockets) socket.end('data: 1\n\n')
  await client.untilReceived('0\r\n\r\n')
  client.socket.destroy()
  t.pass('head received before the body')
})

const badAnswers: Readonly<Record<string, Responder>> = {
  'a reset instead of an answer': (socket) => socket.resetAndDestroy(),
  'a close instead of an answer': (socket) => socket.end(),
  'an answer that is not HTTP': raw('SSH-2.0-OpenSSH_9.9\r\n'),
  'a CR in a field': raw('HTTP/1.1 200 OK\r\nx-a: 1\r2\r\ncontent-length: 0\r\n\r\n'),
  'a NUL in a field': raw('HTTP/1.1 200 OK\r\nx-a: 1\x002\r\ncontent-length: 0\r\n\r\n'),
  'a control character in a field': raw('HTTP/1.1 200 OK\r\nx-a: 1\x012\r\ncontent-length: 0\r\n\r\n'),
  'two lengths': raw('HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab'),
  'a length and chunks': raw(
    'HTTP/1.1 200 OK\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n',
  ),
  'an upgrade nobody asked for': raw(
    'HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n',
  ),
  'a header without end': raw(`HTTP/1.1 200 OK\r\nx-a: ${'a'.repeat(80_000)}\r\n`),
}

t.test('an upstream that answers nonsense -> 502 without detail (CWE-209, H-25, H-27)', async (t) => {
  for (const [form, respond] of Object.entries(badAnswers)) {
    await t.test(form, async (t) => {
      const { port, api, logged } = await setUp(t, respond)
      const answer = await exchange(
        port,
        `${head('POST /api/a', 'Content-Length: 5', `X-Request-Id: ${'r'.repeat(100)}`)}hello`,
      )
      t.equal(answer.status, 502)
      t.equal(field(answer, 'cache-control'), 'no-store')
      t.notMatch(answer.body.toString(), /127\.0\.0\.1|ECONN|HPE|UND_ERR|socket/)
      t.equal(api.requests.length, 1, 'and it is not tried again (H-23)')
      t.match(JSON.parse(logged[0] ?? ''), {
        err: { code: 'PKCE_UPSTREAM' },
        method: 'POST',
        route: '/api',
        target: /^127\.0\.0\.1:/,
        remedy: String,
        requestId: field(answer, 'x-request-id'),
        clientRequestId: /^r{64}$/,
      })
    })
  }
})

t.test('an upstream that cannot be reached -> 502 (H-27)', async (t) => {
  const { app, port } = await forwarder({ upstreams: [upstream({ target: 'http://127.0.0.1:1' })] })
  t.teardown(() => app.close())
  const answer = await exchange(port, head('GET /api/a'))
  t.equal(answer.status, 502)
  t.notMatch(answer.body.toString(), /127\.0\.0\.1|ECONNREFUSED/)
})

t.test('an upstream that never answers -> 504 (H-22)', async (t) => {
  const { port, api } = await setUp(t, () => {}, {
    timeouts: { connectMs: 1000, headersMs: 100, idleMs: 1000 },
  })
  const gone = once(api.events, 'close')
  const answer = await exchange(port, head('GET /api/a'))
  t.equal(answer.status, 504)
  await gone
})

t.test('an upstream that stops in mid-body breaks the connection to the client (H-22)', async (t) => {
  const timeouts = { connectMs: 1000, headersMs: 1000, idleMs: 100 }
  const { port } = await setUp(t, raw('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf'), { timeouts })
  const received = await new WireClient(port).send(head('GET /api/a')).untilClose()
  t.match(received.toString(), /half$/)
})

t.test('an upstream that dies in mid-body breaks the connection to the client', async (t) => {
  for (const framing of [
    'content-length: 1000\r\n\r\nhalf',
    'transfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n',
  ]) {
    await t.test(framing, async (t) => {
      const { port } = await setUp(t, (socket) => {
        socket.write(`HTTP/1.1 200 OK\r\n${framing}`, () => setImmediate(() => socket.resetAndDestroy()))
      })
      const received = (await new WireClient(port).send(head('GET /api/a')).untilClose()).toString()
      t.match(received, 'half')
      t.notMatch(received, /0\r\n\r\n$/)
    })
  }
})

t.test('a client that leaves before the answer has begun aborts the upstream request (H-35)', async (t) => {
  const { port, api } = await setUp(t, () => {})
  const arrived = once(api.events, 'head')
  const client = new WireClient(port).send(head('GET /api/a'))
  await arrived
  const gone = once(api.events, 'close')
  client.socket.destroy()
  await gone
  t.pass('the upstream saw the connection close')
})

t.test('a client that leaves in mid-body aborts the upstream request (H-35)', async (t) => {
  const { port, api } = await setUp(t, raw('HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nhalf'))
  const client = new WireClient(port).send(head('GET /api/a'))
  await client.untilReceived('half')
  const gone = once(api.events, 'close')
  client.socket.destroy()
  await gone
  t.pass('the upstream saw the connection close')
})

t.test('a client that leaves in mid-upload aborts the upstream request (H-35)', async (t) => {
  const { port, api } = await setUp(t, undefined)
  const arrived = once(api.events, 'head')
  const client = new WireClient(port).send(`${head('POST /api/a', 'Content-Length: 1000')}half`)
  await arrived
  const gone = once(api.events, 'close')
  client.socket.destroy()
  await gone
  t.pass('the upstream saw the connection close')
})

t.test(
  'a client that leaves while its request waits for a connection causes no upstream request (H-35)',
  async (t) => {
    const { port, api, app } = await setUp(t, () => {}, { connectionsPerSession: 16 })
    const clients: WireClient[] = []
    while (clients.length < 16) {
      const arrived = once(api.events, 'head')
      clients.push(new WireClient(port).send(head('GET /api/busy')))
      await arrived
    }
    const connected = once(app.server, 'connection')
    const waiting = new WireClient(port).send(`${head('POST /api/waiting', 'Content-Length: 10')}half`)
    const [accepted] = (await connected) as [Socket]
    await once(accepted, 'data')
    waiting.socket.destroy()
    await once(accepted, 'close')
    for (const socket of api.sockets) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
    await Promise.all(clients.map((client) => client.answer()))
    for (const client of clients) client.socket.destroy()
    const last = exchange(port, head('GET /api/last'))
    await once(api.events, 'head')
    for (const socket of api.sockets) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
    t.equal((await last).status, 200)
    t.notOk(api.requests.some(({ requestLine }) => requestLine.includes('waiting')))
  },
)

t.test('an upload that stops -> 408 and close (H-22)', async (t) => {
  const timeouts = { connectMs: 1000, headersMs: 5000, idleMs: 100 }
  const { port, api } = await setUp(t, undefined, { timeouts })
  const gone = once(api.events, 'close')
  const answer = await exchange(port, `${head('POST /api/a', 'Content-Length: 1000')}half`)
  t.equal(answer.status, 408)
  t.equal(answer.closed, true)
  await gone
})

t.test('an upload whose chunks are malformed is broken off on both sides (H-20)', async (t) => {
  const { port, api } = await setUp(t)
  const arrived = once(api.events, 'head')
  const client = new WireClient(port).send(
    `${head('POST /api/a', 'Transfer-Encoding: chunked')}4\r\nhalf\r\n`,
  )
  await arrived
  const gone = once(api.events, 'close')
  const received = (await client.send('zz\r\n').untilClose()).toString()
  t.match(received, /^HTTP\/1\.1 400 /)
  await gone
})

t.test(
  'an answer before the upload has ended arrives, and the connection closes (RFC 9112 §9.3, H-33)',
  async (t) => {
    const { port, api } = await setUp(
      t,
      raw('HTTP/1.1 413 Content Too Large\r\ncontent-length: 3\r\n\r\nbig'),
      { bodyLimitBytes: 1e9 },
    )
    api.early = true
    const client = new WireClient(port).send(head('POST /api/a', 'Content-Length: 100000000'))
    const piece = Buffer.alloc(65_536)
    const sending = setInterval(() => client.send(piece), 1)
    const answer = await client.answer()
    clearInterval(sending)
    t.equal(answer.status, 413)
    t.equal(answer.body.toString(), 'big')
    t.equal(answer.closed, true)
  },
)

t.test('a refusal before the upload has ended arrives, and the connection closes (H-33)', async (t) => {
  const { port, api } = await setUp(t)
  const unknown = head('POST /api/a', 'Content-Length: 100000000').replace('good', 'bad')
  const client = new WireClient(port).send(unknown)
  const piece = Buffer.alloc(65_536)
  const sending = setInterval(() => client.send(piece), 1)
  const answer = await client.answer()
  clearInterval(sending)
  t.equal(answer.status, 401)
  t.equal(answer.closed, true)
  t.equal(api.requests.length, 0)
})

t.test('a client that does not read slows the upstream down, then loses the connection (K-04)', async (t) => {
  const backpressure = new EventEmitter()
  let sent = 0
  const flood = (socket: Socket) => {
    const piece = Buffer.alloc(65_536)
    while (sent < 200_000_000 && !socket.destroyed) {
      sent += piece.length
      if (!socket.write(piece)) {
        backpressure.emit('full')
        socket.once('drain', () => flood(socket))
        return
      }
    }
  }
  const timeouts = { connectMs: 1000, headersMs: 1000, idleMs: 300 }
  const { port, api } = await setUp(
    t,
    (socket) => {
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 200000000\r\n\r\n')
      flood(socket)
    },
    { timeouts },
  )
  const full = once(backpressure, 'full')
  const client = new WireClient(port)
  client.socket.pause()
  client.send(head('GET /api/a'))
  await full
  await once(api.events, 'close')
  t.ok(sent < 50_000_000, `${sent} bytes were taken from the upstream`)
  client.socket.destroy()
})

t.test('an upstream that does not read slows the client down (K-04)', async (t) => {
  const { port, api } = await setUp(t, undefined, { bodyLimitBytes: 1e9 })
  api.events.once('head', () => {
    for (const socket of api.sockets) socket.pause()
  })
  const client = new WireClient(port).send(head('POST /api/a', 'Content-Length: 200000000'))
  const piece = Buffer.alloc(65_536)
  let stalled = false
  while (!stalled && client.socket.bytesWritten < 200_000_000) {
    if (client.socket.write(piece)) continue
    const drained = once(client.socket, 'drain').then(() => false)
    stalled = await Promise.race([drained, new Promise<boolean>((resolve) => setTimeout(resolve, 300, true))])
  }
  t.ok(client.socket.bytesWritten < 50_000_000, `${client.socket.bytesWritten} bytes were taken`)
  client.socket.destroy()
})

const TEN_MEGABYTES = 10_000_000

t.test('10 MB pass in both directions, byte for byte (H-19)', async (t) => {
  const echo: Responder = (socket, request) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${request.body.length}\r\n\r\n`)
    socket.write(request.body)
  }
  const { port } = await setUp(t, echo, { bodyLimitBytes: TEN_MEGABYTES })
  const body = Buffer.alloc(TEN_MEGABYTES, 'fastify-pkce')
  const chunks = [Buffer.from(`${body.length.toString(16)}\r\n`), body, Buffer.from('\r\n0\r\n\r\n')]
  const requests = {
    'with a length': [Buffer.from(head('POST /api/a', `Content-Length: ${body.length}`)), body],
    chunked: [Buffer.from(head('POST /api/a', 'Transfer-Encoding: chunked')), ...chunks],
  }
  for (const [framing, bytes] of Object.entries(requests)) {
    await t.test(framing, async (t) => {
      const answer = await exchange(port, Buffer.concat(bytes))
      t.equal(answer.status, 200)
      t.ok(answer.body.equals(body))
    })
  }
})

t.test('closing waits for the answers that are under way (K-07)', async (t) => {
  const { port, app, api } = await setUp(t, () => {})
  const arrived = once(api.events, 'head')
  const client = new WireClient(port).send(head('GET /api/a'))
  await arrived
  const closing = app.close()
  await new Promise(setImmediate)
  for (const socket of api.sockets) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
  t.equal((await client.answer()).body.toString(), 'ok')
  client.socket.destroy()
  await closing
})
