/** HTTP/2 to clients (`listen.http2`): the limits of HTTP/1.1 hold, whatever the client has acknowledged. */

import t from 'tap'
import { session } from '../../support/forwarder.ts'
import { fieldBlock, fieldOf, frameBytes, RST_STREAM } from '../../support/http2.ts'
import { CANCEL, get, setUp } from '../../support/http2-forwarder.ts'
import { until } from '../../support/wait.ts'

const fields = (count: number, value: string) =>
  Array.from({ length: count }, (_, n): [string, string] => [`x-${n}`, value])

for (const acknowledges of [true, false]) {
  const whose = acknowledges ? 'acknowledged' : 'not acknowledged'
  t.test(`a header beyond the limits -> 431, settings ${whose} (RFC 9113 §10.5.1, H-20, H-34)`, async (t) => {
    const { api, app, frames } = await setUp(t)
    const statuses: number[] = []
    app.server.on('request', (_request, response) =>
      response.on('finish', () => statuses.push(response.statusCode)),
    )
    const wire = await frames(acknowledges)
    const tooLarge = [
      get(...fields(20, 'x'.repeat(1000))),
      get(...fields(95, 'x'.repeat(200))),
      get(...fields(99, '1')),
      get(...fields(700, '1')),
      get(['cookie', 'x'.repeat(10_000)], ['cookie', 'x'.repeat(10_000)]),
      get(['x-a', 'x'.repeat(60_000)]),
    ]
    for (const [index, request] of tooLarge.entries()) {
      const stream = 2 * index + 1
      wire.request(stream, request)
      t.equal(await wire.fate(stream), 'HEADERS')
      await until(() => statuses.length === index + 1)
    }
    t.same(
      statuses,
      tooLarge.map(() => 431),
    )
    t.equal(api.requests.length, 0)
    wire.request(101, get(...fields(90, 'x'.repeat(100))))
    t.equal(await wire.fate(101), 'HEADERS')
    t.equal(api.requests.length, 1, 'and what keeps to them is forwarded')
  })
}

t.test('a few bytes that stand for many are no way round the limits (RFC 7541 §4, H-34)', async (t) => {
  const { api, frames } = await setUp(t)
  const wire = await frames(false)
  const literal = fieldBlock([['x-bomb', 'x'.repeat(3900)]])
  // With incremental indexing; from then on one byte says it all again.
  literal[0] = 0x40
  const references = Buffer.alloc(90, 0x80 | 62)
  for (let stream = 1; stream < 100; stream += 2) {
    const parts = stream === 1 ? [literal] : [references]
    wire.block(stream, Buffer.concat([fieldBlock(get()), ...parts]))
    t.equal(await wire.fate(stream), 'HEADERS')
  }
  t.equal(api.requests.length, 1, 'the one with the literal')
})

t.test('a header that is larger than may be read at all ends its stream (RFC 9113 §10.5.1)', async (t) => {
  const { api, frames, client } = await setUp(t)
  const wire = await frames()
  wire.request(1, get(...fields(1100, '1')))
  t.match(await wire.fate(1), /^RST_STREAM/)
  const { ask } = await client()
  t.equal((await ask({ ':path': '/api/a' })).status, 200)
  t.equal(api.requests.length, 1)
})

t.test('who opens more streams than it may loses its connection (RFC 9113 §5.1.2)', async (t) => {
  const { api, frames } = await setUp(t, {}, { http2: { maxConcurrentStreams: 3 } })
  const wire = await frames()
  api.respond = () => {}
  for (const stream of [1, 3, 5]) wire.request(stream, get())
  await until(() => api.requests.length === 3)
  wire.request(7, get())
  await until(() => wire.closed)
  t.equal(api.requests.length, 3)
})

t.test('and opens none of them before it has acknowledged that limit (RFC 9113 §6.5.3, H-34)', async (t) => {
  const { api, frames } = await setUp(t, {}, { http2: { maxConcurrentStreams: 3 } })
  const wire = await frames(false)
  api.respond = () => {}
  for (const stream of [1, 3, 5, 7]) wire.request(stream, get())
  t.match(await wire.fate(7), /^RST_STREAM/)
  await until(() => api.requests.length === 3)
})

t.test(
  'a stream that is reset with the bytes that open it is never a request (CVE-2023-44487, H-34)',
  async (t) => {
    let resolved = 0
    const resolve = () => {
      resolved++
      return session()
    }
    const { api, frames } = await setUp(t, {}, { resolve })
    const wire = await frames()
    // One write: what a flood sends, in as few packets as it can.
    wire.socket.cork()
    for (let stream = 1; stream < 101; stream += 2) {
      wire.request(stream, stream % 4 === 1 ? get() : get(['expect', '100-continue']))
      wire.socket.write(frameBytes(RST_STREAM, 0, stream, Buffer.from([0, 0, 0, CANCEL])))
    }
    wire.request(101, get())
    wire.socket.uncork()
    t.equal(await wire.fate(101), 'HEADERS', 'one that stays open is served')
    t.equal(api.requests.length, 1)
    t.equal(resolved, 1, 'nobody has looked for the sessions of the others')
  },
)

t.test(
  'who breaks off too many streams loses the connection, and no descriptor is kept (H-34)',
  async (t) => {
    // Node kept those that nghttp2 had ended, after the client had gone, too.
    const { app, frames } = await setUp(t)
    const open = () =>
      new Promise<number>((resolve) => app.server.getConnections((_error, count) => resolve(count)))
    const breakOff = async (streams: number, atOnce: number) => {
      const wire = await frames()
      for (let sent = 0; sent < streams && !wire.closed; sent += atOnce) {
        wire.socket.cork()
        for (let i = 0; i < atOnce; i++) {
          const stream = 2 * (sent + i) + 1
          wire.request(stream, get())
          wire.socket.write(frameBytes(RST_STREAM, 0, stream, Buffer.from([0, 0, 0, CANCEL])))
        }
        wire.socket.uncork()
        await new Promise((resolve) => setTimeout(resolve, 10))
      }
      return wire
    }
    for (const atOnce of [50, 1500]) {
      await breakOff(1500, atOnce)
      await until(async () => (await open()) === 0)
    }
    // Node 24 takes a reset that comes late for an invalid frame, of which it allows a hundred.
    const wire = await breakOff(80, 40)
    wire.request(161, get())
    t.equal(await wire.fate(161), 'HEADERS', 'a client that has changed its mind often is served')
  },
)

t.test('a large header of an upstream arrives over HTTP/2 too (H-25)', async (t) => {
  const { api, client } = await setUp(t)
  const { ask } = await client()
  const lines = Array.from({ length: 60 }, (_, n) => `x-${n}: ${'v'.repeat(980)}\r\n`).join('')
  api.respond = (socket) => socket.write(`HTTP/1.1 200 OK\r\n${lines}content-length: 2\r\n\r\nok`)
  const answer = await ask({ ':path': '/api/a' })
  t.equal(answer.status, 200)
  t.equal(fieldOf(answer, 'x-59')?.length, 980)
})
