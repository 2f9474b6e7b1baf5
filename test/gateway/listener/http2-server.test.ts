/** HTTP/2 to clients (`listen.http2`): its connections, and what stays with HTTP/1.1 beside it. */

import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import t from 'tap'
import { Agent, fetch, getGlobalDispatcher, setGlobalDispatcher } from 'undici'
import { gatewayConfig } from '../../../gateway/config/load.ts'
import { watchCertificate } from '../../../gateway/operations/certificate.ts'
import { ConfigError } from '../../../plugin/index.ts'
import { selfSigned } from '../../support/certificate.ts'
import { HOST, head } from '../../support/forwarder.ts'
import { startGatewayStack } from '../../support/gateway-stack.ts'
import { answerOf, frameBytes, RST_STREAM } from '../../support/http2.ts'
import { CANCEL, certificate, files, get, setUp } from '../../support/http2-forwarder.ts'
import { NativeApp, send } from '../../support/native-app.ts'
import { until } from '../../support/wait.ts'
import { ACCEPT, acceptHandshake, frame, handshake, TEXT } from '../../support/websocket.ts'

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
  // The fetch that Node has brought along is of another undici, for which undici 8 speaks HTTP/1.1 alone.
  t.intercept(globalThis, 'fetch', { value: fetch })
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
