/** Generated requests and answers, and the two ways to send them: through the gateway, and directly to the upstream. */

import { connect, type Socket } from 'node:net'
import fc from 'fast-check'
import type { Test } from 'tap'
import type { Upstream } from '../../gateway/config/schemas/gateway.ts'
import { type PlainAnswer, readAnswer } from './answer-reader.ts'
import { forwarder, HOST, upstream } from './forwarder.ts'
import { until } from './wait.ts'
import { RawUpstream } from './wire.ts'

export const WORKERS = 16
export const SEED = 20_261_122

const token = fc.string({ unit: fc.constantFrom(...'abcxyzABCXYZ0189-!#$&.^~'), minLength: 1, maxLength: 12 })
/** Visible ASCII, inner blanks and tabs, and bytes above ASCII. */
const fieldValue = fc
  .string({ unit: fc.constantFrom(...'ab Z9,;=:/"()<>@[]{}%\\\t*é\xff'), maxLength: 40 })
  .map((value) => value.trim())
const anyCase = (name: string) =>
  fc.boolean().map((upper) => (upper ? name.toUpperCase() : name.replace(/\b./g, (c) => c.toUpperCase())))
const own = token.map((name) => `x-own-${name}`)

/** Names that may come once only. */
const once_ = ['user-agent', 'referer', 'content-type', 'if-none-match', 'range', 'if-range', 'traceparent']
const passedRequest = [
  'accept',
  'accept-encoding',
  'accept-language',
  'cache-control',
  'priority',
  'sec-fetch-mode',
]
export const droppedRequest = [
  'cookie',
  'forwarded',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-prefix',
  'x-real-ip',
  'x-original-url',
  'x-http-method-override',
  'x-auth-subject',
  'x-user-id',
  'cf-connecting-ip',
  'proxy-authorization',
  'x_own_underscore',
  'keep-alive',
  'x-subject',
]
const passedAnswer = [
  'content-type',
  'etag',
  'last-modified',
  'content-language',
  'accept-ranges',
  'x-frame-options',
]
export const droppedAnswer = [
  'server',
  'via',
  'x-powered-by',
  'set-cookie',
  'access-control-allow-origin',
  'strict-transport-security',
  'alt-svc',
  'x-accel-redirect',
  'proxy-authenticate',
  'keep-alive',
  'cache-control',
  'expires',
  'pragma',
  'www-authenticate',
]

type Field = readonly [name: string, value: string]

function fields(passed: readonly string[], dropped: readonly string[], singles: readonly string[]) {
  const named = (names: readonly string[]) =>
    fc.array(fc.tuple(fc.constantFrom(...names).chain(anyCase), fieldValue), { maxLength: 4 })
  return fc
    .tuple(
      fc.array(fc.tuple(own, fieldValue), { maxLength: 5 }),
      named(passed),
      named(dropped),
      fc.uniqueArray(fc.tuple(fc.constantFrom(...singles).chain(anyCase), fieldValue), {
        selector: ([name]) => name.toLowerCase(),
        maxLength: 3,
      }),
    )
    .chain((groups) => fc.shuffledSubarray<Field>(groups.flat(), { minLength: groups.flat().length }))
}

const body = fc.oneof(
  fc.constant(Buffer.alloc(0)),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
  fc.integer({ min: 1000, max: 100_000 }).map((size) => Buffer.alloc(size, `${size} `)),
)
export const cuts = fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 5 })

