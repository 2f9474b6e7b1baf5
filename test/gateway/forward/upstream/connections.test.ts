import dns from 'node:dns'
import { createServer, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { Upstream } from '../../../../gateway/config/schemas/gateway.ts'
import { Connections } from '../../../../gateway/forward/upstream/connections.ts'
import { selfSigned } from '../../../support/certificate.ts'
import { forwarder, head, upstream } from '../../../support/forwarder.ts'
import { until } from '../../../support/wait.ts'
import { acceptHandshake, handshake } from '../../../support/websocket.ts'
import { exchange, RawUpstream, type Responder, WireClient } from '../../../support/wire.ts'

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

async function setUp(t: Test, own: Partial<Upstream> = {}) {
  const api = new RawUpstream()
  const target = await api.listen()
  const { app, port, logged } = await forwarder({ upstreams: [upstream({ target, ...own })] })
  t.teardown(async () => {
    await api.close()
    await app.close()
  })
  const ask = async (method = 'GET', body = '') => {
    const length = body === '' ? [] : [`Content-Length: ${body.length}`]
    return (await exchange(port, head(`${method} /api/a`, ...length) + body, method === 'HEAD')).status
  }
  return { api, port, logged, ask }
}

/** Answers the first request of each connection, and does `then` with the second. */
function onReuse(then: Responder): Responder {
  const used = new WeakSet<Socket>()
  return (socket, request) => {
    if (used.has(socket)) then(socket, request)
    else {
      used.add(socket)
      const isHead = request.requestLine.startsWith('HEAD')
      socket.write(isHead ? OK.slice(0, -2) : OK)
    }
  }
}

const CLOSINGS: Record<string, Responder> = {
  'a reset': (socket) => socket.resetAndDestroy(),
  'an end': (socket) => socket.end(),
}

t.test(
  'with retry, a request on a reused connection that closes just then is asked once more (RFC 9112 §9.3.1, H-23)',
  async (t) => {
    for (const [closing, respond] of Object.entries(CLOSINGS)) {
      // Not HEAD: undici uses no connection again after one.
      for (const method of ['GET', 'PUT', 'DELETE']) {
        const { api, ask } = await setUp(t, { retry: true })
        api.respond = onReuse(respond)
        for (let i = 0; i < 5; i++) t.equal(await ask(method), 200, `${method}, ${closing}`)
        t.equal(api.requests.length, 9, 'each but the first was sent twice')
      }
    }
  },
)

t.test('what may not be sent twice is not (RFC 9110 §9.2.2, CVE-2026-16728, H-23)', async (t) => {
  for (const [closing, respond] of Object.entries(CLOSINGS)) {
    for (const [method, body, retry] of [
      ['POST', '', true],
      ['PATCH', '', true],
      ['POST', 'body', true],
      ['PUT', 'body', true],
      ['GET', '', false],
    ] as const) {
      const { api, ask } = await setUp(t, { retry })
      api.respond = onReuse(respond)
      t.equal(await ask(method, body), 200)
      t.equal(await ask(method, body), 502, `${method} ${body}, ${closing}`)
      t.equal(api.requests.length, 2)
    }
  }
})

t.test('once more, and not for ever: a new connection that closes is a 502 (H-23)', async (t) => {
  const { api, ask } = await setUp(t, { retry: true })
  api.respond = onReuse((socket) => socket.end())
  t.equal(await ask(), 200)
  api.respond = (socket) => socket.end()
  t.equal(await ask(), 502)
  t.equal(api.requests.length, 3)
})

t.test('an answer that has begun is not asked for again (H-23)', async (t) => {
  for (const begun of [
    'H',
    'HTTP/1.1 200 OK\r\ncontent-le',
    'HTTP/1.1 103 Early Hints\r\n\r\n',
    OK.slice(0, -1),
  ]) {
    const { api, port } = await setUp(t, { retry: true })
    api.respond = onReuse((socket) => socket.end(begun))
    const ask = async () => (await new WireClient(port).send(head('GET /api/a')).untilClose()).toString()
    t.equal((await exchange(port, head('GET /api/a'))).status, 200)
    const answer = await Promise.race([ask(), new Promise<string>((resolve) => setTimeout(resolve, 500, ''))])
    t.notMatch(answer, /ok$/)
    t.equal(api.requests.length, 2, JSON.stringify(begun))
  }
})

t.test('an answer that does not begin in time is a 504, and not asked for again (H-23)', async (t) => {
  const timeouts = { connectMs: 1000, headersMs: 300, idleMs: 1000 }
  const { api, ask } = await setUp(t, { retry: true, timeouts })
  api.respond = onReuse(() => {})
  t.equal(await ask(), 200)
  t.equal(await ask(), 504)
  t.equal(api.requests.length, 2)
})

t.test('a WebSocket handshake finds a connection that is still there, too (H-23)', async (t) => {
  const websocket = { origins: [], idleMs: 5000, maxMessageBytes: 1000 }
  const { api, port, ask } = await setUp(t, { retry: true, websocket })
  const closing = onReuse((socket) => socket.end())
  const used = new WeakSet<Socket>()
  api.respond = (socket, request) => {
    if (used.has(socket) || !request.requestLine.includes('/ws')) closing(socket, request)
    else acceptHandshake(socket, request)
    used.add(socket)
  }
  t.equal(await ask(), 200)
  const client = new WireClient(port).send(handshake('/api/ws'))
  t.equal((await client.answer()).status, 101)
  client.socket.destroy()
})

t.test(
  'GETs beside an upstream that closes idle connections all the time: none fails (caddy #6452)',
  async (t) => {
    const { api, ask } = await setUp(t, { retry: true })
    api.respond = (socket) => {
      socket.write(OK)
      setTimeout(() => socket.destroy(), Math.random() * 4)
    }
    const statuses = new Set<number>()
    for (let i = 0; i < 150; i++) {
      for (const status of await Promise.all([ask(), ask(), ask()])) statuses.add(status)
    }
    t.same([...statuses], [200])
  },
)

t.test('the same over TLS, where tickets arrive before any answer', async (t) => {
  const { cert, key } = selfSigned('127.0.0.1')
  const seen = new Map<Socket, number>()
  let requests = 0
  const server = createTlsServer({ cert, key }, (request, response) => {
    requests++
    const count = (seen.get(request.socket) ?? 0) + 1
    seen.set(request.socket, count)
    if (count === 2) request.socket.destroy()
    else response.end('ok')
  })
  const at = await listening(t, server)
  const { rejectUnauthorized } = { rejectUnauthorized: process.env.NODE_TLS_REJECT_UNAUTHORIZED }
  process.env.NODE_TLS_REJECT_UNAUTHORIZED = '0'
  t.teardown(() => {
    if (rejectUnauthorized === undefined) delete process.env.NODE_TLS_REJECT_UNAUTHORIZED
    else process.env.NODE_TLS_REJECT_UNAUTHORIZED = rejectUnauthorized
  })
  const { app, port } = await forwarder({
    upstreams: [upstream({ target: `https://127.0.0.1:${at}`, retry: true })],
  })
  t.teardown(() => app.close())
  for (let i = 0; i < 4; i++) t.equal((await exchange(port, head('GET /api/a'))).status, 200)
  t.equal(requests, 7)
})

async function listening(t: Test, server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  t.teardown(() => {
    server.closeAllConnections()
    server.close()
  })
  return (server.address() as AddressInfo).port
}

t.test(
  'a connection has a maximum age, so that a name that moves is followed (linkerd2 #5209, H-23)',
  async (t) => {
    const answers = (text: string) => createServer((_request, response) => response.end(text))
    const old = answers('old')
    const port = await listening(t, old)
    const young = answers('new')
    await new Promise<void>((resolve) => young.listen(port, '127.0.0.2', resolve))
    t.teardown(() => {
      young.closeAllConnections()
      young.close()
    })
    let address = '127.0.0.1'
    const { lookup } = dns
    t.teardown(() => {
      dns.lookup = lookup
    })
    const answered = (name: string, options: dns.LookupOptions, callback: (...result: unknown[]) => void) => {
      if (name !== 'orders.test') Reflect.apply(lookup, dns, [name, options, callback])
      else setImmediate(() => callback(null, ...(options.all ? [[{ address, family: 4 }]] : [address, 4])))
    }
    dns.lookup = answered as unknown as typeof lookup
    const connectionMaxAgeMs = 500
    const { app, port: gateway } = await forwarder({
      upstreams: [upstream({ target: `http://orders.test:${port}`, connectionMaxAgeMs })],
    })
    t.teardown(() => app.close())
    const ask = async () => (await exchange(gateway, head('GET /api/a'))).body.toString()
    t.match(await ask(), 'old')
    address = '127.0.0.2'
    t.match(await ask(), 'old', 'the old server answers still, and its connection is young')
    const begun = performance.now()
    let answer = ''
    // Steady traffic: the connection is never idle for long.
    while (!answer.includes('new') && performance.now() - begun < 5000) answer = await ask()
    t.match(answer, 'new')
    t.ok(performance.now() - begun < 2000)
  },
)

t.test('an old connection takes no further request, and keeps the one that it has', async (t) => {
  const { api, port, ask } = await setUp(t, { connectionMaxAgeMs: 50 })
  const held: Socket[] = []
  api.respond = (socket) => held.push(socket)
  const slow = new WireClient(port).send(head('GET /api/a'))
  await until(() => held.length === 1)
  await new Promise((resolve) => setTimeout(resolve, 100))
  t.equal(api.sockets.size, 1, 'it is in use')
  held[0]?.write(OK)
  t.equal((await slow.answer()).status, 200)
  api.respond = (socket) => socket.write(OK)
  t.equal(await ask(), 200)
  await until(() => held[0]?.destroyed === true)
  t.equal(api.sockets.size, 1, 'another one')
  slow.socket.destroy()
})

t.test('nothing is kept of sessions that hold nothing', async (t) => {
  const connections = new Connections('http://127.0.0.1:9', upstream({ target: 'http://a' }), () =>
    performance.now(),
  )
  t.teardown(() => connections.close())
  for (let i = 0; i < 100; i++) {
    const applicant = { grantId: `grant ${i}`, granted: () => {}, notGranted: () => {} }
    const connection = connections.take(applicant)
    if (connection === null) throw new Error('none is in use')
    if (i % 2 === 0) connections.becomeStream(connection)
    connections.release(connection)
    connections.release(connection)
  }
  t.equal(connections.load, 0)
})
