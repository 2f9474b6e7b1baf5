import { once } from 'node:events'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { Upstream } from '../../../../gateway/config/schemas/gateway.ts'
import { type ForwarderSetup, forwarder, head, session, upstream } from '../../../support/forwarder.ts'
import { setUp as setUpHttp2 } from '../../../support/http2-forwarder.ts'
import { until } from '../../../support/wait.ts'
import { acceptHandshake, handshake } from '../../../support/websocket.ts'
import { exchange, field, RawUpstream, type Responder, WireClient } from '../../../support/wire.ts'

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const STREAM = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n'
const WEBSOCKET = { origins: [], idleMs: 5000, maxMessageBytes: 1000 }

/** Every token is a session. */
const resolve = (token: string) => session({ grantId: token, tokenHash: token })

/** A request of this session. */
const of = (name: string, request: string) => request.replace('Bearer good', `Bearer ${name}`)

/** Answers by path: an event stream, nothing, a handshake, or `ok`. */
const api: Responder = (socket, request) => {
  if (request.requestLine.includes('/stream')) socket.write(STREAM)
  else if (request.requestLine.includes('/ws')) acceptHandshake(socket, request)
  else if (!request.requestLine.includes('/slow')) socket.write(OK)
}

async function setUp(t: Test, own: Partial<Upstream> = {}, setup: Partial<ForwarderSetup> = {}) {
  const raw = new RawUpstream()
  raw.respond = api
  const target = await raw.listen()
  const timeouts = { connectMs: 500, headersMs: 5000, idleMs: 5000 }
  const { app, port, logged } = await forwarder({
    upstreams: [upstream({ target, timeouts, websocket: WEBSOCKET, ...own })],
    resolve,
    ...setup,
  })
  const clients: WireClient[] = []
  t.teardown(async () => {
    for (const { socket } of clients) socket.destroy()
    await raw.close()
    await app.close()
  })
  /** Sends it from each of `count` connections. */
  const flood = (count: number, request: string) => {
    const all = Array.from({ length: count }, () => new WireClient(port).send(request))
    clients.push(...all)
    return all
  }
  const ask = async (name: string, path = '/api/a') =>
    (await exchange(port, of(name, head(`GET ${path}`)))).status
  return { raw, app, port, logged, flood, ask }
}

const attacks: Record<string, string> = {
  'event streams': head('GET /api/stream'),
  'uploads that drip': `${head('POST /api/slow', 'Content-Length: 1000')}a`,
  'uploads that never begin': head('POST /api/slow', 'Content-Length: 1000', 'Expect: 100-continue'),
  'slow GETs': head('GET /api/slow'),
  WebSockets: handshake('/api/ws'),
}

/** Milliseconds below which 99 of 100 are, and the most. */
const spread = (durations: number[]) => {
  const sorted = durations.sort((a, b) => a - b)
  return `p99 ${sorted[Math.ceil(0.99 * sorted.length) - 1]!.toFixed(1)} ms, max ${sorted.at(-1)!.toFixed(1)} ms`
}

for (const [attack, request] of Object.entries(attacks)) {
  t.test(`one session with 70 ${attack}: all calls of another one succeed (H-22)`, async (t) => {
    for (const connections of [8, 64]) {
      const own = { connections, connectionsPerSession: connections / 4 }
      const { raw, port, flood } = await setUp(t, own)
      const greedy = flood(70, of('greedy', request))
      // undici sends a head along with the first piece of its body.
      if (attack === 'uploads that never begin') await new Promise((resolve) => setTimeout(resolve, 200))
      else await until(() => raw.requests.length >= connections / 4)
      const durations: number[] = []
      const call = async (n: number) => {
        const startedAt = performance.now()
        const answer = await exchange(port, of(`user-${n}`, head('GET /api/a')))
        durations.push(performance.now() - startedAt)
        return answer
      }
      for (let i = 0; i < 50; i++) {
        const answers = await Promise.all([1, 2, 3].map(call))
        t.same(
          answers.map(({ status }) => status),
          [200, 200, 200],
        )
      }
      t.comment(`${connections} connections, ${durations.length} calls of others: ${spread(durations)}`)
      for (const { socket } of greedy) socket.destroy()
    }
  })
}

