import { once } from 'node:events'
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { Upstream } from '../../../gateway/config/schemas/gateway.ts'
import type { Session } from '../../../plugin/index.ts'
import { type ForwarderSetup, forwarder, HOST, head, upstream } from '../../support/forwarder.ts'
import { startGatewayStack } from '../../support/gateway-stack.ts'
import { NativeApp } from '../../support/native-app.ts'
import { testStore } from '../../support/plugin-app.ts'
import { until } from '../../support/wait.ts'
import { acceptHandshake, CLOSE, framesOf, handshake } from '../../support/websocket.ts'
import { exchange, RawUpstream, type Responder, valuesOf, WireClient } from '../../support/wire.ts'

/** Sessions that end when the test says so. */
function endings() {
  const listeners = new Set<() => void>()
  const onSessionEnd = (_session: Session, listener: () => void) => {
    listeners.add(listener)
    return () => listeners.delete(listener)
  }
  return { listeners, onSessionEnd, end: () => [...listeners].map((listener) => listener()) }
}

async function setUp(
  t: Test,
  respond: Responder,
  own: Partial<Upstream> = {},
  setup: Partial<ForwarderSetup> = {},
) {
  const api = new RawUpstream()
  api.respond = respond
  const target = await api.listen()
  const sessions = endings()
  const { app, port } = await forwarder({
    upstreams: [upstream({ target, ...own })],
    onSessionEnd: sessions.onSessionEnd,
    ...setup,
  })
  t.teardown(async () => {
    await api.close()
    await app.close()
  })
  return { api, port, app, sessions }
}

const eventStream: Responder = (socket) =>
  socket.write(
    'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n',
  )
const longAnswer: Responder = (socket) =>
  socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nhalf\r\n')

t.test('an event stream ends whole with its session, on both sides (H-30)', async (t) => {
  const { port, api, sessions } = await setUp(t, eventStream)
  const client = new WireClient(port).send(head('GET /api/events'))
  await client.untilReceived('data: 1')
  t.equal(sessions.listeners.size, 1)
  const gone = once(api.events, 'close')
  sessions.end()
  await client.untilReceived('0\r\n\r\n')
  t.match(client.received.toString(), /0\r\n\r\n$/, 'the client knows it is over, and comes back')
  await gone
  t.equal(sessions.listeners.size, 0)
  client.socket.destroy()
})

t.test('an upload that takes long ends with its session, before any answer (H-30)', async (t) => {
  const { port, api, sessions } = await setUp(t, () => {}, { bodyLimitBytes: 1_000_000 })
  api.early = true
  const client = new WireClient(port).send(`${head('POST /api/files', 'Content-Length: 1000')}half`)
  t.teardown(() => client.socket.destroy())
  await once(api.events, 'head')
  await until(() => sessions.listeners.size === 1)
  const gone = once(api.events, 'close')
  sessions.end()
  await gone
  t.equal((await client.untilClose()).length, 0)
  t.equal(sessions.listeners.size, 0)
})

t.test(
  'an upload that is answered by an event stream is watched once, and forgotten at its end',
  async (t) => {
    const { port, api, sessions } = await setUp(t, eventStream, { bodyLimitBytes: 1_000_000 })
    const client = new WireClient(port).send(`${head('POST /api/files', 'Content-Length: 4')}half`)
    t.teardown(() => client.socket.destroy())
    await client.untilReceived('data: 1')
    await until(() => sessions.listeners.size === 1)
    await new Promise((resolve) => setTimeout(resolve, 2500))
    t.equal(sessions.listeners.size, 1)
    for (const socket of api.sockets) socket.end('0\r\n\r\n')
    await until(() => sessions.listeners.size === 0)
  },
)

t.test('a client that does not read loses its event stream all the same', async (t) => {
  const { port, sessions, app } = await setUp(t, (socket) => {
    eventStream(socket, { requestLine: '', headerLines: [], body: Buffer.alloc(0) })
    const event = `10000\r\n${'x'.repeat(65_536)}\r\n`
    for (let i = 0; i < 300; i++) socket.write(event)
  })
  const connected = once(app.server, 'connection') as Promise<[Socket]>
  const client = new WireClient(port).send(head('GET /api/events'))
  const [serverSide] = await connected
  await client.untilReceived('data: 1')
  client.socket.pause()
  // Until the buffers of the system are full, too.
  for (let before = -1; before !== serverSide.bytesWritten; ) {
    before = serverSide.bytesWritten
    await new Promise((resolve) => setTimeout(resolve, 300))
  }
  sessions.end()
  const open = () => new Promise<number>((resolve) => app.server.getConnections((_, count) => resolve(count)))
  while ((await open()) > 0) await new Promise((resolve) => setTimeout(resolve, 50))
  client.socket.destroy()
  t.equal(sessions.listeners.size, 0)
})

