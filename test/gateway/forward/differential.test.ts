/**
 * The same thousands of requests and answers once through the gateway and once directly to the upstream. What
 * either side has seen may differ only by the rules listed here, which restate requirements Appendix C and H-25.
 */
import fc from 'fast-check'
import t from 'tap'
import { type PlainAnswer, parted } from '../../support/answer-reader.ts'
import {
  answerBytes,
  asker,
  type Case,
  droppedAnswer,
  droppedRequest,
  exchangeCase,
  isBodyless,
  noneLeft,
  requestBytes,
  SEED,
  setUp,
  WORKERS,
} from '../../support/generated-exchange.ts'
import { type RecordedRequest, valuesOf } from '../../support/wire.ts'

const CASES = 2000

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
  'x-forwarded-prefix',
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
