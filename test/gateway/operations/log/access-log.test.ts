/** One line for each forwarded request (requirements Q-01). */
import { Agent } from 'node:http'
import { connect } from 'node:net'
import t, { type Test } from 'tap'
import type { Upstream } from '../../../../gateway/config/schemas/gateway.ts'
import { compiledGateway } from '../../../support/compiled-gateway.ts'
import { type ForwarderSetup, forwarder, HOST, head, upstream } from '../../../support/forwarder.ts'
import { Command, configFile, send, serve, values } from '../../../support/gateway-command.ts'
import { setUp as setUpHttp2 } from '../../../support/http2-forwarder.ts'
import { until } from '../../../support/wait.ts'
import { connected, frame, receive, TEXT } from '../../../support/websocket.ts'
import { setUp as setUpWebSocket } from '../../../support/websocket-forwarder.ts'
import { answerOk, exchange, field, RawUpstream, type Responder } from '../../../support/wire.ts'

type Requests = NonNullable<ForwarderSetup['log']>['requests']

async function setUp(
  t: Test,
  requests: Requests,
  respond: Responder = answerOk,
  own: Partial<Upstream> = {},
) {
  const api = new RawUpstream()
  api.respond = respond
  const target = await api.listen()
  const { app, port, logged } = await forwarder({
    upstreams: [
      upstream({ target, bodyLimitBytes: 1e6, ...own }),
      upstream({ target, prefix: '/pub', public: true, credentials: 'none' }),
      upstream({ target: 'http://127.0.0.1:1', prefix: '/down', public: true, credentials: 'none' }),
    ],
    trustProxy: ['127.0.0.1'],
    log: { level: 'warn', requests },
  })
  t.teardown(async () => {
    await api.close()
    await app.close()
  })
  return { port, api, target: target.slice('http://'.length), ...reader(logged) }
}

/** The access log among the lines. */
function reader(logged: readonly string[]) {
  const lines = () =>
    logged.map((line) => JSON.parse(line)).filter(({ msg }) => msg === 'request forwarded') as Record<
      string,
      unknown
    >[]
  const line = async () => {
    await until(() => lines().length > 0)
    return lines()[0]!
  }
  return { lines, line }
}

const partly: Responder = (socket) => {
  socket.write('HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf')
}

t.test('all: who asked for what, and what came of it; never the query (Q-01)', async (t) => {
  const { port, target, line } = await setUp(t, 'all')
  const bytes = `${head('POST /api/orders?code=secret', 'Content-Length: 5', 'X-Forwarded-For: 192.0.2.7')}hello`
  const answer = await exchange(port, bytes)
  const { time, pid, hostname, level, durationMs, upstreamMs, ...told } = await line()
  t.same(told, {
    msg: 'request forwarded',
    requestId: field(answer, 'x-request-id'),
    method: 'POST',
    route: '/api',
    status: 200,
    bytesIn: 5,
    bytesOut: 2,
    target,
    clientId: 'app',
    grant: told.grant,
    subject: '<alice>',
    address: '192.0.2.7',
  })
  t.match(told.grant, /^[0-9a-f]{8}$/)
  t.type(time, 'number')
  t.ok(Number(upstreamMs) > 0 && Number(upstreamMs) <= Number(durationMs))
  t.equal(level, 30)
  t.ok(pid && hostname)
})