t.test('a long answer breaks off when its session ends: it must not look whole (H-30)', async (t) => {
  const { port, api, sessions } = await setUp(t, longAnswer)
  const client = new WireClient(port).send(head('GET /api/long'))
  await client.untilReceived('half')
  t.equal(sessions.listeners.size, 0, 'it is not a long one yet')
  await until(() => sessions.listeners.size === 1)
  const gone = once(api.events, 'close')
  sessions.end()
  t.notMatch((await client.untilClose()).toString(), '0\r\n\r\n')
  await gone
  t.equal(sessions.listeners.size, 0)
})

t.test('ordinary answers ask for no notification, and a finished stream gives its own back', async (t) => {
  const { port, api, sessions } = await setUp(t, (socket, { requestLine }) =>
    requestLine.includes('events')
      ? eventStream(socket, { requestLine, headerLines: [], body: Buffer.alloc(0) })
      : socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'),
  )
  let asked = 0
  const { add } = sessions.listeners
  sessions.listeners.add = (listener) => {
    asked++
    return add.call(sessions.listeners, listener)
  }
  await exchange(port, head('GET /api/a'))
  t.equal(asked, 0)
  const client = new WireClient(port).send(head('GET /api/events'))
  await client.untilReceived('data: 1')
  t.equal(asked, 1)
  for (const socket of api.sockets) socket.write('0\r\n\r\n')
  await client.untilReceived('0\r\n\r\n')
  await until(() => sessions.listeners.size === 0)
  client.socket.destroy()
})

t.test('closing the gateway ends event streams at once, and lets other answers finish (K-07)', async (t) => {
  const { port, api, app } = await setUp(t, (socket, request) =>
    (request.requestLine.includes('events') ? eventStream : longAnswer)(socket, request),
  )
  const events = new WireClient(port).send(head('GET /api/events'))
  const long = new WireClient(port).send(head('GET /api/long'))
  await Promise.all([events.untilReceived('data: 1'), long.untilReceived('half')])
  const closing = app.close()
  await events.untilReceived('0\r\n\r\n')
  for (const socket of api.sockets) if (!socket.destroyed) socket.write('4\r\nhalf\r\n0\r\n\r\n')
  await long.untilReceived('0\r\n\r\n')
  t.match(long.received.toString(), /half\r\n4\r\nhalf\r\n0\r\n\r\n$/)
  for (const client of [events, long]) client.socket.destroy()
  await closing
})

t.test('the whole gateway: a logout ends streams and WebSockets within a second (H-29, H-30)', async (t) => {
  const api = new RawUpstream()
  t.teardown(() => api.close())
  api.respond = (socket, request) => {
    if (valuesOf(request, 'upgrade').length > 0) acceptHandshake(socket, request)
    else eventStream(socket, request)
  }
  const target = await api.listen()
  const store = testStore()
  const stack = await startGatewayStack(
    t,
    (config) => ({ ...config, upstreams: [{ prefix: '/api', target, websocket: true }] }),
    { store },
  )
  const open = async (accessToken: string) => {
    const own = (bytes: string) =>
      bytes.replace(HOST, `127.0.0.1:${stack.port}`).replace('Bearer good', `Bearer ${accessToken}`)
    const socket = new WireClient(stack.port).send(own(handshake('/api/ws')))
    t.equal((await socket.answer()).status, 101)
    const events = new WireClient(stack.port).send(own(head('GET /api/events')))
    await events.untilReceived('data: 1')
    return { socket, events }
  }
  const ended = async (
    { socket, events }: Awaited<ReturnType<typeof open>>,
    since: number,
    withinMs: number,
  ) => {
    const closing = framesOf(await socket.until(() => false).then(() => socket.received)).frames
    await events.untilReceived('0\r\n\r\n')
    t.ok(performance.now() - since < withinMs, `${performance.now() - since} ms`)
    for (const client of [socket, events]) client.socket.destroy()
    return closing
  }

  const app = new NativeApp(stack)
  const first = await app.login()
  const streams = await open(first.access_token)
  const refreshed = await app.refresh(first.refresh_token)
  t.equal(refreshed.status, 200)
  await new Promise((resolve) => setTimeout(resolve, 100))
  t.notOk(streams.socket.received.length, 'a refresh ends nothing')
  let since = performance.now()
  await app.revoke(String(refreshed.json.refresh_token))
  const [closing] = await ended(streams, since, 4500)
  t.match(closing, { opcode: CLOSE, payload: Buffer.from([0x03, 0xf0]) })

  // Nobody can say whether it is still live: it is not served for long.
  const second = await open((await app.login()).access_token)
  store.fail('read')
  since = performance.now()
  store.gap()
  await ended(second, since, 15_000)
  store.heal()
  store.resume()
})
