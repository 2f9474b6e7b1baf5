/** Overload with real connections: who is refused, how, and for how long (requirements K-06, Q-12). */
import type { Socket } from 'node:net'
import t, { type Test } from 'tap'
import type { Upstream } from '../../../gateway/config/schemas/gateway.ts'
import type { Session } from '../../../plugin/index.ts'
import { flood, quantile } from '../../support/flood.ts'
import {
  ALLOWED_ORIGIN,
  type ForwarderSetup,
  forwarder,
  HOST,
  head,
  session,
  upstream,
} from '../../support/forwarder.ts'
import { fieldOf } from '../../support/http2.ts'
import { setUp as setUpHttp2 } from '../../support/http2-forwarder.ts'
import { reloadableGateway } from '../../support/reloadable-gateway.ts'
import { until } from '../../support/wait.ts'
import { acceptHandshake, handshake } from '../../support/websocket.ts'
import {
  exchange,
  field,
  RawUpstream,
  type Responder,
  type WireAnswer,
  WireClient,
} from '../../support/wire.ts'

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'
const STREAM = 'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n'
const WEBSOCKET = { origins: [], idleMs: 5000, maxMessageBytes: 1000 }

async function setUp(t: Test, setup: Partial<ForwarderSetup>, own: Partial<Upstream> = {}) {
  const api = new RawUpstream()
  /** Requests that wait for their answers. */
  const held: Socket[] = []
  const respond: Responder = (socket, request) => {
    if (request.requestLine.includes('/stream')) socket.write(STREAM)
    else if (request.requestLine.includes('/ws')) acceptHandshake(socket, request)
    else if (request.requestLine.includes('/slow')) held.push(socket)
    else socket.write(OK)
  }
  api.respond = respond
  const target = await api.listen()
  const upstreams = [upstream({ target, websocket: WEBSOCKET, ...own })]
  const { app, port, logged } = await forwarder({ upstreams, ...setup })
  const clients: WireClient[] = []
  t.teardown(async () => {
    for (const { socket } of clients) socket.destroy()
    await api.close()
    await app.close()
  })
  const open = (request: string) => {
    const client = new WireClient(port).send(request)
    clients.push(client)
    return client
  }
  const lines = () => logged.map((line) => JSON.parse(line) as Record<string, unknown>)
  return { app, api, port, held, open, lines, ask: (request: string) => exchange(port, request) }
}

function isRefused(t: Test, answer: WireAnswer): void {
  t.equal(answer.status, 503)
  t.equal(field(answer, 'retry-after'), '2')
  t.match(JSON.parse(answer.body.toString()), {
    code: 'overloaded',
    requestId: field(answer, 'x-request-id'),
  })
}

/** With a connection for each request and no share of a session: nothing else refuses. */
const atMost = (requestsInFlight: number) => ({ overload: { eventLoopDelayMs: 0, requestsInFlight } })

t.test(
  'as many requests as may be in flight: the next is refused at once, and served when one has ended (K-06)',
  async (t) => {
    const { held, open, ask, api, lines } = await setUp(t, atMost(3))
    const slow = [1, 2, 3].map(() => open(head('GET /api/slow')))
    await until(() => held.length === 3)
    for (const request of [
      head('GET /api/a'),
      head('GET /oauth2/endpoint'),
      head('GET /nowhere'),
      handshake('/api/ws'),
    ])
      isRefused(t, await ask(request))
    t.equal(api.requests.length, 3, 'none has reached the upstream')
    held[0]?.write(OK)
    t.equal((await slow[0]!.answer()).status, 200)
    t.equal((await ask(head('GET /api/a'))).status, 200)
    held[1]?.write(OK)
    held[2]?.write(OK)
    for (const client of slow.slice(1)) t.equal((await client.answer()).status, 200, 'none was cut')
    t.match(lines(), [{ level: 40, limit: 'listen.overload.requestsInFlight', requestsInFlight: 3 }])
  },
)

