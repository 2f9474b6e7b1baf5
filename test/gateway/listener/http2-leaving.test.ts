/** How an answer over HTTP/2 leaves: in how many frames, and for how long somebody may not read it. */

import { once } from 'node:events'
import type { IncomingMessage, ServerResponse } from 'node:http'
import t, { type Test } from 'tap'
import { LeavingAnswers } from '../../../gateway/listener/http2/leaving-answers.ts'
import type { Http2Response } from '../../../gateway/listener/http2/response.ts'
import { DATA, END_STREAM, HEADERS, RST_STREAM } from '../../support/http2.ts'
import { bareServer, get } from '../../support/http2-forwarder.ts'
import { until } from '../../support/wait.ts'

/** More than the window of a stream, which this client never opens further. */
const UNREAD = Buffer.alloc(200_000)

/** A request that is to be answered. */
async function asked(t: Test) {
  const { server, frames } = await bareServer(t)
  const wire = await frames()
  const answering = once(server, 'request')
  wire.request(1, get())
  const [, response] = (await answering) as [IncomingMessage, ServerResponse]
  return { wire, response }
}

t.test('a body of announced length ends the stream itself: no trailer is waited for', async (t) => {
  const { wire, response } = await asked(t)
  response.writeHead(200, ['content-length', '4']).end('body')
  t.notOk(response.chunkedEncoding)
  const ends = () => wire.frames.filter(({ stream, flags }) => stream === 1 && (flags & END_STREAM) !== 0)
  await until(() => ends().length > 0)
  const all = wire.frames.filter(({ stream, type }) => stream === 1 && type !== RST_STREAM)
  t.same(
    all.map(({ type, flags, payload }) => [type, flags & END_STREAM, type === DATA ? `${payload}` : '']),
    [
      [HEADERS, 0, ''],
      [DATA, END_STREAM, 'body'],
    ],
  )
})

t.test('without a length a trailer can follow', async (t) => {
  const { wire, response } = await asked(t)
  response.writeHead(200, ['x-own', '1']).write('body')
  t.ok(response.chunkedEncoding)
  response.addTrailers({ 'x-sum': '1' })
  response.end()
  await until(() => wire.frames.some(({ flags, stream }) => stream === 1 && (flags & END_STREAM) !== 0))
  const types = wire.frames.filter(({ stream }) => stream === 1).map(({ type }) => type)
  t.same(types, [HEADERS, DATA, HEADERS])
})

t.test('a header is sent once, and one that was set before it is part of it', async (t) => {
  const { wire, response } = await asked(t)
  response.setHeader('x-own', ['1', '2'])
  response.setHeader('x-other', 'replaced')
  response.writeHead(200, { 'x-other': '3' })
  t.throws(() => response.writeHead(200, []), { code: 'ERR_HTTP2_HEADERS_SENT' })
  t.throws(() => response.setHeader('x-own', '4'), { code: 'ERR_HTTP2_HEADERS_SENT' })
  t.equal(response.statusCode, 200)
  response.end()
  t.equal(await wire.fate(1), 'HEADERS')
})

t.test('an answer that nobody reads is destroyed, and one that has left is forgotten', async (t) => {
  const leaving = new LeavingAnswers<Http2Response>(20, 100)
  const unread = await asked(t)
  unread.response.end(UNREAD)
  leaving.add(unread.response as unknown as Http2Response)
  t.equal(await stallsFor(unread.wire), `RST_STREAM 2`)

  const read = await asked(t)
  const response = read.response as unknown as Http2Response
  let destroyed = false
  response.destroy = () => {
    destroyed = true
    return response
  }
  response.end(UNREAD)
  leaving.add(response)
  leaving.delete(response)
  await new Promise((resolve) => setTimeout(resolve, 300))
  t.notOk(destroyed)
})

async function stallsFor(wire: Awaited<ReturnType<typeof asked>>['wire']): Promise<string> {
  const found = () => wire.frames.find(({ type, stream }) => type === RST_STREAM && stream === 1)
  await until(() => found() !== undefined)
  return `RST_STREAM ${found()!.payload.readUInt32BE(0)}`
}