t.test(
  'a session holds its share and not one connection more; then 429, and the log says why (H-22)',
  async (t) => {
    const { raw, logged, flood, ask } = await setUp(t, { connections: 8, connectionsPerSession: 2 })
    const greedy = flood(6, of('greedy', head('GET /api/slow')))
    const refused = await Promise.all(greedy.slice(2).map((client) => client.answer()))
    for (const answer of refused) {
      t.equal(answer.status, 429)
      t.match(JSON.parse(answer.body.toString()), { code: 'too_many_requests' })
      t.equal(field(answer, 'retry-after'), '1', 'as soon as one of its own has ended (RFC 6585 §4)')
    }
    t.equal(raw.sockets.size, 2)
    const line = JSON.parse(logged.at(-1) ?? '')
    t.match(line, {
      limit: 'upstreams[].connectionsPerSession',
      route: '/api',
      requestId: String,
      grant: /^[0-9a-f]{8}$/,
    })
    t.notMatch(logged.join(''), 'greedy', 'the grant is not told')
    t.equal(await ask('other'), 200)
  },
)

t.test('who waits for his own share is served as it gets free, in order', async (t) => {
  const { raw, flood } = await setUp(t, { connections: 8, connectionsPerSession: 1 })
  const answered: string[] = []
  raw.respond = (socket, { requestLine }) => {
    answered.push(requestLine)
    setImmediate(() => socket.write(OK))
  }
  const paths = Array.from({ length: 30 }, (_, i) => `GET /api/${i}`)
  const clients = paths.map((path) => flood(1, of('one', head(path)))[0]!)
  for (const client of clients) t.equal((await client.answer()).status, 200)
  t.equal(answered.length, 30)
  t.equal(raw.sockets.size, 1, 'on one connection')
})