t.test('all: a public route has no session to tell of', async (t) => {
  const { port, line } = await setUp(t, 'all')
  await exchange(port, `GET /pub/x HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)
  t.same(
    Object.keys(await line()).filter((key) => /client|grant|subject/.test(key)),
    [],
  )
})

t.test('bodies that are passed on as streams are counted both ways', async (t) => {
  const { port, line } = await setUp(t, 'all', (socket) => {
    socket.write('HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345\r\n5\r\n67890\r\n0\r\n\r\n')
  })
  const body = `14\r\n${'x'.repeat(20)}\r\n`.repeat(3)
  await exchange(port, `${head('PUT /api/a', 'Transfer-Encoding: chunked')}${body}0\r\n\r\n`)
  t.match(await line(), { bytesIn: 60, bytesOut: 10, status: 200 })
})

t.test('errors: what went well has no line; 4xx and 5xx have one', async (t) => {
  let status = 200
  const { port, lines } = await setUp(t, 'errors', (socket) => {
    socket.write(`HTTP/1.1 ${status} X\r\ncontent-length: 0\r\n\r\n`)
  })
  for (status of [200, 204, 302, 304]) await exchange(port, head('GET /api/a'))
  for (status of [400, 404, 500, 503]) await exchange(port, head('GET /api/a'))
  await exchange(port, `GET /down/a HTTP/1.1\r\nHost: ${HOST}\r\n\r\n`)
  await until(() => lines().length >= 5)
  t.same(
    lines().map((line) => line.status),
    [400, 404, 500, 503, 502],
  )
  t.match(lines()[4], { route: '/down', target: '127.0.0.1:1', bytesOut: 0 })
  t.equal(lines()[4]?.upstreamMs, undefined, 'it has not answered')
})

t.test('errors: an upstream that breaks off, and a client that leaves without an answer', async (t) => {
  const broken = await setUp(t, 'errors', (socket, request) => {
    partly(socket, request)
    setTimeout(() => socket.destroy(), 50)
  })
  await exchange(broken.port, head('GET /api/a')).catch(() => {})
  t.match(await broken.line(), { status: 200, complete: false, bytesOut: 4 })

  const slow = await setUp(t, 'errors', () => {})
  const client = connect(slow.port, '127.0.0.1')
  client.write(head('GET /api/a'))
  await until(() => slow.api.requests.length === 1)
  client.destroy()
  const line = await slow.line()
  t.match(line, { status: 499, bytesOut: 0 })
  t.equal(line.address, '127.0.0.1')
})

t.test('errors: a client that leaves in the midst of its answer is no error; all tells of it', async (t) => {
  for (const requests of ['errors', 'all'] as const) {
    const { port, api, lines } = await setUp(t, requests, partly)
    const client = connect(port, '127.0.0.1')
    client.write(head('GET /api/a'))
    await new Promise((resolve) => client.once('data', resolve))
    client.destroy()
    await until(() => api.sockets.size === 0)
    if (requests === 'errors') t.same(lines(), [])
    else t.match(lines(), [{ status: 200, complete: false }])
  }
})

t.test('an upload that is refused midway has its status, and what had arrived', async (t) => {
  const { port, line } = await setUp(t, 'errors', () => {}, { bodyLimitBytes: 30 })
  const body = `14\r\n${'x'.repeat(20)}\r\n`
  await exchange(port, `${head('PUT /api/a', 'Transfer-Encoding: chunked')}${body}${body}`)
  t.match(await line(), { status: 413, bytesIn: 40 })
})

t.test('off: no line, whatever happens; silent: none either', async (t) => {
  for (const log of [
    { level: 'info', requests: 'off' },
    { level: 'silent', requests: 'all' },
  ] as const) {
    const { app, port, logged } = await forwarder({
      upstreams: [upstream({ target: 'http://127.0.0.1:1' })],
      log,
    })
    t.teardown(() => app.close())
    await exchange(port, head('GET /api/a'))
    t.same(reader(logged).lines(), [])
  }
})

t.test('over HTTP/2 the same, with the address of a connection that is gone by then', async (t) => {
  const { client, logged } = await setUpHttp2(t, {}, { log: { level: 'warn', requests: 'all' } })
  const answer = await (await client()).ask({ ':path': '/api/a?x=y' })
  t.equal(answer.status, 200)
  t.match(await reader(logged).line(), {
    status: 200,
    route: '/api',
    bytesOut: 2,
    address: '127.0.0.1',
    subject: '<alice>',
  })
})

t.test('a WebSocket is one line, at its end, with the bytes of both ways', async (t) => {
  const { port, logged } = await setUpWebSocket(t, undefined, {}, { log: { level: 'warn', requests: 'all' } })
  const { lines, line } = reader(logged)
  const client = await connected(port)
  client.socket.write(frame(TEXT, 'hello', { mask: true }))
  await receive(client, 1)
  t.same(lines(), [], 'it is not over')
  client.socket.destroy()
  t.match(await line(), { status: 101, method: 'GET', bytesIn: 11, bytesOut: 7, route: '/api' })
  t.equal(lines().length, 1)
})

t.test('all: none is lost at a stop (Q-01)', async (t) => {
  const upstreams = [
    {
      prefix: '/up',
      target: await serve(t, (_request, response) => void setTimeout(() => response.end('ok'), 20)),
      public: true,
      credentials: 'none' as const,
      methods: ['GET' as const],
    },
  ]
  const config = configFile(t, values({ upstreams, log: { requests: 'all', level: 'fatal' } }))
  const command = new Command(t, ['--config', config], { program: [await compiledGateway()] })
  const { url } = await command.ready()
  const agent = new Agent({ keepAlive: true, maxSockets: 50 })
  t.teardown(() => agent.destroy())
  let answered = 0
  const ask = async () => {
    const { status } = await send(`${url}/up/x`, { agent }).catch(() => ({ status: 0 }))
    if (status === 200) answered++
    if (answered === 500) command.child.kill('SIGTERM')
  }
  await Promise.all(Array.from({ length: 1000 }, ask))
  t.equal(await command.exited, 0)
  t.ok(answered >= 500, `${answered} answers`)
  const lines = command.log().filter(({ msg }) => msg === 'request forwarded')
  t.equal(lines.filter(({ status }) => status === 200).length, answered)
})
