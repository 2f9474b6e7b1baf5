import { once } from 'node:events'
import t, { type Test } from 'tap'
import { forwarder, head, session, upstream } from '../../../support/forwarder.ts'
import { get, setUp as setUpHttp2 } from '../../../support/http2-forwarder.ts'
import { exchange, field, RawUpstream, WireClient } from '../../../support/wire.ts'

async function setUp(t: Test, own = {}) {
  const api = new RawUpstream()
  const target = await api.listen()
  const { app, port } = await forwarder({ upstreams: [upstream({ target, ...own })] })
  t.teardown(async () => {
    await api.close()
    await app.close()
  })
  return { api, port }
}

const EXPECT = 'Expect: 100-continue'

t.test('100 Continue is said when the body is wanted, and not before (RFC 9110 §10.1.1, H-25)', async (t) => {
  const { port, api } = await setUp(t)
  const client = new WireClient(port).send(head('POST /api/a', 'Content-Length: 5', EXPECT))
  t.equal((await client.answer()).status, 100)
  t.equal((await client.send('hello').answer()).status, 200)
  t.equal(api.requests[0]?.body.toString(), 'hello')
  const chunked = head('POST /api/a', 'Transfer-Encoding: chunked', EXPECT)
  t.equal((await client.send(chunked).answer()).status, 100)
  t.equal((await client.send('5\r\nhello\r\n0\r\n\r\n').answer()).status, 200)
  client.socket.destroy()
})

t.test('what the header decides is decided without 100 Continue (H-25)', async (t) => {
  const { port, api } = await setUp(t, { bodyLimitBytes: 10, methods: ['POST'] })
  const refused: Record<string, [number, string]> = {
    'no session': [401, head('POST /api/a', 'Content-Length: 5', EXPECT).replace('good', 'bad')],
    'no route': [404, head('POST /nowhere', 'Content-Length: 5', EXPECT)],
    'another method': [405, head('PUT /api/a', 'Content-Length: 5', EXPECT)],
    'a body that is too large': [413, head('POST /api/a', 'Content-Length: 11', EXPECT)],
    'a repeated field': [400, head('POST /api/a', 'Content-Length: 5', EXPECT, 'Origin: a', 'Origin: b')],
    'another host': [421, head('POST /api/a', 'Content-Length: 5', EXPECT).replace('gateway.example', 'b')],
    'another expectation': [417, head('POST /api/a', 'Content-Length: 5', 'Expect: tea')],
    'an endpoint without this method': [404, head('POST /oauth2/endpoint', 'Content-Length: 5', EXPECT)],
  }
  for (const [what, [status, request]] of Object.entries(refused)) {
    const answer = await exchange(port, request)
    t.equal(answer.status, status, what)
    t.equal(field(answer, 'connection'), 'close', `${what}: what the client sends now is nobody's request`)
  }
  t.equal(api.requests.length, 0)
})

t.test('an endpoint says 100 Continue when it reads, and not when it refuses by the header', async (t) => {
  const { port } = await setUp(t)
  const form = (length: number, type: string) =>
    head('POST /oauth2/form', `Content-Length: ${length}`, `Content-Type: ${type}`, EXPECT)
  const client = new WireClient(port).send(form(2, 'application/json'))
  t.equal((await client.answer()).status, 100)
  t.equal((await client.send('{}').answer()).status, 200)
  client.socket.destroy()
  t.equal((await exchange(port, form(20_000, 'application/json'))).status, 413)
  t.equal((await exchange(port, form(2, 'image/png'))).status, 400)
})

t.test('a session that is refused only after a look at the store gets no 100 Continue either', async (t) => {
  const api = new RawUpstream()
  const target = await api.listen()
  const { app, port } = await forwarder({
    upstreams: [upstream({ target, scopes: ['orders.write'] })],
    resolve: async () => session({ scope: [] }),
  })
  t.teardown(async () => {
    await api.close()
    await app.close()
  })
  t.equal((await exchange(port, head('POST /api/a', 'Content-Length: 5', EXPECT))).status, 403)
})

t.test('without a body there is nothing to continue', async (t) => {
  const { port } = await setUp(t)
  t.equal((await exchange(port, head('GET /api/a', EXPECT))).status, 200)
  const old = head('POST /api/a', 'Content-Length: 5', EXPECT).replace('HTTP/1.1', 'HTTP/1.0')
  t.equal((await exchange(port, `${old}hello`)).status, 200, 'HTTP/1.0 has no interim answers')
})

t.test('over HTTP/2 likewise: 401 at once, 100 and then 200 (RFC 9113 §8.4)', async (t) => {
  const { client, api } = await setUpHttp2(t)
  const { session: connection } = await client()
  const ask = async (token: string) => {
    const stream = connection.request({
      ...Object.fromEntries(get()),
      ':method': 'POST',
      authorization: `Bearer ${token}`,
      'content-length': '5',
      expect: '100-continue',
    })
    const seen: number[] = []
    stream.on('headers', (fields) => seen.push(Number(fields[':status'])))
    stream.on('continue', () => {
      seen.push(100)
      stream.end('hello')
    })
    const [fields] = await once(stream, 'response')
    stream.on('error', () => {}).resume()
    return [...seen.filter((status, i) => seen.indexOf(status) === i), Number(fields[':status'])]
  }
  t.same(await ask('bad'), [401])
  t.same(await ask('good'), [100, 200])
  t.equal(api.requests.length, 1)
})
