import { once } from 'node:events'
import { ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { Duplex } from 'node:stream'
import t, { type Test } from 'tap'
import type { Upstream } from '../../../gateway/config/schemas/gateway.ts'
import { responseOn } from '../../../gateway/listener/http1-connection.ts'
import { forwarder, HOST, head, upstream } from '../../support/forwarder.ts'
import { startGatewayStack } from '../../support/gateway-stack.ts'
import { until } from '../../support/wait.ts'
import { handshake } from '../../support/websocket.ts'
import { answerOk, exchange, field, RawUpstream, type Responder, WireClient } from '../../support/wire.ts'

async function setUp(t: Test, own: Partial<Upstream> = {}) {
  const api = new RawUpstream()
  const held: Parameters<Responder>[] = []
  const { app, port } = await forwarder({ upstreams: [upstream({ target: await api.listen(), ...own })] })
  t.teardown(async () => {
    await api.close()
    await app.close()
  })
  return { api, app, port, held, hold: (...request: Parameters<Responder>) => held.push(request) }
}

const lines = (api: RawUpstream) => api.requests.map(({ requestLine }) => requestLine)

t.test(
  'a pipelined request is run when its turn has come, and answered in order (RFC 9112 §9.3.2)',
  async (t) => {
    const { api, port, held, hold } = await setUp(t)
    api.respond = hold
    const client = new WireClient(port).send(
      head('GET /api/1') + head('GET /api/2') + head('GET /oauth2/endpoint'),
    )
    t.teardown(() => client.socket.destroy())
    await until(() => held.length === 1)
    await new Promise((resolve) => setTimeout(resolve, 50))
    t.same(lines(api), ['GET /1 HTTP/1.1'])
    answerOk(...held[0]!)
    t.equal((await client.answer()).status, 200)
    await until(() => held.length === 2)
    answerOk(...held[1]!)
    t.equal((await client.answer()).status, 200)
    t.equal((await client.answer()).body.toString(), '{"endpoint":true}')
  },
)

t.test('a refusal does not overtake the answer before it', async (t) => {
  const { api, port, held, hold } = await setUp(t)
  api.respond = hold
  const refused = `POST /api/2 HTTP/1.1\r\nHost: ${HOST}\r\nContent-Length: 1000\r\n\r\nhalf`
  const client = new WireClient(port).send(head('GET /api/1') + refused)
  t.teardown(() => client.socket.destroy())
  await until(() => held.length === 1)
  answerOk(...held[0]!)
  t.equal((await client.answer()).status, 200)
  const second = await client.answer()
  t.equal(second.status, 401)
  t.ok(second.closed)
})

t.test('what follows an answer that closes the connection is never run (RFC 9112 §9.6)', async (t) => {
  const { api, port } = await setUp(t)
  const closing = head('GET /api/1', 'Connection: close')
  const client = new WireClient(port).send(closing + head('POST /api/2', 'Content-Length: 0'))
  t.ok((await client.answer()).closed)
  await new Promise((resolve) => setTimeout(resolve, 50))
  t.same(lines(api), ['GET /1 HTTP/1.1'])
})

t.test('requests whose client has left hold no connection and reach no upstream (H-35)', async (t) => {
  const { api, port, hold } = await setUp(t, { connections: 2 })
  api.respond = hold
  for (let i = 0; i < 3; i++) {
    const before = api.requests.length
    const client = new WireClient(port).send(head('GET /api/slow') + head('GET /api/behind').repeat(3))
    await until(() => api.requests.length === before + 1)
    const gone = once(api.events, 'close')
    client.socket.resetAndDestroy()
    await gone
  }
  api.respond = answerOk
  t.equal((await exchange(port, head('GET /api/next'))).status, 200)
  t.equal(lines(api).filter((line) => line.includes('behind')).length, 0)
})

t.test('a connection on which too many requests wait is closed (H-22)', async (t) => {
  const { api, port, hold } = await setUp(t)
  api.respond = hold
  const client = new WireClient(port).send(head('GET /api/1').repeat(200))
  t.equal((await client.untilClose()).length, 0)
})

t.test('a client that was waiting for a connection and leaves costs the upstream none', async (t) => {
  const { api, port, held, hold } = await setUp(t, { connections: 1 })
  let connections = 0
  api.events.on('close', () => connections++)
  api.respond = hold
  const first = new WireClient(port).send(head('GET /api/first'))
  await until(() => held.length === 1)
  for (let i = 0; i < 5; i++) {
    const waiting = new WireClient(port).send(head('GET /api/waiting'))
    await new Promise((resolve) => setTimeout(resolve, 20))
    waiting.socket.destroy()
  }
  await new Promise((resolve) => setTimeout(resolve, 50))
  api.respond = answerOk
  answerOk(...held[0]!)
  t.equal((await first.answer()).status, 200)
  first.socket.destroy()
  t.equal((await exchange(port, head('GET /api/last'))).status, 200)
  t.equal(connections, 0, 'the one connection has served them all')
  t.same(lines(api), ['GET /first HTTP/1.1', 'GET /last HTTP/1.1'])
})

t.test('a reset behind CONNECT, or behind bytes that are too early, is nothing but a reset', async (t) => {
  const { port } = await setUp(t, { websocket: { origins: [], idleMs: 1000, maxMessageBytes: 1000 } })
  const early = `${handshake('/api/ws')}early`
  for (const request of [`CONNECT evil:1 HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`, early]) {
    for (let i = 0; i < 50; i++) {
      const socket = connect(port, '127.0.0.1')
      await once(socket, 'connect')
      socket.write(request, () => socket.resetAndDestroy())
      await once(socket, 'close')
    }
  }
  // An uncaught error would have ended the process by now.
  await new Promise((resolve) => setTimeout(resolve, 100))
  t.equal((await exchange(port, head('GET /api/x'))).status, 200)
})

t.test('CONNECT behind a request is not taken for the answer to it', async (t) => {
  const { api, port, held, hold } = await setUp(t)
  api.respond = hold
  const client = new WireClient(port).send(head('GET /api/1'))
  await until(() => held.length === 1)
  client.send(`CONNECT evil:1 HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)
  t.equal((await client.untilClose()).toString(), '')
})

t.test('a request with nonsense behind it is answered, and then the connection closes', async (t) => {
  const { api, port, held, hold } = await setUp(t)
  api.respond = hold
  const client = new WireClient(port).send(head('GET /api/1'))
  await until(() => held.length === 1)
  client.send('NONSENSE\r\n\r\n')
  await new Promise((resolve) => setTimeout(resolve, 50))
  client.send('more')
  answerOk(...held[0]!)
  const answer = await client.answer()
  t.equal(answer.status, 200)
  t.ok(answer.closed)
})

t.test(
  'an upgrade behind a refusal that has not left yet closes the connection, and ends nothing else',
  async (t) => {
    const api = new RawUpstream()
    const websocket = { origins: [], idleMs: 1000, maxMessageBytes: 1000 }
    const { app, port } = await forwarder({
      upstreams: [upstream({ target: await api.listen(), websocket })],
    })
    t.teardown(() => Promise.all([app.close(), api.close()]))
    /** The write of the second response: its reader has stopped. */
    let pending: (() => void) | undefined
    const connection = new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        if (chunk.toString('latin1').includes(' 417 ')) pending = done
        else done()
      },
    })
    connection.on('error', () => {})
    app.server.emit('connection', connection)
    connection.push(`GET /nowhere HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)
    connection.push(`GET /api/1 HTTP/1.1\r\nHost: ${HOST}\r\nExpect: tea\r\n\r\n`)
    await until(() => pending !== undefined)
    connection.push(handshake('/api/ws'))
    await until(() => connection.destroyed)
    t.same(lines(api), [])
    t.equal((await exchange(port, head('GET /api/2'))).status, 200, 'the process lives')
  },
)

t.test('an idle connection holds nothing of its last request', async (t) => {
  const { app, port } = await setUp(t)
  const connected = once(app.server, 'connection') as Promise<[Socket]>
  const client = new WireClient(port).send(head('GET /api/1'))
  t.teardown(() => client.socket.destroy())
  const [socket] = await connected
  t.equal((await client.answer()).status, 200)
  await until(() => responseOn(socket) === null)
  const held = Object.getOwnPropertySymbols(socket).map((symbol) => Reflect.get(socket, symbol) as unknown)
  t.notOk(held.some((value) => value instanceof ServerResponse))
})

t.test('an answer that is no HTTP is a malformed one in the log (RFC 9112 §4)', async (t) => {
  const api = new RawUpstream()
  api.respond = (socket) => socket.end('HELLO\r\n\r\n')
  const { app, port, logged } = await forwarder({ upstreams: [upstream({ target: await api.listen() })] })
  t.teardown(() => Promise.all([app.close(), api.close()]))
  t.equal((await exchange(port, head('GET /api/x'))).status, 502)
  t.match(logged.join(''), /answer_malformed/)
})

t.test('every method that an endpoint lacks is a 405 with Allow, whatever its name (H-18)', async (t) => {
  const { port, publicUrl } = await startGatewayStack(t)
  const host = new URL(publicUrl).host
  for (const method of ['PROPFIND', 'M-SEARCH', 'PUT', 'HEAD', 'TRACE']) {
    const request = `${method} /oauth2/token HTTP/1.1\r\nHost: ${host}\r\n\r\n`
    const answer = await exchange(port, request, method === 'HEAD')
    t.equal(answer.status, 405, method)
    t.equal(field(answer, 'allow'), 'POST', method)
  }
})
