/** `unix:` targets, and what an answer may have of header. */

import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { forwarder, head, upstream } from '../../../support/forwarder.ts'
import { acceptHandshake, frame, handshake, TEXT } from '../../../support/websocket.ts'
import { exchange, field, RawUpstream, WireClient } from '../../../support/wire.ts'

async function listen(t: Test) {
  // The name of a socket is short.
  const folder = mkdtempSync(join(tmpdir(), 'socket-'))
  const path = join(folder, 'api.sock')
  const api = createServer((request, response) => {
    if (request.url?.includes('moved'))
      response.setHeader('location', `http://${request.headers.host}/v1/new`)
    response.end(`${request.method} ${request.url} ${request.headers.host}`)
  })
  api.on('upgrade', (request, socket) => {
    const lines = Object.entries(request.headers).map(([name, value]) => `${name}: ${value}`)
    acceptHandshake(socket as never, { requestLine: '', headerLines: lines, body: Buffer.alloc(0) })
    socket.write(frame(TEXT, 'by socket'))
    socket.on('error', () => {}).on('end', () => socket.destroy())
    socket.resume()
  })
  api.listen(path)
  await once(api, 'listening')
  t.teardown(() => {
    api.close().closeAllConnections()
    rmSync(folder, { recursive: true, force: true })
  })
  return { api, path }
}

t.test('an upstream can be a socket of this machine (unix:)', async (t) => {
  const { api, path } = await listen(t)
  const websocket = { origins: [], idleMs: 5000, maxMessageBytes: 1000 }
  const { app, port } = await forwarder({
    upstreams: [
      upstream({ prefix: '/api', target: `unix:${path}`, websocket }),
      upstream({ prefix: '/v2', target: `unix://${path}:/v1`, host: 'public' }),
    ],
  })
  t.teardown(() => app.close())
  const ask = (target: string, method = 'GET') => exchange(port, head(`${method} ${target}`))
  t.equal((await ask('/api/a?b')).body.toString(), 'GET /a?b localhost')
  t.equal((await ask('/v2/a', 'DELETE')).body.toString(), 'DELETE /v1/a gateway.example')
  t.equal(field(await ask('/api/moved'), 'location'), 'https://gateway.example/api/v1/new')
  const client = new WireClient(port)
  t.teardown(() => client.socket.destroy())
  let received = ''
  client.socket.on('data', (bytes) => {
    received += bytes.toString('latin1')
  })
  client.send(handshake('/api/ws'))
  while (!received.includes('by socket')) await once(client.socket, 'data')
  t.match(received, /^HTTP\/1\.1 101 /)
  client.socket.destroy()
  const closed = once(api, 'close')
  api.close().closeAllConnections()
  await closed
  t.equal((await ask('/api/a')).status, 502, 'and one that is gone is like any other that cannot be reached')
})

t.test('a header of up to responseHeaderBytes arrives, a larger one is a 502 (H-25)', async (t) => {
  const api = new RawUpstream()
  const target = await api.listen()
  const { app, port } = await forwarder({
    upstreams: [
      upstream({ prefix: '/default', target }),
      upstream({ prefix: '/small', target, responseHeaderBytes: 4096 }),
    ],
  })
  t.teardown(() => Promise.all([app.close(), api.close()]))
  api.respond = (socket, { requestLine }) => {
    const size = Number(/size=(\d+)/.exec(requestLine)?.[1])
    const lines = Array.from({ length: size / 1000 }, (_, n) => `x-${n}: ${'v'.repeat(980)}\r\n`).join('')
    socket.write(`HTTP/1.1 200 OK\r\n${lines}content-length: 2\r\n\r\nok`)
  }
  const status = async (path: string) => (await exchange(port, head(`GET ${path}`))).status
  for (const size of [3000, 15_000, 24_000, 60_000]) t.equal(await status(`/default/a?size=${size}`), 200)
  t.equal(await status('/default/a?size=80000'), 502)
  t.equal(await status('/small/a?size=3000'), 200)
  t.equal(await status('/small/a?size=6000'), 502)
})
