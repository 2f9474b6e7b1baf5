import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request } from 'node:https'
import fc from 'fast-check'
import t from 'tap'
import { HOST } from '../../support/forwarder.ts'
import { certificate, setUp } from '../../support/http2-forwarder.ts'
import { valuesOf } from '../../support/wire.ts'

const token = fc.string({ unit: fc.constantFrom(...'abcxyzABC019-!#$&.^~'), minLength: 1, maxLength: 12 })
const fieldValue = fc
  .string({ unit: fc.constantFrom(...'ab Z9,;=:/"()<>@[]{}%\\\t*\xe9\xff'), maxLength: 40 })
  .map((value) => value.trim())
const fieldLines = fc.array(
  fc.tuple(
    fc.oneof(
      token.map((name) => `X-Own-${name}`),
      fc.constantFrom(
        'Set-Cookie',
        'Vary',
        'etag',
        'Server',
        'X-Content-Type-Options',
        'Link',
        'Retry-After',
      ),
    ),
    fieldValue,
  ),
  { maxLength: 8 },
)
const answers = fc.record({
  method: fc.constantFrom('GET', 'HEAD', 'POST', 'DELETE'),
  status: fc.constantFrom(200, 201, 204, 206, 304, 400, 401, 404, 418, 500, 503, 599),
  request: fieldLines,
  fields: fieldLines,
  body: fc.uint8Array({ maxLength: 3000 }).map((bytes) => Buffer.from(bytes)),
  chunked: fc.boolean(),
})

t.test(
  'generated requests and answers are the same over HTTP/1.1 and HTTP/2 (H-25, RFC 9113 §8)',
  async (t) => {
    const { api, port, client } = await setUp(t, {
      bodyLimitBytes: 1e6,
      cookies: { request: [], response: ['a'] },
    })
    const { ask } = await client()
    const agent = new HttpsAgent({ keepAlive: true, maxSockets: 1 })
    t.teardown(() => agent.destroy())
    const cases = fc.sample(answers, { numRuns: 150, seed: 20_261_122 })
    const noBody = (one: (typeof cases)[number]) =>
      one.method === 'HEAD' || one.status === 204 || one.status === 304
    api.respond = (socket, request) => {
      const one = cases[Number(valuesOf(request, 'x-case')[0])]!
      const lines = one.fields.map(([name, value]) => `${name}: ${value}\r\n`).join('')
      const length = one.status === 204 ? '' : `content-length: ${one.body.length}\r\n`
      const chunked = one.chunked && !noBody(one)
      const framing = chunked ? 'transfer-encoding: chunked\r\n' : length
      socket.write(`HTTP/1.1 ${one.status} X\r\n${lines}${framing}\r\n`, 'latin1')
      if (chunked) {
        if (one.body.length > 0) {
          socket.write(`${one.body.length.toString(16)}\r\n`)
          socket.write(one.body)
          socket.write('\r\n')
        }
        socket.write('0\r\nX-Sum: 1\r\n\r\n')
      } else if (!noBody(one)) socket.write(one.body)
    }
    const byName = (flat: readonly string[], dropped: readonly string[]) => {
      const fields: Record<string, string> = {}
      for (let i = 0; i < flat.length; i += 2) {
        const name = flat[i]!.toLowerCase()
        if (dropped.includes(name)) continue
        // An empty member of a list says nothing (RFC 9110 §5.6.1).
        fields[name] = [fields[name] ?? '', flat[i + 1]!].filter((value) => value !== '').join(', ')
      }
      return Object.entries(fields).sort()
    }
    const ofConnection = ['date', 'connection', 'keep-alive', 'transfer-encoding', 'x-request-id']
    const seenByUpstream = () => {
      const { requestLine, headerLines, body } = api.requests.at(-1)!
      const flat = headerLines.flatMap((line) => {
        const colon = line.indexOf(':')
        return [line.slice(0, colon), line.slice(colon + 1).trim()]
      })
      return [requestLine, byName(flat, ['x-request-id']), body.toString('latin1')]
    }
    const differences: string[] = []
    for (const [id, one] of cases.entries()) {
      const hasBody = one.method === 'POST'
      const own = Object.fromEntries(one.request.map(([name, value]) => [name.toLowerCase(), value]))
      const sent = { ...own, 'x-case': String(id), ...(hasBody && { 'content-length': one.body.length }) }
      const overHttp1 = request({
        port,
        host: '127.0.0.1',
        servername: HOST,
        ca: certificate.cert,
        agent,
        method: one.method,
        path: '/api/a',
        headers: { ...sent, host: HOST, authorization: 'Bearer good' },
      }).end(hasBody ? one.body : undefined)
      const [first] = (await once(overHttp1, 'response')) as [IncomingMessage]
      const expected = [
        first.statusCode,
        Buffer.concat(await first.toArray()).toString('latin1'),
        byName(first.rawHeaders, ofConnection),
        byName(first.rawTrailers, []),
        seenByUpstream(),
      ]
      const second = await ask(
        { ...sent, ':method': one.method, ':path': '/api/a' },
        hasBody ? (stream) => stream.end(one.body) : undefined,
      )
      const actual = [
        second.status,
        second.body.toString('latin1'),
        byName(second.fields.flat(), ofConnection),
        byName(Object.entries(second.trailers).flat() as string[], []),
        seenByUpstream(),
      ]
      for (const [index, part] of expected.flat(2).entries()) {
        const [left, right] = [JSON.stringify(part), JSON.stringify(actual.flat(2)[index])]
        if (left !== right) differences.push(`case ${id}: ${left} became ${right}`)
      }
      if (expected.flat(2).length !== actual.flat(2).length) differences.push(`case ${id}: another length`)
    }
    t.same(differences.slice(0, 3), [])
  },
)
