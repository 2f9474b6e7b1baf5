import { once } from 'node:events'
import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import type { Upstream } from '../../../../gateway/config/schemas/gateway.ts'
import { selfSigned } from '../../../support/certificate.ts'
import { forwarder, head, upstream } from '../../../support/forwarder.ts'
import { until } from '../../../support/wait.ts'
import { exchange, RawUpstream, type Responder } from '../../../support/wire.ts'

/** What the log says of a GET to an upstream that cannot answer it. */
async function failureOf(t: Test, target: string, own: Partial<Upstream> = {}) {
  const { app, port, logged } = await forwarder({ upstreams: [upstream({ target, ...own })] })
  t.teardown(() => app.close())
  await exchange(port, head('GET /api/x'))
  await until(() => logged.length > 0)
  const line = JSON.parse(logged[0]!) as { err: { reason: string; cause?: { code: string } } }
  const { host } = new URL(target)
  t.match(line, { msg: 'upstream failed', method: 'GET', route: '/api', target: host })
  return line
}

async function httpsServer(t: Test, name: string) {
  const server = createServer(selfSigned(name), (_request, response) => response.end()).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

async function rawServer(t: Test, respond: Responder) {
  const api = new RawUpstream()
  api.respond = respond
  const target = await api.listen()
  t.teardown(() => api.close())
  return target
}

t.test('nothing listens: the log names target, method and remedy (Q-01)', async (t) => {
  t.match(await failureOf(t, 'http://127.0.0.1:1'), {
    err: { reason: 'connect_failed', cause: { code: 'ECONNREFUSED' } },
    remedy: /^nothing listens there: .*upstreams\[\]\.target/,
  })
})

t.test('a name that nobody knows', async (t) => {
  t.match(await failureOf(t, 'http://nowhere.invalid'), { remedy: /name|DNS/ })
})

t.test('a certificate that nobody vouches for (oauth2-proxy #75)', async (t) => {
  const port = await httpsServer(t, 'localhost')
  t.match(await failureOf(t, `https://localhost:${port}`), {
    err: { cause: { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' } },
    remedy: /certificate is signed by nobody who is trusted here: .*upstreams\[\]\.caFile/,
  })
})

t.test('https where http is spoken, and the reverse', async (t) => {
  const plain = await rawServer(t, () => {})
  t.match(await failureOf(t, plain.replace('http:', 'https:'), { timeouts: timeouts({ connectMs: 300 }) }), {
    remedy: /./,
  })
  const port = await httpsServer(t, 'localhost')
  t.match(await failureOf(t, `http://127.0.0.1:${port}`), { remedy: /log|https:/ })
})

t.test('no answer in time names the timeout', async (t) => {
  const silent = await rawServer(t, () => {})
  t.match(await failureOf(t, silent, { timeouts: timeouts({ headersMs: 100 }) }), {
    err: { reason: 'headers_timeout' },
    remedy: /timeouts\.headersMs/,
  })
})

t.test('an answer that is no HTTP', async (t) => {
  const nonsense = await rawServer(t, (socket) => void socket.end('220 mail.example ESMTP\r\n\r\n'))
  t.match(await failureOf(t, nonsense), { err: { reason: 'answer_malformed' }, remedy: /breaks the rules/ })
})

function timeouts(own: Partial<Upstream['timeouts']>): Upstream['timeouts'] {
  return { connectMs: 1000, headersMs: 5000, idleMs: 5000, ...own }
}
