/** Responses over HTTP/2: what of the upstream reaches the client. */

import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import t from 'tap'
import { answerOf, END_STREAM, fieldOf, HEADERS, RST_STREAM } from '../../support/http2.ts'
import { bareServer, get, setUp } from '../../support/http2-forwarder.ts'
import { until } from '../../support/wait.ts'

const INTERNAL_ERROR = 2

t.test(
  'an answer passes whole: repeated fields, hints, trailers, and nothing of its connection',
  async (t) => {
    const { api, client } = await setUp(t, { cookies: { request: [], response: ['a', 'b'] } })
    const { ask } = await client()
    const lines = [
      'set-cookie: a=1',
      'Set-Cookie: b=2',
      'x-own: 1',
      'X-Own: 2',
      'x-content-type-options: nosniff',
      'x-content-type-options: nosniff',
      'x-latin: \xe9',
      'http2-settings: AA',
      'connection: x-hop',
      'x-hop: 1',
      'transfer-encoding: chunked',
    ]
    api.respond = (socket) => {
      socket.write('HTTP/1.1 103 Early Hints\r\nlink: </a.css>; rel=preload\r\n\r\n')
      socket.write('HTTP/1.1 102 Processing\r\n\r\n')
      socket.write(`HTTP/1.1 200 OK\r\n${lines.join('\r\n')}\r\n\r\n`, 'latin1')
      socket.write('3\r\nabc\r\n0\r\nx-sum: 1\r\n\r\n')
    }
    const answer = await ask({ ':path': '/api/a', te: 'trailers' })
    t.equal(answer.status, 200)
    t.same(answer.interim, ['103 </a.css>; rel=preload', '102 '])
    t.equal(answer.body.toString(), 'abc')
    t.match(answer.trailers, { 'x-sum': '1' })
    const ours = ['date', 'x-request-id', 'cache-control', 'vary']
    t.same(
      answer.fields.filter(([name]) => !ours.includes(name)),
      [
        ['set-cookie', 'a=1'],
        ['set-cookie', 'b=2'],
        ['x-own', '1, 2'],
        ['x-content-type-options', 'nosniff, nosniff'],
        ['x-latin', '\xe9'],
      ],
    )
  },
)

t.test('answers that end with their head', async (t) => {
  const { api, client } = await setUp(t)
  const { ask } = await client()
  const seen: unknown[] = []
  for (const [method, status, length, content] of [
    ['HEAD', 200, 5, ''],
    ['GET', 204, undefined, ''],
    ['GET', 304, 5, ''],
    ['GET', 205, 5, 'reset'],
    ['GET', 200, 0, ''],
  ] as const) {
    const announced = length === undefined ? '' : `content-length: ${length}\r\n`
    api.respond = (socket) => socket.write(`HTTP/1.1 ${status} X\r\n${announced}\r\n${content}`)
    const answer = await ask({ ':method': method, ':path': '/api/a' })
    const announcedHere = fieldOf(answer, 'content-length')
    seen.push([method, answer.status, announcedHere, answer.body.length, answer.code])
  }
  t.same(seen, [
    ['HEAD', 200, '5', 0, 0],
    ['GET', 204, undefined, 0, 0],
    ['GET', 304, '5', 0, 0],
    ['GET', 205, undefined, 0, 0],
    ['GET', 200, '0', 0, 0],
  ])
})

t.test('what no field may hold is an error, as with HTTP/1.1 (RFC 9113 §8.2.1)', async (t) => {
  const { server, frames } = await bareServer(t)
  const wire = await frames()
  const answering = once(server, 'request')
  wire.request(1, get())
  const [, response] = (await answering) as [IncomingMessage, ServerResponse]
  for (const fields of [
    ['x-own', 'a\0b'],
    ['x-own', 'a\r\nb: c'],
    ['x own', 'a'],
    [':status', '201'],
  ]) {
    t.throws(() => response.writeHead(200, fields), TypeError)
  }
  response.writeHead(200, ['x-own', 'a']).end()
  t.equal(await wire.fate(1), 'HEADERS')
})

t.test('an answer without a body ends its stream, whatever is written to it', async (t) => {
  const { server, frames } = await bareServer(t)
  const wire = await frames()
  server.on('request', (_, response) => response.writeHead(200).end('not for HEAD'))
  wire.request(1, [[':method', 'HEAD'], ...get().slice(1)], 0)
  await until(() => wire.frames.some(({ type }) => type === RST_STREAM))
  const [answer, reset, ...more] = wire.frames.filter(({ stream }) => stream === 1)
  t.same([answer?.type, (answer?.flags ?? 0) & END_STREAM], [HEADERS, END_STREAM])
  t.same([reset?.type, reset?.payload.readUInt32BE(0)], [RST_STREAM, 0], 'the upload is not wanted')
  t.same(more, [])
})

t.test('an answer that breaks off does not look whole', async (t) => {
  const { api, client } = await setUp(t)
  const { ask } = await client()
  const begin = 'HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n'
  api.respond = (socket) => {
    socket.write(begin)
    setTimeout(() => socket.destroy(), 100)
  }
  const answer = await ask({ ':path': '/api/a' })
  t.same([answer.status, answer.body.toString(), answer.code], [200, 'abc', INTERNAL_ERROR])
  api.respond = (socket) => socket.write('HTTP/1.1 999 X\r\nx-own: 1\r\ncontent-length: 0\r\n\r\n')
  const odd = await ask({ ':path': '/api/a' })
  t.same([odd.status, fieldOf(odd, 'x-own')], [502, undefined])
})

t.test('large bodies pass at the pace of who reads them (H-19)', async (t) => {
  const size = 40_000_000
  const { api, client } = await setUp(t, { bodyLimitBytes: 1e9 })
  const { open } = await client()
  api.early = true
  api.respond = async (socket) => {
    socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${size}\r\n\r\n`)
    const piece = Buffer.alloc(100_000, 'x')
    for (let sent = 0; sent < size; sent += piece.length) {
      if (!socket.write(piece)) await once(socket, 'drain')
    }
  }
  const download = open({ ':path': '/api/a' })
  download.pause()
  await once(download, 'response')
  await new Promise((resolve) => setTimeout(resolve, 300))
  const [upstreamSocket] = api.sockets
  t.ok((upstreamSocket?.bytesWritten ?? size) < size / 2, 'nothing is read ahead of the client')
  let received = 0
  download.on('data', (chunk: Buffer) => {
    received += chunk.length
  })
  download.resume()
  await once(download, 'end')
  t.equal(received, size)
})

t.test('an event stream ends whole when its session ends (H-30)', async (t) => {
  let end: () => void = () => {}
  const { api, client } = await setUp(
    t,
    {},
    {
      onSessionEnd: (_session, listener) => {
        end = listener as () => void
        return () => {}
      },
    },
  )
  const { ask, open } = await client()
  api.respond = (socket) =>
    socket.write('HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\r\ndata: 1\n\n')
  const stream = open({ ':path': '/api/events' })
  const answer = answerOf(stream)
  await once(stream, 'data')
  const gone = once(api.events, 'close')
  end()
  const { status, body, code } = await answer
  t.same([status, body.toString(), code], [200, 'data: 1\n\n', 0])
  await gone
  t.equal((await ask({ ':path': '/nothing' })).status, 404)
})