export const exchangeCase = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'),
  path: fc.array(
    token.map((one) => one.replace(/[#^]/g, '').replace(/^\.*$/, 'x')),
    { maxLength: 4 },
  ),
  query: fc.option(fc.string({ unit: fc.constantFrom(...'ab=&%+;/?:@\'"<>\\^`{|}~'), maxLength: 30 })),
  fields: fields(passedRequest, droppedRequest, once_),
  hop: fc.constantFrom('', 'keep-alive', 'x-own-hop', 'X-Own-Hop, keep-alive', 'TE', 'x-own-absent'),
  body,
  chunked: fc.boolean(),
  cuts,
  answer: fc.record({
    status: fc.constantFrom(
      200,
      200,
      200,
      201,
      202,
      203,
      204,
      205,
      206,
      226,
      304,
      400,
      401,
      404,
      409,
      418,
      429,
      451,
      500,
      503,
      599,
    ),
    fields: fields(passedAnswer, droppedAnswer, ['x-own-single', 'content-encoding', 'content-disposition']),
    hop: fc.constantFrom('', '', 'x-own-hop', 'close'),
    hints: fc.boolean(),
    framing: fc.constantFrom('length', 'chunked', 'trailers', 'close'),
    body,
    cuts,
  }),
})
export type Case = typeof exchangeCase extends fc.Arbitrary<infer T> ? T : never

function chunked(content: Buffer, sizes: readonly number[], trailer = ''): Buffer {
  const pieces: Buffer[] = []
  for (let at = 0, i = 0; at < content.length; i++) {
    const piece = content.subarray(at, at + sizes[i % sizes.length]!)
    pieces.push(Buffer.from(`${piece.length.toString(16)}\r\n`), piece, Buffer.from('\r\n'))
    at += piece.length
  }
  return Buffer.concat([...pieces, Buffer.from(`0\r\n${trailer}\r\n`, 'latin1')])
}

const lines = (all: readonly Field[]) => all.map(([name, value]) => `${name}: ${value}\r\n`).join('')
const TRAILER = 'X-Own-Sum: 1\r\nset-cookie: a=1\r\n'

/** The request on the wire; `base` is where the upstream is on this side. */
export function requestBytes(one: Case, id: number, base: string): Buffer {
  const target = `${base}/${one.path.join('/')}${one.query === null ? '' : `?${one.query}`}`
  const hasBody = one.method !== 'GET' && one.method !== 'HEAD'
  const framing = !hasBody
    ? ''
    : one.chunked
      ? 'Transfer-Encoding: chunked\r\n'
      : `Content-Length: ${one.body.length}\r\n`
  const hop = one.hop === '' ? '' : `Connection: ${one.hop}\r\nX-Own-Hop: 1\r\n`
  const head = `${one.method} ${target} HTTP/1.1\r\nHost: ${HOST}\r\nAuthorization: Bearer good\r\nX-Case: ${id}\r\n`
  const content = !hasBody ? Buffer.alloc(0) : one.chunked ? chunked(one.body, one.cuts) : one.body
  return Buffer.concat([Buffer.from(`${head}${hop}${lines(one.fields)}${framing}\r\n`, 'latin1'), content])
}

/** RFC 9112 §6.3: whatever the fields say, nothing follows. */
export function isBodyless({ method, answer: { status } }: Case): boolean {
  return method === 'HEAD' || status === 204 || status === 304
}

export function answerBytes(one: Case): Buffer {
  const { answer } = one
  const { status, body: content, framing } = answer
  const hints = answer.hints ? 'HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n' : ''
  const hop = answer.hop === '' ? '' : `Connection: ${answer.hop}\r\nX-Own-Hop: 1\r\n`
  const frame = {
    length: status === 204 ? '' : `Content-Length: ${content.length}\r\n`,
    chunked: status === 204 ? '' : 'Transfer-Encoding: chunked\r\n',
    trailers: status === 204 ? '' : 'Transfer-Encoding: chunked\r\nTrailer: x-own-sum\r\n',
    close: '',
  }[framing]
  const head = `${hints}HTTP/1.1 ${status} Whatever\r\n${hop}${lines(answer.fields)}${frame}\r\n`
  const bytes = {
    length: content,
    chunked: chunked(content, answer.cuts),
    trailers: chunked(content, answer.cuts, TRAILER),
    close: content,
  }[framing]
  return Buffer.concat([Buffer.from(head, 'latin1'), isBodyless(one) ? Buffer.alloc(0) : bytes])
}

export async function setUp(t: Test, more: Partial<Upstream> = {}) {
  const api = new RawUpstream()
  const target = await api.listen()
  const identityHeaders = { 'x-subject': 'sub' }
  const { app, port } = await forwarder({
    upstreams: [upstream({ target, bodyLimitBytes: 1e9, identityHeaders, ...more })],
  })
  t.teardown(async () => {
    await api.close()
    await app.close()
  })
  return { api, app, port, upstreamPort: Number(new URL(target).port) }
}

/** A connection per worker, renewed when it cannot be used again. */
export function asker(port: number) {
  let socket: Socket | undefined
  return {
    async ask(bytes: Buffer, method: string): Promise<PlainAnswer> {
      socket ??= connect(port, '127.0.0.1').on('error', () => {})
      const answering = readAnswer(socket, method)
      socket.write(bytes)
      const answer = await answering
      if (!answer.reusable) {
        socket.destroy()
        socket = undefined
      }
      return answer
    },
    close: () => socket?.destroy(),
  }
}

export async function noneLeft(app: Awaited<ReturnType<typeof forwarder>>['app']): Promise<void> {
  let open = 1
  const count = () => app.server.getConnections((_, connections) => (open = connections))
  await until(() => {
    count()
    return open === 0
  })
}
