import { once } from 'node:events'
import { renameSync, symlinkSync, writeFileSync } from 'node:fs'
import { request } from 'node:https'
import { connect as connectPlain } from 'node:net'
import { join } from 'node:path'
import { connect, type PeerCertificate, type TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import { gatewayConfig } from '../../../gateway/config/load.ts'
import { watchCertificate } from '../../../gateway/operations/certificate.ts'
import { ConfigError } from '../../../plugin/index.ts'
import { selfSigned } from '../../support/certificate.ts'
import { forwarder, HOST, head, upstream } from '../../support/forwarder.ts'
import { until } from '../../support/wait.ts'
import { ACCEPT, acceptHandshake, frame, framesOf, handshake, TEXT } from '../../support/websocket.ts'
import { RawUpstream } from '../../support/wire.ts'

const first = selfSigned(HOST)
const second = selfSigned(HOST)

function files(t: Test, { cert, key } = first) {
  const folder = t.testdir({ 'tls.crt': cert, 'tls.key': key })
  return { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key'), folder }
}

async function gateway(t: Test, tls: { certFile: string; keyFile: string }) {
  const api = new RawUpstream()
  const target = await api.listen()
  const websocket = { origins: [], idleMs: 5000, maxMessageBytes: 1000 }
  const { app, port } = await forwarder({ upstreams: [upstream({ target, websocket })], tls })
  const sockets: TLSSocket[] = []
  t.teardown(async () => {
    for (const socket of sockets) socket.destroy()
    await api.close()
    await app.close()
  })
  const open = async (options: object = {}) => {
    const socket = connect({
      port,
      host: '127.0.0.1',
      servername: HOST,
      ca: [first.cert, second.cert],
      ...options,
    })
    sockets.push(socket)
    await once(socket, 'secureConnect')
    return socket
  }
  return { api, app, port, open }
}

const fingerprint = (socket: TLSSocket) =>
  (socket.getPeerCertificate() as PeerCertificate).raw.toString('base64')
const raw = (pem: string) => pem.replace(/-----.*?-----|\n/g, '')

t.test('requests and WebSockets pass over TLS as they do without (H-34: HTTP/1.1)', async (t) => {
  const { api, port, open } = await gateway(t, files(t))
  const answer = request({
    port,
    host: '127.0.0.1',
    servername: HOST,
    ca: first.cert,
    path: '/api/a',
    headers: { host: HOST, authorization: 'Bearer good' },
  }).end()
  const [response] = await once(answer, 'response')
  t.equal(response.statusCode, 200)
  response.resume()

  api.respond = (socket, seen) => {
    acceptHandshake(socket, seen)
    socket.write(frame(TEXT, 'over TLS'))
  }
  const socket = await open({ ALPNProtocols: ['h2', 'http/1.1'] })
  t.equal(socket.alpnProtocol, 'http/1.1')
  let received = Buffer.alloc(0)
  socket.on('data', (chunk) => {
    received = Buffer.concat([received, chunk])
  })
  socket.write(handshake('/api/ws'))
  await until(() => received.includes('over TLS'))
  t.match(received.toString('latin1'), ACCEPT)
  const at = received.indexOf('\r\n\r\n') + 4
  t.equal(framesOf(received.subarray(at)).frames[0]?.payload.toString(), 'over TLS')
})

t.test('TLS 1.1 and plain HTTP are refused without a word', async (t) => {
  const { port, open } = await gateway(t, files(t))
  await t.rejects(open({ maxVersion: 'TLSv1.1', minVersion: 'TLSv1.1', ciphers: 'DEFAULT@SECLEVEL=0' }))
  const plain = connectPlain(port, '127.0.0.1')
  let received = ''
  plain.on('data', (chunk) => {
    received += chunk
  })
  plain.on('error', () => {})
  plain.write(head('GET /api/a'))
  await once(plain, 'close')
  t.notMatch(received, 'HTTP/')
})

t.test('a new certificate serves new connections, and open ones go on', async (t) => {
  const named = files(t)
  const { app, open } = await gateway(t, named)
  const lines: string[] = []
  const log = {
    info: (line: string) => lines.push(line),
    error: (_: object, line: string) => lines.push(line),
  }
  const watched = watchCertificate(app.server as never, named, log as never, 20)
  t.teardown(() => watched.close())
  const before = await open()
  t.equal(fingerprint(before), raw(first.cert))

  writeFileSync(named.certFile, second.cert)
  watched.reload()
  t.match(lines.at(-1), /the one before it stays/, 'the key is still the old one')
  t.equal(fingerprint(await open()), raw(first.cert))

  writeFileSync(named.keyFile, second.key)
  await until(() => lines.includes('certificate reloaded'))
  t.equal(fingerprint(await open()), raw(second.cert))

  before.write(head('GET /api/a'))
  const [chunk] = await once(before, 'data')
  t.match(String(chunk), /^HTTP\/1\.1 200 /)
})

t.test('files behind symbolic links are followed, as secrets are mounted', async (t) => {
  const folder = t.testdir({
    one: { 'tls.crt': first.cert, 'tls.key': first.key },
    two: { 'tls.crt': second.cert, 'tls.key': second.key },
  })
  symlinkSync(join(folder, 'one'), join(folder, 'current'))
  const named = { certFile: join(folder, 'current/tls.crt'), keyFile: join(folder, 'current/tls.key') }
  const { app, open } = await gateway(t, named)
  let reloads = 0
  const log = { info: () => reloads++, error: () => {} }
  const watched = watchCertificate(app.server as never, named, log as never, 20)
  t.teardown(() => watched.close())
  await new Promise((resolve) => setTimeout(resolve, 100))
  symlinkSync(join(folder, 'two'), join(folder, 'next'))
  renameSync(join(folder, 'next'), join(folder, 'current'))
  await until(() => reloads > 0)
  t.equal(fingerprint(await open()), raw(second.cert))
})

t.test('the configuration is refused with files that cannot be used', async (t) => {
  const { certFile, keyFile, folder } = files(t)
  const other = join(folder, 'other.key')
  writeFileSync(other, second.key, { mode: 0o600 })
  const problems = (tls: object, publicUrl = 'https://gateway.example') => {
    try {
      gatewayConfig({
        publicUrl,
        listen: { tls: tls as { certFile: string; keyFile: string } },
        provider: {
          issuer: 'https://login.example',
          clientId: 'a',
          clientSecret: 'b'.repeat(32),
          scope: 'api',
        },
        clients: [{ clientId: 'app', redirectUris: ['https://app.example/callback'], scopes: [] }],
        secrets: [Buffer.alloc(32, 1).toString('base64url')],
      })
      return []
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error
      return error.problems.map(({ path, problem }) => `${path.join('.')}: ${problem}`)
    }
  }
  t.same(problems({ certFile, keyFile }), [])
  t.match(problems({ certFile, keyFile: other }), [
    /^listen\.tls\.keyFile: .*not the private key of the cert/,
  ])
  t.match(problems({ certFile: keyFile, keyFile }), [/^listen\.tls\.certFile: .*is no certificate \(PEM\)$/])
  t.match(problems({ certFile, keyFile: certFile }), [/^listen\.tls\.keyFile: .*is no private key \(PEM\)$/])
  t.match(problems({ certFile: `${certFile}x`, keyFile }), [
    /^listen\.tls\.certFile: .*cannot be read: ENOENT$/,
  ])
  t.match(problems({ certFile }), [/^listen\.tls\.keyFile: is required$/])
  t.match(problems({ certFile, keyFile }, 'http://127.0.0.1:3000'), [/^publicUrl: must begin with https/])
})