t.test('every request is counted from its checks to its end, however it ends (K-06)', async (t) => {
  let find = (_: Session): void => {}
  const late = new Promise<Session>((resolve) => {
    find = resolve
  })
  const answers: ((answer: object) => void)[] = []
  const { held, open, ask } = await setUp(t, {
    ...atMost(1),
    endpoint: () => new Promise<object>((resolve) => answers.push(resolve)),
    resolve: (token) => (token === 'late' ? late : session()),
  })
  const isFree = async () => (await ask(head('GET /api/a'))).status === 200
  const isFull = async () => !(await isFree())

  const lookedUp = open(head('GET /api/a').replace('good', 'late'))
  await until(isFull)
  find(session())
  t.equal((await lookedUp.answer()).status, 200, 'one whose session is looked up')
  t.ok(await isFree())

  const form = head('POST /oauth2/form', 'Content-Type: application/json', 'Content-Length: 2')
  for (const request of [head('GET /oauth2/endpoint'), `${form}{}`]) {
    const atEndpoint = open(request)
    await until(() => answers.length === 1)
    t.ok(await isFull())
    answers.pop()?.({})
    t.equal((await atEndpoint.answer()).status, 200, 'one at an endpoint')
    await until(isFree)
  }

  for (const end of ['client', 'upstream'] as const) {
    const client = open(head('GET /api/slow'))
    await until(() => held.length === 1)
    t.ok(await isFull())
    const ends = end === 'client' ? client.socket : held[0]
    held.length = 0
    ends?.destroy()
    await until(isFree)
  }
})

t.test(
  'bodies that drip into the endpoints keep nobody out: anybody can send them (CWE-400, Q-12)',
  async (t) => {
    const { open, ask } = await setUp(t, atMost(1))
    const form = head('POST /oauth2/form', 'Content-Type: application/json', 'Content-Length: 2')
    const dripping = [1, 2, 3].map(() => open(`${form}{`))
    t.equal((await ask(head('GET /api/a'))).status, 200)
    dripping[0]!.socket.destroy()
    for (const client of dripping.slice(1)) t.equal((await client.send('}').answer()).status, 200)
    t.equal((await ask(head('GET /api/a'))).status, 200)
  },
)

t.test(
  'event streams and WebSockets do not count: they refuse nobody for as long as they last (Q-12)',
  async (t) => {
    const { open, ask, held, api } = await setUp(t, atMost(1))
    for (let i = 0; i < 5; i++) {
      await open(head('GET /api/stream')).untilReceived('data: 1')
      await open(handshake('/api/ws')).untilReceived('101')
    }
    t.equal((await ask(head('GET /api/a'))).status, 200)
    const slow = open(head('GET /api/slow'))
    await until(() => held.length === 1)
    isRefused(t, await ask(head('GET /api/stream')))
    const sockets = [...api.sockets].filter((socket) => socket !== held[0])
    for (const socket of sockets) socket.destroy()
    await until(() => api.sockets.size === 1)
    isRefused(t, await ask(head('GET /api/a')))
    held[0]?.write(OK)
    t.equal((await slow.answer()).status, 200)
    t.equal((await ask(head('GET /api/a'))).status, 200, 'and their ends are not counted twice')
  },
)

t.test(
  'a refusal can be read by scripts, and nothing is taken of an upload (K-06, H-28, H-33)',
  async (t) => {
    const { held, open, ask } = await setUp(t, atMost(1))
    open(head('GET /api/slow'))
    await until(() => held.length === 1)
    const answer = await ask(head('GET /api/a', `Origin: ${ALLOWED_ORIGIN}`))
    isRefused(t, answer)
    t.equal(field(answer, 'access-control-allow-origin'), ALLOWED_ORIGIN)
    t.match(field(answer, 'access-control-expose-headers'), 'Retry-After')
    t.equal(field(answer, 'connection'), 'keep-alive', 'to connect again would be more work')
    const upload = await open(head('POST /api/a', 'Content-Length: 100', 'Expect: 100-continue')).answer()
    isRefused(t, upload)
    t.equal(field(upload, 'connection'), 'close')
    const smuggled = await ask(head('GET /api/a', 'Transfer-Encoding: gzip, chunked'))
    t.equal(smuggled.status, 400, 'a connection whose framing is not clear is closed in any case')
  },
)

t.test('the streams of one connection of HTTP/2 are counted one by one (K-06)', async (t) => {
  const { client, api } = await setUpHttp2(t, {}, atMost(2))
  api.respond = () => {}
  const http2 = await client()
  for (let i = 1; i <= 2; i++) {
    http2.open({ ':path': '/api/slow' }).on('error', () => {})
    await until(() => api.requests.length === i)
  }
  const refused = await http2.ask({ ':path': '/api/a' })
  t.equal(refused.status, 503)
  t.equal(fieldOf(refused, 'retry-after'), '2')
})

