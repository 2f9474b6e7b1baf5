/**
 * The end of the listener: connections without a whole request under way do not hold it, those with one do, and a
 * balancer that has not noticed yet is served until then. (A browser's spare connection held it for all of graceMs.)
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import t, { type Test } from 'tap'
import { type ForwarderSetup, forwarder, HOST, head, upstream } from '../../support/forwarder.ts'
import { frameBytes, GOAWAY, HEADERS } from '../../support/http2.ts'
import { get, setUp as setUpHttp2 } from '../../support/http2-forwarder.ts'
import { until } from '../../support/wait.ts'
import { answerOk, field, RawUpstream, type Responder, WireClient } from '../../support/wire.ts'

/** Short of every timeout of the listener. */
const SOON_MS = 3000

async function setUp(t: Test, setup: Partial<ForwarderSetup> = {}) {
  const api = new RawUpstream()
  const { app, port } = await forwarder({ upstreams: [upstream({ target: await api.listen() })], ...setup })
  const sockets: Socket[] = []
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await api.close()
    await app.close()
  })
  const open = async (bytes = '') => {
    const client = new WireClient(port)
    sockets.push(client.socket)
    await once(client.socket, 'connect')
    return client.send(bytes)
  }
  return { api, app, port, open }
}

/** How long it takes, once everything that was sent has arrived. */
async function closing(app: { close(): Promise<unknown> }): Promise<number> {
  await new Promise((resolve) => setTimeout(resolve, 100))
  const from = performance.now()
  await app.close()
  return performance.now() - from
}

t.test('silent connections and halves of heads do not hold it (K-07)', async (t) => {
  const { app, open } = await setUp(t)
  await open()
  await open('GET /api/a HTTP/1.1\r\nHost: ')
  const kept = await open(head('GET /api/a'))
  t.equal((await kept.answer()).status, 200)
  kept.send('GET /api/b HTTP/1.1\r\n')
  t.ok((await closing(app)) < SOON_MS)
})

t.test('TLS connections without a handshake, or with nothing after it, do not hold it (K-07)', async (t) => {
  const { app, port, socket, frames } = await setUpHttp2(t)
  const silent = connect(port, '127.0.0.1').on('error', () => {})
  // The first bytes of a ClientHello.
  const begun = connect(port, '127.0.0.1', () => begun.write(Buffer.from('1603010200010001fc0303', 'hex')))
  begun.on('error', () => {})
  t.teardown(() => [silent, begun].forEach((one) => void one.destroy()))
  await socket({ ALPNProtocols: ['http/1.1'] })
  const half = await socket({ ALPNProtocols: ['http/1.1'] })
  half.write('GET /api/a HTTP/1.1\r\n')
  await socket({ ALPNProtocols: ['h2'] })
  const fields = await frames()
  // A field block whose end never comes.
  fields.socket.write(frameBytes(HEADERS, 0, 1, Buffer.from([0x82])))
  t.ok((await closing(app)) < SOON_MS)
})

t.test('what is on its way when it begins is answered, as the last of its connection (K-07)', async (t) => {
  const { app, open } = await setUp(t)
  const silent = await open()
  const half = await open('GET /api/b HTTP/1.1\r\n')
  const closed = app.close()
  await new Promise((resolve) => setTimeout(resolve, 100))
  silent.send(head('GET /api/a'))
  half.send(`Host: ${HOST}\r\nAuthorization: Bearer good\r\n\r\n`)
  for (const client of [silent, half]) {
    const answer = await client.answer()
    t.equal(answer.status, 200)
    t.equal(field(answer, 'connection'), 'close')
  }
  await closed
})

t.test('uploads and answers that are under way finish, however long they take (K-07)', async (t) => {
  const { api, app, open } = await setUp(t)
  const held: Parameters<Responder>[] = []
  api.respond = (...request) => held.push(request)
  const waiting = await open(head('GET /api/slow'))
  const uploading = await open(`${head('POST /api/upload', 'Content-Length: 8')}half`)
  await until(() => api.requests.length === 2)
  let isClosed = false
  const closed = app.close().then(() => {
    isClosed = true
  })
  // Longer than connections without a request are given.
  await new Promise((resolve) => setTimeout(resolve, 1000))
  t.notOk(isClosed)
  uploading.send('half')
  await until(() => held.length === 2)
  for (const request of held) answerOk(...request)
  t.same([(await waiting.answer()).status, (await uploading.answer()).status], [200, 200])
  await closed
})

t.test('a kept connection whose answer was already under way is closed after it (K-07)', async (t) => {
  const { api, app, open } = await setUp(t)
  let finish = () => {}
  api.respond = (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nhalf')
    finish = () => socket.write('half')
  }
  const client = await open(head('GET /api/a'))
  await once(client.socket, 'data')
  const closed = app.close()
  await new Promise((resolve) => setTimeout(resolve, 100))
  finish()
  await once(client.socket, 'close')
  await closed
})

t.test('before it closes, connections are accepted for one request each (K-07)', async (t) => {
  const leaving = new AbortController()
  const { open } = await setUp(t, { leaving: leaving.signal })
  const kept = await open(head('GET /api/a'))
  t.equal(field(await kept.answer(), 'connection'), 'keep-alive')
  leaving.abort()
  for (const client of [kept, await open()]) {
    for (const path of ['/api/b']) client.send(head(`GET ${path}`))
    const answer = await client.answer()
    t.same([answer.status, field(answer, 'connection'), answer.closed], [200, 'close', true])
  }
  const endpoint = await (await open(head('GET /oauth2/endpoint'))).answer()
  t.same([endpoint.status, field(endpoint, 'connection')], [200, 'close'], 'of the plugin too')
})

t.test('before it closes, HTTP/2 goes on; then its clients are told (K-07; RFC 9113 §6.8)', async (t) => {
  const leaving = new AbortController()
  const { app, frames, client } = await setUpHttp2(t, {}, { leaving: leaving.signal })
  const { ask } = await client()
  const wire = await frames()
  leaving.abort()
  t.equal((await ask({ ':path': '/api/a' })).status, 200)
  t.equal((await ask({ ':path': '/api/b' })).status, 200)
  t.equal((await (await client()).ask({ ':path': '/api/c' })).status, 200)
  t.notOk(wire.frames.some(({ type }) => type === GOAWAY))
  wire.request(1, get())
  t.equal(await wire.fate(1), 'HEADERS')
  await app.close()
  const { payload } = wire.frames.find(({ type }) => type === GOAWAY)!
  t.same([payload.readUInt32BE(0), payload.readUInt32BE(4)], [1, 0], 'Last-Stream-ID, error code')
})
