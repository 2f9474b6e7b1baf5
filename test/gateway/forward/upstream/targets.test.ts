import { once } from 'node:events'
import { connect, createServer } from 'node:net'
import t, { type Test } from 'tap'
import type { Upstream } from '../../../../gateway/config/schemas/gateway.ts'
import { Target, Targets } from '../../../../gateway/forward/upstream/targets.ts'
import { forwarder, head, upstream } from '../../../support/forwarder.ts'
import { freePort } from '../../../support/gateway-stack.ts'
import { until } from '../../../support/wait.ts'
import { echo, handshake } from '../../../support/websocket.ts'
import { exchange, field, RawUpstream, type Responder, valuesOf, WireClient } from '../../../support/wire.ts'

const SILENCE: Responder = () => {}
const refused = async () => `http://127.0.0.1:${await freePort()}`

/** Upstreams that answer with their own number. */
async function apis(t: Test, count: number) {
  const all = Array.from({ length: count }, () => new RawUpstream())
  const targets = await Promise.all(all.map((api) => api.listen()))
  for (const [i, api] of all.entries()) {
    api.respond = (socket) => socket.write(`HTTP/1.1 200 OK\r\ncontent-length: 1\r\n\r\n${i}`)
  }
  t.teardown(() => Promise.all(all.map((api) => api.close())))
  return { all, targets }
}

async function gateway(t: Test, own: Partial<Upstream> & Pick<Upstream, 'target'>) {
  const { app, port, logged } = await forwarder({ upstreams: [upstream(own)] })
  t.teardown(() => app.close())
  const ask = async (method = 'GET', body = '') => {
    const length = body === '' ? [] : [`Content-Length: ${body.length}`]
    return exchange(port, head(`${method} /api/a`, ...length) + body, method === 'HEAD')
  }
  return { app, port, logged, ask }
}

t.test('requests go in turn to targets of equal load, each with its own Host (H-13)', async (t) => {
  const { all, targets } = await apis(t, 3)
  const { ask } = await gateway(t, { target: targets })
  for (let i = 0; i < 9; i++) t.equal((await ask()).status, 200)
  for (const [i, { requests }] of all.entries()) {
    t.equal(requests.length, 3)
    t.same(valuesOf(requests[0]!, 'host'), [new URL(targets[i]!).host])
  }
})

t.test('the target with the fewest requests under way is asked', async (t) => {
  const { all, targets } = await apis(t, 2)
  all[0]!.respond = SILENCE
  const { port, ask } = await gateway(t, { target: targets })
  const slow: WireClient[] = []
  while (all[0]!.requests.length < 1) {
    const client = new WireClient(port).send(head('GET /api/a'))
    await until(() => all[0]!.requests.length + all[1]!.requests.length > slow.length)
    slow.push(client)
  }
  const before = all[1]!.requests.length
  for (let i = 0; i < 6; i++) t.equal((await ask()).body.toString(), '1')
  t.equal(all[1]!.requests.length, before + 6, 'none went to the busy one')
  for (const { socket } of slow) socket.destroy()
})

t.test('WebSocket connections count as load', async (t) => {
  const { all, targets } = await apis(t, 2)
  for (const api of all) api.respond = echo
  const websocket = { origins: [], idleMs: 5000, maxMessageBytes: 1000 }
  const { port } = await gateway(t, { target: targets, websocket })
  const clients = []
  for (let i = 0; i < 8; i++) {
    const client = new WireClient(port).send(handshake('/api/ws'))
    t.equal((await client.answer()).status, 101)
    clients.push(client)
  }
  t.same(
    all.map(({ requests }) => requests.length),
    [4, 4],
  )
  for (const { socket } of clients) socket.destroy()
})

