/** `upstreams[].caFile`, `clientCertFile`, `clientKeyFile`: for one upstream, and for no other. */

import { createServer } from 'node:https'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { TLSSocket } from 'node:tls'
import t, { type Test } from 'tap'
import type { Upstream } from '../../../../gateway/config/schemas/gateway.ts'
import { selfSigned } from '../../../support/certificate.ts'
import { forwarder, head, upstream } from '../../../support/forwarder.ts'
import { exchange } from '../../../support/wire.ts'

const server = selfSigned('orders.test')
const client = selfSigned('gateway.test')
const stranger = selfSigned('orders.test')

/** An API on TLS that answers with the name that it was called by, and whether it knows who has called. */
async function listen(t: Test, requestCert = false): Promise<string> {
  const api = createServer(
    { ...server, ca: client.cert, requestCert, rejectUnauthorized: requestCert },
    (request, response) => {
      const { servername, authorized } = request.socket as TLSSocket & { servername: string }
      response.end(`${servername} ${authorized} ${request.headers.host}`)
    },
  ).listen(0, '127.0.0.1')
  t.teardown(() => api.close().closeAllConnections())
  await new Promise((resolve) => api.once('listening', resolve))
  return `https://127.0.0.1:${(api.address() as AddressInfo).port}`
}

async function setUp(t: Test, ...upstreams: Upstream[]) {
  const { app, port, logged } = await forwarder({ upstreams })
  t.teardown(() => app.close())
  return { logged, ask: (path: string) => exchange(port, head(`GET ${path}`)) }
}

function files(t: Test) {
  const folder = t.testdir({
    'ca.pem': server.cert,
    'other.pem': stranger.cert,
    'bundle.pem': stranger.cert + server.cert,
    'client.pem': client.cert,
    'client.key': client.key,
  })
  return (name: string) => join(folder, name)
}

t.test('the own CA of one upstream is not trusted for another (Q-07)', async (t) => {
  const target = await listen(t)
  const file = files(t)
  const { ask, logged } = await setUp(
    t,
    upstream({ prefix: '/own', target, caFile: file('ca.pem') }),
    upstream({ prefix: '/bundle', target, caFile: file('bundle.pem') }),
    upstream({ prefix: '/other', target, caFile: file('other.pem') }),
    upstream({ prefix: '/public', target }),
  )
  for (let round = 0; round < 2; round++) {
    t.equal((await ask('/own/a')).status, 200)
    t.equal((await ask('/bundle/a')).status, 200)
    t.equal((await ask('/other/a')).status, 502)
    t.equal((await ask('/public/a')).status, 502)
  }
  t.match(logged.join(''), /SELF_SIGNED|certificate/i)
})

t.test('an upstream that wants a certificate gets that of its route, and of no other (Q-07)', async (t) => {
  const target = await listen(t, true)
  const file = files(t)
  const caFile = file('ca.pem')
  const ours = { clientCertFile: file('client.pem'), clientKeyFile: file('client.key') }
  const { ask } = await setUp(
    t,
    upstream({ prefix: '/with', target, caFile, ...ours }),
    upstream({ prefix: '/without', target, caFile }),
  )
  const answer = await ask('/with/a')
  t.equal(answer.status, 200)
  t.match(answer.body.toString(), / true /)
  t.equal((await ask('/without/a')).status, 502)
})

t.test(
  'a certificate is compared with the name of the target, whatever Host says (RFC 9110 §4.3.4, H-13)',
  async (t) => {
    const target = await listen(t)
    const file = files(t)
    const caFile = file('ca.pem')
    const { ask } = await setUp(
      t,
      upstream({ prefix: '/fixed', target, caFile, host: 'elsewhere.example' }),
      upstream({ prefix: '/public', target, caFile, host: 'public' }),
      // The certificate has this name, and the address does not.
      upstream({
        prefix: '/named',
        target: target.replace('127.0.0.1', 'localhost'),
        caFile,
        host: 'orders.test',
      }),
    )
    for (let round = 0; round < 2; round++) {
      t.equal((await ask('/fixed/a')).body.toString(), 'false false elsewhere.example')
      t.equal((await ask('/public/a')).body.toString(), 'false false gateway.example')
      t.equal((await ask('/named/a')).status, 502)
    }
  },
)