t.test('/healthz and /readyz answer while everything else is refused (K-06, H-31, Q-03)', async (t) => {
  const api = new RawUpstream()
  const held: Socket[] = []
  api.respond = (socket) => held.push(socket)
  const slow = { prefix: '/slow', target: await api.listen(), public: true }
  t.teardown(() => api.close())
  const { gateway, publicUrl } = await reloadableGateway(t, (config) => ({
    ...config,
    listen: { ...config.listen, overload: { requestsInFlight: 1 } },
    upstreams: [...(config.upstreams ?? []), slow],
  }))
  const begun = fetch(`${publicUrl}/slow`)
  await until(() => held.length === 1)
  t.equal((await fetch(`${publicUrl}/api/orders`)).status, 503)
  t.equal((await fetch(`${publicUrl}/.well-known/oauth-authorization-server`)).status, 503)
  for (const path of ['/healthz', '/readyz'])
    t.equal((await fetch(gateway.adminAddress + path)).status, 200, path)
  t.match(await gateway.reload(), { changes: [] })
  t.equal((await fetch(`${publicUrl}/api/orders`)).status, 503, 'what began before a reload counts after it')
  held[0]?.write(OK)
  t.equal((await begun).status, 200, 'what had begun goes on')
  t.equal((await fetch(`${publicUrl}/api/orders`)).status, 401)
})

const PACE_MS = 10
const WORK_MS = 40
const REQUESTS = 200
const MAX_DELAY_MS = 200

/** Four times as much work as there is time for; the rest of an exchange needs further turns of the event loop. */
async function overloaded(t: Test, eventLoopDelayMs: number) {
  const work = () => {
    const until = performance.now() + WORK_MS
    while (performance.now() < until);
  }
  const stack = await setUp(
    t,
    {
      overload: { eventLoopDelayMs, requestsInFlight: 0 },
      resolve: () => {
        work()
        return session()
      },
    },
    {
      connections: 1000,
      connectionsPerSession: 1000,
      timeouts: { connectMs: 60_000, headersMs: 60_000, idleMs: 60_000 },
    },
  )
  const answers = await flood({
    port: stack.port,
    path: '/api/a',
    headers: { host: HOST, authorization: 'Bearer good' },
    everyMs: PACE_MS,
    count: REQUESTS,
  })
  const having = (status: number) => answers.filter((answer) => answer.status === status)
  return { ...stack, answers, served: having(200), refused: having(503) }
}

t.test(
  'an event loop that cannot keep up: who is served is served in time, who is not is told at once (K-06, Q-12)',
  async (t) => {
    const without = await overloaded(t, 0)
    t.equal(without.served.length, REQUESTS, 'without a limit all wait for all')
    const slowest = quantile(without.served, 0.99)

    const { served, refused, ask, lines } = await overloaded(t, MAX_DELAY_MS)
    t.equal(served.length + refused.length, REQUESTS, 'nothing was cut off')
    t.ok(served.length > 0 && refused.length > 0, `${served.length} served, ${refused.length} refused`)
    t.ok(refused.every(({ retryAfter }) => retryAfter === '2'))
    const [p99, p99Refused] = [quantile(served, 0.99), quantile(refused, 0.99)]
    t.ok(p99 < slowest / 2, `p99 of those served: ${p99} ms, without a limit ${slowest} ms`)
    t.ok(p99Refused < slowest / 2, `p99 of those refused: ${p99Refused} ms`)
    t.ok(quantile(refused, 0.5) < quantile(without.served, 0.5) / 4, 'most of them at once')

    await until(async () => (await ask(head('GET /api/a'))).status === 200)
    const begun = lines().filter(({ msg }) => msg === 'overloaded: requests are refused')
    t.equal(begun.length, 1, 'one line, not one for each')
    t.match(begun, [{ limit: 'listen.overload.eventLoopDelayMs', remedy: String }])
    await until(() => lines().some(({ msg }) => msg === 'no longer overloaded'))
    t.ok(Number(lines().at(-1)?.refused) >= refused.length)
  },
)