t.test('a target that cannot be reached is left alone, and comes back (H-22)', async (t) => {
  const { all, targets } = await apis(t, 1)
  const port = await freePort()
  const { ask } = await gateway(t, { target: [targets[0]!, `http://127.0.0.1:${port}`] })
  const statuses: number[] = []
  for (let i = 0; i < 10; i++) statuses.push((await ask()).status)
  t.equal(statuses.filter((status) => status === 502).length, 1, 'one request found out')
  t.equal(all[0]!.requests.length, 9)

  const back = new RawUpstream()
  const relay = createServer((socket) => {
    const to = connect(Number(new URL(target).port), '127.0.0.1')
    socket.pipe(to).pipe(socket)
    for (const side of [socket, to]) side.on('error', () => {})
  })
  const target = await back.listen()
  t.teardown(async () => {
    await back.close()
    relay.close()
  })
  relay.listen(port, '127.0.0.1')
  await once(relay, 'listening')
  while (back.requests.length < 3) {
    t.equal((await ask()).status, 200, 'nobody notices')
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
})

t.test('if none can be reached, they are tried all the same', async (t) => {
  const { ask } = await gateway(t, { target: [await refused(), await refused()] })
  for (let i = 0; i < 5; i++) t.equal((await ask()).status, 502)
})

t.test('without retry nothing is sent twice (H-23)', async (t) => {
  const { targets } = await apis(t, 1)
  const { ask } = await gateway(t, { target: [await refused(), targets[0]!] })
  const statuses = [(await ask()).status, (await ask()).status]
  t.same(statuses.toSorted(), [200, 502])
})

t.test(
  'with retry, what may be sent twice finds a target that answers (RFC 9110 §9.2.2, H-23)',
  async (t) => {
    const { all, targets } = await apis(t, 1)
    const asked = { GET: '', HEAD: '', PUT: '', DELETE: '' }
    for (const [method, body] of Object.entries(asked)) {
      const target = [await refused(), await refused(), targets[0]!]
      const { ask } = await gateway(t, { target, retry: true })
      for (let i = 0; i < 3; i++) t.equal((await ask(method, body)).status, 200, method)
    }
    t.equal(all[0]!.requests.length, 12)
    for (const [method, body] of [
      ['POST', ''],
      ['PATCH', ''],
      ['PUT', 'body'],
      ['DELETE', 'body'],
    ] as const) {
      const { ask } = await gateway(t, { target: [await refused(), targets[0]!], retry: true })
      const statuses = [(await ask(method, body)).status, (await ask(method, body)).status]
      t.same(statuses.toSorted(), [200, 502], `${method} ${body}`)
    }
  },
)

t.test('with retry, a request that was sent is not sent again (CVE-2026-16728, H-23)', async (t) => {
  const { all, targets } = await apis(t, 2)
  const faults: Responder[] = [(socket) => socket.resetAndDestroy(), (socket) => socket.end()]
  for (const fault of faults) {
    for (const api of all) api.respond = fault
    const { ask } = await gateway(t, { target: targets, retry: true })
    const before = all[0]!.requests.length + all[1]!.requests.length
    t.equal((await ask()).status, 502)
    t.equal(all[0]!.requests.length + all[1]!.requests.length, before + 1)
  }
})

t.test('a handshake finds a target that answers, too', async (t) => {
  const { all, targets } = await apis(t, 1)
  all[0]!.respond = echo
  const websocket = { origins: [], idleMs: 5000, maxMessageBytes: 1000 }
  const { port } = await gateway(t, { target: [await refused(), targets[0]!], retry: true, websocket })
  for (let i = 0; i < 2; i++) {
    const client = new WireClient(port).send(handshake('/api/ws'))
    t.equal((await client.answer()).status, 101)
    client.socket.destroy()
  }
})

t.test('a request that finds every connection in use waits for a while, then 503 (K-06)', async (t) => {
  const { all, targets } = await apis(t, 1)
  all[0]!.respond = SILENCE
  const timeouts = { connectMs: 1000, headersMs: 5000, idleMs: 5000 }
  const { port, ask, logged } = await gateway(t, {
    target: targets[0]!,
    connections: 2,
    connectionsPerSession: 2,
    timeouts,
  })
  const busy = [1, 2].map(() => new WireClient(port).send(head('GET /api/a')))
  await until(() => all[0]!.requests.length === 2)
  const answer = await ask()
  t.equal(answer.status, 503)
  t.match(JSON.parse(answer.body.toString()), { code: 'unavailable' })
  t.match(JSON.parse(logged.at(-1) ?? ''), { err: { reason: 'no_connection' } })
  const waiting = ask()
  await new Promise((resolve) => setTimeout(resolve, 50))
  for (const socket of all[0]!.sockets) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
  await Promise.all(busy.map((client) => client.answer()))
  await until(() => all[0]!.requests.length === 3)
  for (const socket of all[0]!.sockets) socket.write('HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok')
  t.equal((await waiting).status, 200, 'who gets one in time is served')
  for (const { socket } of busy) socket.destroy()
})

t.test("Location of any of the targets is the gateway's (H-24)", async (t) => {
  const { all, targets } = await apis(t, 2)
  for (const api of all) {
    api.respond = (socket) =>
      socket.write(`HTTP/1.1 302 Found\r\nlocation: ${targets[0]}/there\r\ncontent-length: 0\r\n\r\n`)
  }
  const { ask } = await gateway(t, { target: targets })
  for (let i = 0; i < 2; i++) t.equal(field(await ask(), 'location'), 'https://gateway.example/api/there')
})

t.test('a target is asked once per back-off, and the back-off grows', async (t) => {
  const timeouts = { connectMs: 1000, headersMs: 1000, idleMs: 1000 }
  let now = 0
  const [good, bad] = [1, 2].map((n) => {
    const target = `http://h${n}`
    return new Target(new URL(target), upstream({ target, timeouts }), () => now)
  })
  const targets = new Targets([good!, bad!])
  t.teardown(() => targets.close())
  const picks = (times: number) => {
    let bads = 0
    for (let i = 0; i < times; i++) if (targets.pick() === bad) bads++
    return bads
  }
  t.equal(picks(10), 5)
  bad!.failed()
  bad!.failed()
  t.equal(picks(10), 0)
  now = 999
  t.equal(picks(10), 0)
  now = 1000
  t.equal(picks(10), 1, 'one finds out')
  bad!.failed()
  now = 2999
  t.equal(picks(10), 0)
  now = 3000
  t.equal(picks(10), 1)
  for (let i = 0; i < 20; i++) {
    now = bad!.retryAt
    picks(2)
  }
  t.equal(bad!.retryAt - now, 30_000, 'at most')
  bad!.answered()
  t.equal(picks(10), 5)
})
