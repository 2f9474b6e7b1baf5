/** What the gateway does otherwise than Node with a request and a response of HTTP/1.1. */
import { once } from 'node:events'
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import t, { type Test } from 'tap'
import { endWithHeader, HeaderOnlyRequest } from '../../../gateway/listener/http1-request.ts'
import { CoalescedResponse } from '../../../gateway/listener/http1-response.ts'
import { startGatewayStack } from '../../support/gateway-stack.ts'
import { WireClient } from '../../support/wire.ts'

type Exchange = { request: IncomingMessage; response: ServerResponse }

/** A server that hands its exchanges over, and a client of it on kept-alive connections. */
async function serve(t: Test, connections: number) {
  const exchanges: Exchange[] = []
  const arrived: ((exchange: Exchange) => void)[] = []
  const server = createServer(
    { IncomingMessage: HeaderOnlyRequest, ServerResponse: CoalescedResponse },
    (request, response) => {
      const next = arrived.shift()
      if (next) next({ request, response })
      else exchanges.push({ request, response })
    },
  )
  server.listen({ host: '127.0.0.1', port: 0 })
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const agent = new Agent({ keepAlive: true, maxSockets: connections })
  t.teardown(() => {
    agent.destroy()
    server.closeAllConnections()
    server.close()
  })
  const ask = (method = 'GET', body?: string) => {
    const asked = request({ host: '127.0.0.1', port, agent, method })
    const answer = new Promise<string>((resolve, reject) => {
      asked.on('error', reject)
      asked.on('response', async (response) => {
        const parts: Buffer[] = []
        for await (const part of response) parts.push(part as Buffer)
        resolve(Buffer.concat(parts).toString())
      })
    })
    asked.end(body)
    return { asked, answer }
  }
  const taken = () => {
    const waiting = exchanges.shift()
    return waiting ?? new Promise<Exchange>((resolve) => arrived.push(resolve))
  }
  return { ask, taken }
}

const turn = () => new Promise<void>((resolve) => setImmediate(resolve))

t.test('answers that end in one turn are written at its end', async (t) => {
  const { ask, taken } = await serve(t, 2)
  const asked = [ask(), ask()]
  const exchanges = [await taken(), await taken()]
  const written = () => exchanges.map(({ request }) => request.socket.bytesWritten)
  const sockets = exchanges.map(({ response }) => response.socket!)
  for (const { response } of exchanges) {
    t.notOk(response.writableEnded)
    response.writeHead(200, ['content-length', '4']).end('body')
    t.ok(response.writableEnded, 'nothing more may be written')
  }
  t.same(written(), [0, 0])
  await turn()
  for (const { bytesWritten } of sockets) t.ok(bytesWritten > 0)
  t.same(await Promise.all(asked.map(({ answer }) => answer)), ['body', 'body'])
})

t.test('every form of `end` works as it does in Node, once', async (t) => {
  const { ask, taken } = await serve(t, 1)
  const forms: [(response: ServerResponse, done: () => void) => void, string][] = [
    [(response, done) => response.end(done), ''],
    [(response, done) => response.end('text', done), 'text'],
    [(response, done) => response.end('74657874', 'hex', done), 'text'],
    [(response, done) => response.end(Buffer.from('bytes')).once('finish', done), 'bytes'],
    [
      (response, done) => {
        response.write('first, ')
        response.end('last', done)
        response.end('again')
      },
      'first, last',
    ],
  ]
  for (const [form, text] of forms) {
    const { answer } = ask()
    const { response } = await taken()
    const finished = new Promise<void>((done) => form(response, done))
    t.equal(await answer, text)
    await finished
    t.ok(response.writableFinished)
  }
})

t.test('an answer whose request turns out malformed in the same turn is not lost', async (t) => {
  const { port, publicUrl } = await startGatewayStack(t)
  const { host } = new URL(publicUrl)
  const text = [
    'POST /oauth2/token HTTP/1.1',
    `Host: ${host}`,
    'Content-Type: text/plain',
    'Transfer-Encoding: chunked',
    '',
    'no size',
  ].join('\r\n')
  const client = new WireClient(port).send(`${text}\r\n`)
  const received = String(await client.untilClose())
  t.match(received, /^HTTP\/1\.1 400 /)
  t.equal(received.split('HTTP/1.1 ').length, 2, 'one answer')
  t.match(received, 'invalid_request')
})

t.test('an answer is not lost because of a CONNECT that came along with its request', async (t) => {
  const { port, publicUrl } = await startGatewayStack(t)
  const { host } = new URL(publicUrl)
  const requests = `GET /unknown HTTP/1.1\r\nHost: ${host}\r\n\r\nCONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n`
  const received = String(await new WireClient(port).send(requests).untilClose())
  t.match(received, /^HTTP\/1\.1 404 /)
  t.equal(received.split('HTTP/1.1 ').length, 2, 'one answer')
})

t.test('a client that leaves before the turn ends does no harm', async (t) => {
  const { ask, taken } = await serve(t, 1)
  const { asked, answer } = ask()
  const { request, response } = await taken()
  const closed = once(response, 'close')
  response.end('for nobody')
  request.socket.destroy()
  await closed
  await t.rejects(answer)
  asked.destroy()
  const next = ask()
  ;(await taken()).response.end('for somebody')
  t.equal(await next.answer, 'for somebody')
})

t.test('a request that ends with its header is not read on, and its connection is used again', async (t) => {
  const { ask, taken } = await serve(t, 1)
  let before: unknown
  for (const expected of ['first', 'second']) {
    const { answer } = ask()
    const { request, response } = await taken()
    t.notOk(request.readableEnded)
    endWithHeader(request)
    t.ok(request.readableEnded)
    request.once('end', () => t.fail('nobody waits for it'))
    const { socket } = request
    const detached = once(response, 'close')
    response.end(expected)
    t.equal(await answer, expected)
    await detached
    t.equal(request.readableFlowing, null)
    t.ok(request.complete)
    if (before !== undefined) t.equal(socket, before)
    before = socket
  }
})

t.test('any other request is Node’s: read to its end, or thrown away with its answer', async (t) => {
  const { ask, taken } = await serve(t, 1)
  const posted = ask('POST', 'a body')
  const { request, response } = await taken()
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part as Buffer)
  t.equal(Buffer.concat(parts).toString(), 'a body')
  t.ok(request.readableEnded)
  response.end('read')
  t.equal(await posted.answer, 'read')

  const ignored = ask('POST', 'another body')
  const second = await taken()
  const ended = once(second.request, 'end')
  second.response.end('not read')
  t.equal(await ignored.answer, 'not read')
  await ended
  t.ok(second.request.readableEnded)
})
