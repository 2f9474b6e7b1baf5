import t, { type Test } from 'tap'
import { AnswerHeads } from '../../../../gateway/forward/upstream/answer-heads.ts'
import { forwarder, head, upstream } from '../../../support/forwarder.ts'
import { acceptHandshake, handshake } from '../../../support/websocket.ts'
import { exchange, RawUpstream, type Responder, WireClient } from '../../../support/wire.ts'

const OK = 'HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok'

async function setUp(t: Test, respond?: Responder, own = {}) {
  const api = new RawUpstream()
  if (respond) api.respond = respond
  const target = await api.listen()
  const { app, port } = await forwarder({ upstreams: [upstream({ target, ...own })] })
  t.teardown(async () => {
    await api.close()
    await app.close()
  })
  return { api, port }
}

t.test('an unsolicited 100 Continue of an upstream is read and dropped (RFC 9110 §15.2, H-25)', async (t) => {
  const interims = {
    'one line': 'HTTP/1.1 100 Continue\r\n\r\n',
    'without a phrase': 'HTTP/1.1 100\r\n\r\n',
    'with fields': 'HTTP/1.1 100 Continue\r\nServer: x\r\nX-Empty:\r\n\r\n',
    'after empty lines': '\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n',
    'several, and others between them':
      'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 199 Misc\r\nA: 100\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n',
  }
  for (const [name, interim] of Object.entries(interims)) {
    for (const [how, respond] of Object.entries<Responder>({
      'in one piece': (socket) => socket.write(interim + OK),
      'byte by byte': async (socket) => {
        for (const byte of interim + OK) {
          socket.write(byte)
          await new Promise(setImmediate)
        }
      },
    })) {
      await t.test(`${name}, ${how}`, async (t) => {
        const { port, api } = await setUp(t, respond)
        const client = new WireClient(port)
        for (const request of [head('GET /api/a'), `${head('POST /api/a', 'Content-Length: 3')}abc`]) {
          const answer = await client.send(request).answer()
          t.equal(answer.status, 200)
          t.equal(answer.body.toString(), 'ok')
        }
        t.equal(api.sockets.size, 1, 'the connection stays')
        client.socket.destroy()
      })
    }
  }
})

t.test('a WebSocket handshake may have interim answers as well', async (t) => {
  const { port } = await setUp(
    t,
    (socket, request) => {
      socket.write('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 102 Processing\r\n\r\n')
      acceptHandshake(socket, request)
      setTimeout(() => socket.write('HTTP/1.1 100 Continue\r\n\r\n'), 20)
    },
    { websocket: { origins: [], idleMs: 5000, maxMessageBytes: 1000 } },
  )
  const client = new WireClient(port).send(handshake('/api/ws'))
  await client.untilReceived('HTTP/1.1 101')
  await client.untilReceived('HTTP/1.1 100 Continue\r\n\r\n')
  client.socket.destroy()
})

t.test('what looks like a 100 in a body, or after an answer, stays what it is', async (t) => {
  const body = 'HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 100 Continue\r\n\r\n'
  const { port } = await setUp(t, (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n`)
    setImmediate(() => socket.write(body))
  })
  t.equal((await exchange(port, head('GET /api/a'))).body.toString(), body)
})

t.test(
  'a 100 instead of an answer, and a 101 that nobody asked for, are no answer -> 502 (H-27)',
  async (t) => {
    const endings: Responder[] = [
      (socket) => socket.end('HTTP/1.1 100 Continue\r\n\r\n'),
      (socket) =>
        socket.write('HTTP/1.1 101 Switching Protocols\r\nupgrade: x\r\nconnection: upgrade\r\n\r\n'),
    ]
    for (const respond of endings) {
      const { port } = await setUp(t, respond)
      t.equal((await exchange(port, head('GET /api/a'))).status, 502)
    }
  },
)

t.test('heads are followed at any cut: 100 becomes 109, the rest stays', async (t) => {
  const text = `HTTP/1.1 100 Go on\r\nA: b\r\n\r\nHTTP/1.1 103 Early Hints\r\n\r\n${OK}`
  const expected = text.replace(' 100 ', ' 109 ')
  for (let cut = 0; cut <= text.length; cut++) {
    const heads = new AnswerHeads()
    const pieces = [text.slice(0, cut), text.slice(cut)].map((piece) => Buffer.from(piece))
    heads.await()
    for (const piece of pieces) heads.accept(piece)
    if (Buffer.concat(pieces).toString() !== expected) t.fail(`cut at ${cut}`)
    heads.await()
    if (!heads.isReusedInVain) t.fail(`cut at ${cut}: the answer was not seen`)
  }
})
