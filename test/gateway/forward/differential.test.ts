/**
 * The same thousands of requests and answers once through the gateway and once directly to the upstream. What
 * either side has seen may differ only by the rules listed here, which restate requirements Appendix C and H-25.
 */
import { once } from 'node:events'
import { connect, type Socket } from 'node:net'
import fc from 'fast-check'
import t, { type Test } from 'tap'
import type { Upstream } from '../../../gateway/config/schemas/gateway.ts'
import { type PlainAnswer, parted, readAnswer } from '../../support/answer-reader.ts'
import { forwarder, HOST, upstream } from '../../support/forwarder.ts'
import { until } from '../../support/wait.ts'
import { acceptHandshake, frame, handshake } from '../../support/websocket.ts'
import { RawUpstream, type RecordedRequest, valuesOf } from '../../support/wire.ts'

const CASES = 2000
const WORKERS = 16
const SEED = 20_261_122

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
const droppedRequest = [
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
const droppedAnswer = [
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
const cuts = fc.array(fc.integer({ min: 1, max: 40_000 }), { minLength: 1, maxLength: 5 })

const exchangeCase = fc.record({
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
type Case = typeof exchangeCase extends fc.Arbitrary<infer T> ? T : never

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
function requestBytes(one: Case, id: number, base: string): Buffer {
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
function isBodyless({ method, answer: { status } }: Case): boolean {
  return method === 'HEAD' || status === 204 || status === 304
}

function answerBytes(one: Case): Buffer {
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

async function setUp(t: Test, more: Partial<Upstream> = {}) {
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
function asker(port: number) {
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

/** `name: value` by lower-case name, same names in their order. */
function comparable(headerLines: readonly string[], dropped: (name: string) => boolean): string[] {
  const kept = headerLines.filter((line) => !dropped(parted(line)[0]))
  return kept.toSorted((a, b) => (parted(a)[0] < parted(b)[0] ? -1 : parted(a)[0] > parted(b)[0] ? 1 : 0))
}

const removedRequest = new Set([
  ...droppedRequest,
  'connection',
  'te',
  'transfer-encoding',
  'content-length',
  'host',
  'authorization',
])
const ourRequest = new Set([
  'connection',
  'transfer-encoding',
  'content-length',
  'host',
  'authorization',
  'x-forwarded-for',
  'x-forwarded-proto',
  'x-forwarded-host',
  'x-request-id',
  'x-subject',
])
const removedAnswer = new Set([
  ...droppedAnswer,
  'connection',
  'transfer-encoding',
  'content-length',
  'trailer',
  'date',
  'vary',
])
const ourAnswer = new Set([
  'connection',
  'keep-alive',
  'transfer-encoding',
  'content-length',
  'date',
  'vary',
  'cache-control',
  'x-request-id',
])

t.test(
  'requests and answers pass unchanged, apart from the listed rules (H-12 to H-14, H-19, H-25)',
  async (t) => {
    const { api, app, port, upstreamPort } = await setUp(t)
    const cases = fc.sample(exchangeCase, { numRuns: CASES, seed: SEED })
    const seen = new Map<string, RecordedRequest>()
    api.respond = (socket, request) => {
      const [id = ''] = valuesOf(request, 'x-case')
      const direct = valuesOf(request, 'x-request-id').length === 0
      seen.set(`${direct ? 'direct' : 'through'} ${id}`, request)
      const one = cases[Number(id)]!
      const { framing, hop } = one.answer
      const bytes = answerBytes(one)
      if ((framing === 'close' && !isBodyless(one)) || hop === 'close') socket.end(bytes)
      else socket.write(bytes)
    }
    const differences: string[] = []
    let next = 0
    const work = async () => {
      const [direct, through] = [asker(upstreamPort), asker(port)]
      for (let id = next++; id < cases.length; id = next++) {
        const one = cases[id]!
        const expected = await direct.ask(requestBytes(one, id, ''), one.method)
        const actual = await through.ask(requestBytes(one, id, '/api'), one.method)
        differences.push(...compared(one, id, expected, actual).map((line) => `case ${id}: ${line}`))
      }
      direct.close()
      through.close()
    }
    function compared(one: Case, id: number, expected: PlainAnswer, actual: PlainAnswer): string[] {
      const [before, after] = [seen.get(`direct ${id}`), seen.get(`through ${id}`)]
      if (!before || !after) return [`not forwarded: ${actual.status} ${actual.body}`]
      const found: string[] = []
      const same = (what: string, a: unknown, b: unknown) => {
        const [left, right] = [JSON.stringify(a), JSON.stringify(b)]
        if (left !== right) found.push(`${what}: ${left} became ${right}`)
      }
      const hop = (connection: string) => connection.toLowerCase().split(/, ?/)
      const requestHop = hop(one.hop)
      const answerHop = hop(one.answer.hop)
      same('request line', before.requestLine, after.requestLine)
      same(
        'request fields',
        comparable(
          before.headerLines,
          (name) => removedRequest.has(name) || requestHop.includes(name) || isForged(name, before),
        ),
        comparable(after.headerLines, (name) => ourRequest.has(name)),
      )
      same('request body', before.body.toString('base64'), after.body.toString('base64'))
      same('subject', valuesOf(after, 'x-subject'), ['alice'])
      same('credential', valuesOf(after, 'authorization'), ['Bearer provider-token'])
      same('status', expected.status, actual.status)
      same(
        'interim',
        expected.interim,
        actual.interim.filter((line) => !/^date:/i.test(line)),
      )
      same(
        'answer fields',
        comparable(expected.headerLines, (name) => removedAnswer.has(name) || answerHop.includes(name)),
        comparable(
          actual.headerLines,
          (name) => ourAnswer.has(name) || (actual.status === 401 && name === 'www-authenticate'),
        ),
      )
      const length = (answer: PlainAnswer) => new Map(answer.headerLines.map(parted)).get('content-length')
      if (one.answer.framing === 'length') same('length', length(expected), length(actual))
      same('answer body', expected.body.toString('base64'), actual.body.toString('base64'))
      same(
        'trailer',
        expected.trailerLines.filter((line) => !line.startsWith('set-cookie')),
        actual.trailerLines,
      )
      return found
    }
    await Promise.all(Array.from({ length: WORKERS }, work))
    t.equal(seen.size, CASES * 2)
    t.same(differences.slice(0, 5), [])
    t.equal(differences.length, 0)
    await noneLeft(app)
  },
)

/** A traceparent that is none does not pass. */
function isForged(name: string, request: RecordedRequest): boolean {
  return name === 'traceparent' && !/^[0-9a-f]{2}-/.test(valuesOf(request, name)[0] ?? '')
}

async function noneLeft(app: Awaited<ReturnType<typeof forwarder>>['app']): Promise<void> {
  let open = 1
  const count = () => app.server.getConnections((_, connections) => (open = connections))
  await until(() => {
    count()
    return open === 0
  })
}

t.test('WebSocket bytes pass unchanged both ways, however they are cut (H-29)', async (t) => {
  const websocket = { origins: [], idleMs: 5000, maxMessageBytes: 1e9 }
  const { api, app, port } = await setUp(t, { websocket })
  const frameBytes = (mask: boolean) =>
    fc
      .record({
        kind: fc.constantFrom(
          [0, false],
          [0, true],
          [1, true],
          [1, false],
          [2, true],
          [2, false],
          [9, true],
          [10, true],
        ),
        size: fc.oneof(
          fc.nat(125),
          fc.integer({ min: 126, max: 2000 }),
          fc.integer({ min: 65_000, max: 200_000 }),
        ),
      })
      .map(({ kind: [opcode, fin], size }) => {
        const payload = Buffer.alloc(Number(opcode) >= 8 ? size % 126 : size, `${size}é\0`)
        return frame(Number(opcode), payload, { fin: Boolean(fin), mask })
      })
  const stream = (mask: boolean) =>
    fc.record({ bytes: fc.array(frameBytes(mask), { maxLength: 12 }).map((all) => Buffer.concat(all)), cuts })
  const sessions = fc.sample(fc.record({ up: stream(true), down: stream(false) }), {
    numRuns: 120,
    seed: SEED,
  })

  const pour = async (socket: Socket, { bytes, cuts: sizes }: { bytes: Buffer; cuts: number[] }) => {
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const piece = bytes.subarray(at, at + sizes[i % sizes.length]!)
      at += piece.length
      if (!socket.write(piece)) await once(socket, 'drain')
      else if (i % 3 === 0) await new Promise(setImmediate)
    }
  }
  const arrived = new Map<string, Buffer[]>()
  api.respond = (socket, request) => {
    const [id = ''] = valuesOf(request, 'x-case')
    const pieces: Buffer[] = []
    arrived.set(id, pieces)
    socket.cork()
    acceptHandshake(socket, request)
    socket.on('data', (chunk) => pieces.push(chunk))
    const pouring = pour(socket, sessions[Number(id)]!.down)
    socket.uncork()
    pouring.catch(() => {})
  }
  let wrong = 0
  let next = 0
  const work = async () => {
    for (let id = next++; id < sessions.length; id = next++) {
      const { up, down } = sessions[id]!
      const socket = connect(port, '127.0.0.1')
      let received = Buffer.alloc(0)
      socket.on('data', (chunk) => {
        received = Buffer.concat([received, chunk])
      })
      socket.write(handshake('/api/ws', `X-Case: ${id}`))
      await until(() => received.includes('\r\n\r\n'))
      await pour(socket, up)
      const start = received.indexOf('\r\n\r\n') + 4
      await until(() => received.length - start >= down.bytes.length)
      const pieces = arrived.get(String(id)) ?? []
      await until(() => pieces.reduce((size, { length }) => size + length, 0) >= up.bytes.length)
      if (!received.subarray(start).equals(down.bytes) || !Buffer.concat(pieces).equals(up.bytes)) wrong++
      socket.destroy()
    }
  }
  await Promise.all(Array.from({ length: 8 }, work))
  t.equal(arrived.size, sessions.length)
  t.equal(wrong, 0)
  await noneLeft(app)
  await until(() => api.sockets.size === 0)
})

t.test(
  'faults at any byte leave no socket behind, and the next request is unharmed (H-27, H-35)',
  async (t) => {
    const { api, app, port } = await setUp(t)
    const faults = fc.sample(
      fc.record({
        one: exchangeCase,
        side: fc.constantFrom('client', 'client in the answer', 'upstream'),
        at: fc.double({ min: 0, max: 0.99, noNaN: true }),
        reset: fc.boolean(),
      }),
      { numRuns: 300, seed: SEED },
    )
    const leave = (socket: Socket, reset: boolean) => (reset ? socket.resetAndDestroy() : socket.destroy())
    api.respond = (socket, request) => {
      const [id] = valuesOf(request, 'x-case')
      const fault = id === undefined ? undefined : faults[Number(id)]
      if (fault?.side !== 'upstream') {
        socket.write('HTTP/1.1 200 OK\r\ncontent-length: 20000\r\n\r\n')
        socket.write(Buffer.alloc(20_000, 'x'))
        return
      }
      const bytes = answerBytes(fault.one)
      socket.write(bytes.subarray(0, Math.floor(bytes.length * fault.at)), () => leave(socket, fault.reset))
    }
    let next = 0
    const work = async () => {
      for (let id = next++; id < faults.length; id = next++) {
        const { one, side, at, reset } = faults[id]!
        const bytes = requestBytes(one, id, '/api')
        const socket = connect(port, '127.0.0.1').on('error', () => {})
        const closed = once(socket, 'close')
        if (side === 'client') {
          socket.write(bytes.subarray(0, Math.floor(bytes.length * at)), () => leave(socket, reset))
        } else if (side === 'client in the answer') {
          socket.once('data', () => leave(socket, reset))
          socket.write(bytes)
        } else {
          // Either an answer of ours, or the upstream's as far as it came.
          socket.write(bytes)
          await readAnswer(socket, one.method).catch(() => {})
          socket.destroy()
        }
        await closed
      }
    }
    await Promise.all(Array.from({ length: WORKERS }, work))
    await noneLeft(app)
    const after = asker(port)
    const plain = Buffer.from(`GET /api/a HTTP/1.1\r\nHost: ${HOST}\r\nAuthorization: Bearer good\r\n\r\n`)
    for (let i = 0; i < 100; i++) {
      const { status, body: content } = await after.ask(plain, 'GET')
      if (status !== 200 || content.length !== 20_000) t.fail(`request ${i} after the faults: ${status}`)
    }
    after.close()
    await noneLeft(app)
    await app.close()
    await until(() => api.sockets.size === 0)
    t.pass('nothing is open on either side')
  },
)