t.test('sessions that wait take turns: a flood does not come first because it came first', async (t) => {
  const { raw, flood } = await setUp(t, { connections: 1, connectionsPerSession: 1 })
  const order: string[] = []
  const held: Socket[] = []
  raw.respond = (socket, { requestLine }) => {
    order.push(requestLine.split(' ')[1] ?? '')
    held.push(socket)
  }
  flood(1, of('first', head('GET /api/first')))
  await until(() => held.length === 1)
  for (let i = 0; i < 5; i++) {
    flood(1, of('greedy', head('GET /api/greedy')))
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
  flood(1, of('late', head('GET /api/late')))
  await new Promise((resolve) => setTimeout(resolve, 20))
  for (let i = 0; i < 3; i++) {
    held[i]?.write(OK)
    await until(() => held.length === i + 2)
  }
  t.same(order, ['/first', '/greedy', '/late', '/greedy'])
})

t.test(
  'a connection that all want is not had by a share, but waited for: 503, and the log names the limit (K-06)',
  async (t) => {
    const { raw, logged, flood, ask } = await setUp(t, { connections: 2, connectionsPerSession: 1 })
    for (const name of ['a', 'b']) flood(1, of(name, head('GET /api/slow')))
    await until(() => raw.requests.length === 2)
    t.equal(await ask('c'), 503)
    t.match(JSON.parse(logged.at(-1) ?? ''), {
      limit: 'upstreams[].connections',
      err: { reason: 'no_connection' },
    })
  },
)

t.test('public routes have no sessions, and so no shares', async (t) => {
  const { raw, port, flood } = await setUp(t, {
    connections: 4,
    connectionsPerSession: 1,
    public: true,
    credentials: 'none',
  })
  flood(3, head('GET /api/slow'))
  await until(() => raw.requests.length === 3)
  t.equal((await exchange(port, head('GET /api/a'))).status, 200)
})

t.test(
  'event streams and WebSockets of a session have a limit of their own -> 429 (H-22, K-05)',
  async (t) => {
    const { raw, logged, flood, ask } = await setUp(t, {
      connections: 8,
      connectionsPerSession: 2,
      streamsPerSession: 5,
    })
    const streams = flood(3, of('one', head('GET /api/stream')))
    const sockets = flood(2, of('one', handshake('/api/ws')))
    await Promise.all(streams.map((client) => client.untilReceived('data: 1')))
    await Promise.all(sockets.map((client) => client.untilReceived('101')))
    for (const request of [head('GET /api/stream'), handshake('/api/ws')]) {
      const [client] = flood(1, of('one', request))
      const answer = await client!.answer()
      t.equal(answer.status, 429)
      t.match(JSON.parse(answer.body.toString()), { code: 'too_many_streams' })
      t.equal(field(answer, 'retry-after'), '5')
      t.match(JSON.parse(logged.at(-1) ?? ''), { limit: 'upstreams[].streamsPerSession' })
    }
    await until(() => raw.sockets.size === 5)
    t.equal(await ask('one'), 200, 'ordinary requests do not count with them')
    streams[0]?.socket.destroy()
    sockets[0]?.socket.destroy()
    await until(() => raw.sockets.size <= 4)
    for (const request of [head('GET /api/stream'), handshake('/api/ws')]) {
      const [client] = flood(1, of('one', request))
      await client!.untilReceived('\r\n\r\n')
      t.match(client!.received.toString(), /^HTTP\/1\.1 (?:200|101) /)
    }
  },
)

t.test('an event stream that has ended leaves its connection to others', async (t) => {
  const { raw, port, ask } = await setUp(t)
  raw.respond = (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n')
    setTimeout(() => socket.write('5\r\ndata:\r\n0\r\n\r\n'), 20)
  }
  t.equal((await exchange(port, of('one', head('GET /api/stream')))).status, 200)
  raw.respond = api
  t.equal(await ask('one'), 200)
  t.equal(raw.sockets.size, 1)
})

/** Each ends one request in its own way. */
const endings: Record<string, (given: Awaited<ReturnType<typeof setUp>>) => Promise<unknown>> = {
  'an answer': ({ ask }) => ask('one'),
  'HEAD, 204 and 304': async ({ raw, port }) => {
    raw.respond = (socket, { requestLine }) => {
      const [, status] = requestLine.match(/\/(\d+) /) ?? []
      socket.write(`HTTP/1.1 ${status} X\r\n\r\n`)
    }
    for (const request of ['GET /api/204', 'GET /api/304']) await exchange(port, of('one', head(request)))
    await exchange(port, of('one', head('HEAD /api/200')), true)
  },
  'a client that leaves before the answer': async ({ raw, flood }) => {
    const [client] = flood(1, of('one', head('GET /api/slow')))
    await until(() => raw.requests.length === 1)
    client!.socket.destroy()
  },
  'a client that leaves in mid-upload': async ({ raw, flood }) => {
    const [client] = flood(1, of('one', `${head('POST /api/a', 'Content-Length: 100')}half`))
    await until(() => raw.sockets.size === 1)
    client!.socket.destroy()
  },
  'a client that leaves before its body was looked at': async ({ flood }) => {
    const [client] = flood(1, of('one', head('POST /api/a', 'Content-Length: 100')))
    await once(client!.socket, 'connect')
    client!.socket.resetAndDestroy()
  },
  'a client that leaves while it waits': async ({ raw, flood }) => {
    const [busy] = flood(1, of('one', head('GET /api/slow')))
    await until(() => raw.requests.length === 1)
    for (const client of flood(3, of('one', head('GET /api/never')))) {
      await new Promise((resolve) => setTimeout(resolve, 20))
      client.socket.destroy()
    }
    await new Promise((resolve) => setTimeout(resolve, 20))
    busy!.socket.destroy()
  },
  'a body that is too large': async ({ port }) => {
    const chunk = `3e9\r\n${'a'.repeat(1001)}\r\n0\r\n\r\n`
    const request = `${head('POST /api/a', 'Transfer-Encoding: chunked')}${chunk}`
    return (await exchange(port, of('one', request))).status
  },
  'an answer before the upload has ended': async ({ raw, port }) => {
    raw.early = true
    return exchange(port, of('one', `${head('POST /api/a', 'Content-Length: 100')}half`))
  },
  'an upstream that breaks off': async ({ raw, ask }) => {
    raw.respond = (socket) => socket.resetAndDestroy()
    return ask('one')
  },
  'an answer that breaks off in its middle': async ({ raw, flood }) => {
    raw.respond = (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf')
    return flood(1, of('one', head('GET /api/a')))[0]!.untilClose()
  },
  'an answer that is no HTTP': async ({ raw, ask }) => {
    raw.respond = (socket) => socket.write('nonsense\r\n\r\n')
    return ask('one')
  },
  'an answer that may not be passed on': async ({ raw, ask }) => {
    raw.respond = (socket) =>
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\n')
    return ask('one')
  },
  'a handshake that is refused': async ({ raw, port }) => {
    raw.respond = (socket) => socket.write('HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n')
    return exchange(port, of('one', handshake('/api/ws')))
  },
  'a handshake that is answered wrongly': async ({ raw, port }) => {
    raw.respond = (socket) =>
      socket.write('HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n')
    return exchange(port, of('one', handshake('/api/ws')))
  },
  'a WebSocket that the client closes': async ({ flood }) => {
    const [client] = flood(1, of('one', handshake('/api/ws')))
    await client!.untilReceived('101')
    client!.socket.destroy()
  },
  'a WebSocket that the upstream closes': async ({ raw, flood }) => {
    const [client] = flood(1, of('one', handshake('/api/ws')))
    await client!.untilReceived('101')
    for (const socket of raw.sockets) socket.resetAndDestroy()
  },
  'an event stream that the client leaves': async ({ flood }) => {
    const [client] = flood(1, of('one', head('GET /api/stream')))
    await client!.untilReceived('data: 1')
    client!.socket.destroy()
  },
  'an event stream that the upstream resets': async ({ raw, flood }) => {
    const [client] = flood(1, of('one', head('GET /api/stream')))
    await client!.untilReceived('data: 1')
    for (const socket of raw.sockets) socket.resetAndDestroy()
  },
}

for (const [ending, end] of Object.entries(endings)) {
  t.test(`${ending} gives back what the session held (H-22, H-35)`, async (t) => {
    const given = await setUp(t, { connections: 1, connectionsPerSession: 1, streamsPerSession: 1 })
    for (let times = 0; times < 3; times++) {
      given.raw.requests.length = 0
      await end(given)
      given.raw.respond = api
      given.raw.early = false
      t.equal(await given.ask('one'), 200, 'a connection')
      let status = 0
      // The stream before it ends at about this time.
      for (let tries = 0; tries < 50 && status !== 200; tries++) {
        const [stream] = given.flood(1, of('one', head('GET /api/stream')))
        await stream!.untilReceived('\r\n\r\n')
        status = Number(stream!.received.toString().split(' ')[1])
        stream!.socket.destroy()
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      t.equal(status, 200, 'a stream')
    }
  })
}

t.test('a target that cannot be reached gives everything back', async (t) => {
  const { ask, raw } = await setUp(t, { connections: 1, connectionsPerSession: 1 })
  await raw.close()
  for (let i = 0; i < 5; i++) t.equal(await ask('one'), 502)
})

t.test('the streams of one HTTP/2 connection are one session, as its connections are (H-34)', async (t) => {
  const { client, api: raw } = await setUpHttp2(
    t,
    { connections: 8, connectionsPerSession: 2, timeouts: { connectMs: 300, headersMs: 5000, idleMs: 5000 } },
    { resolve },
  )
  raw.respond = api
  const { open } = await client()
  const path = { ':path': '/api/slow', ':method': 'GET' }
  const streams = Array.from({ length: 70 }, () => open({ ...path, authorization: 'Bearer greedy' }))
  const refused = streams.map((stream) =>
    once(stream, 'response').then(([fields]) => Number(fields[':status'])),
  )
  for (const stream of streams) stream.on('error', () => {}).resume()
  await until(() => raw.requests.length === 2)
  const other = open({ ':path': '/api/a', ':method': 'GET', authorization: 'Bearer other' })
  const [fields] = await once(other, 'response')
  other.resume()
  t.equal(fields[':status'], 200)
  const statuses: number[] = []
  for (const one of refused) void one.then((status) => statuses.push(status))
  await until(() => statuses.length === 68)
  t.ok(statuses.every((status) => status === 429))
  t.equal(raw.sockets.size, 3)
})

t.test('a refusal for a share lets a browser read it', async (t) => {
  const { flood } = await setUp(t, { connections: 4, connectionsPerSession: 1 })
  flood(1, of('one', head('GET /api/slow')))
  await new Promise((resolve) => setTimeout(resolve, 50))
  const [client] = flood(1, of('one', head('GET /api/slow', 'Origin: https://app.example')))
  const answer = await client!.answer()
  t.equal(answer.status, 429)
  t.equal(field(answer, 'access-control-allow-origin'), 'https://app.example')
})
