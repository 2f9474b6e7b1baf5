/** The id that a refused client is given leads to a line that says why (linkerd2 #3015, requirements J-04). */
import t, { type Test } from 'tap'
import { type ForwarderSetup, forwarder, HOST, head, upstream } from '../../support/forwarder.ts'
import { setUp as setUpHttp2 } from '../../support/http2-forwarder.ts'
import { handshake } from '../../support/websocket.ts'
import { exchange, field, type WireAnswer } from '../../support/wire.ts'

const log = { level: 'info', requests: 'off' } as const

async function setUp(t: Test, setup: Partial<ForwarderSetup> = {}) {
  const websocket = { origins: [], idleMs: 5000, maxMessageBytes: 1000 }
  const target = 'http://127.0.0.1:1'
  const { app, port, logged } = await forwarder({
    upstreams: [upstream({ target }), upstream({ target, prefix: '/ws', websocket })],
    log,
    ...setup,
  })
  t.teardown(() => app.close())
  return { port, logged }
}

/** The lines with the id that the client was given. */
function linesOf(logged: readonly string[], answer: WireAnswer): Record<string, unknown>[] {
  const id = field(answer, 'x-request-id')
  t.match(id, /^[0-9a-f]{32}$/)
  return logged.map((line) => JSON.parse(line)).filter(({ requestId }) => requestId === id)
}

const get = (target: string, host = HOST) => `GET ${target} HTTP/1.1\r\nHost: ${host}\r\n\r\n`
const noHost = 'GET /api/x HTTP/1.1\r\n\r\n'
const long = 'x'.repeat(20_000)
const chunked = 'Transfer-Encoding: chunked'

const refused: [code: string, status: number, bytes: string, path: string | undefined][] = [
  ['path_not_canonical', 400, get('/api//x?code=secret'), '/api//x'],
  ['query_malformed', 400, get('/api/x?code=secret#y'), '/api/x'],
  ['target_form', 400, get('http://user:secret@gateway.example/api'), undefined],
  ['target_too_long', 414, get(`/api/${'x/'.repeat(5000)}`), `/api/${'x/'.repeat(5000)}`.slice(0, 256)],
  ['host_malformed', 400, noHost, '/api/x'],
  ['host_unknown', 421, get('/api/x', '10.0.0.1'), '/api/x'],
  ['route_unknown', 404, get('/nowhere%3Fcode=secret'), '/nowhere'],
  ['method_not_allowed', 405, head('OPTIONS /api/x'), '/api/x'],
  ['method_not_allowed', 405, 'CONNECT secret.example:443 HTTP/1.1\r\nHost: x\r\n\r\n', undefined],
  ['expectation_unknown', 417, head('GET /api/x', 'Expect: much'), '/api/x'],
  ['field_repeated', 400, head('GET /api/x', 'Range: a', 'Range: b'), '/api/x'],
  ['body_not_allowed', 400, `${head('GET /api/x', 'Content-Length: 1')}x`, '/api/x'],
  ['body_too_large', 413, head('PUT /api/x', 'Content-Length: 1001'), '/api/x'],
  ['upgrade_unsupported', 501, handshake('/api/x'), '/api/x'],
  ['websocket_malformed', 400, head('GET /ws/x', 'Upgrade: websocket'), '/ws/x'],
  ['origin_not_allowed', 403, handshake('/ws/x', 'Origin: https://evil.example'), '/ws/x'],
  // Of the parser
  ['head_too_large', 431, head('GET /api/x', `X-Long: ${long}`), undefined],
  ['method_unknown', 501, 'BREW /pot HTTP/1.1\r\nHost: x\r\n\r\n', undefined],
  ['request_malformed', 400, head('GET /api/x', 'no colon'), undefined],
  ['request_malformed', 400, head('GET /api/x', 'Content-Length: 1', chunked), undefined],
]
for (const [code, status, bytes, path] of refused) {
  t.test(`${status} ${code}: one line with the id, without query or credential (J-04)`, async (t) => {
    const { port, logged } = await setUp(t)
    const answer = await exchange(port, bytes)
    t.equal(answer.status, status)
    const lines = linesOf(logged, answer)
    t.equal(lines.length, 1)
    t.match(lines[0], { msg: 'request refused', code, status, level: 30, address: '127.0.0.1' })
    t.equal(lines[0]?.path, path)
    t.notMatch(logged.join(''), 'secret')
  })
}

t.test('a request that does not come in time: 408 (J-04)', async (t) => {
  const { port, logged } = await setUp(t, { headersMs: 100 })
  const answer = await exchange(port, 'GET /api/x HTTP/1.1\r\nHost: gat')
  t.equal(answer.status, 408)
  t.match(linesOf(logged, answer), [{ code: 'request_timeout', address: '127.0.0.1' }])
})

t.test('401 and 403 of the session check: one line, with reason and id (J-04)', async (t) => {
  const { port, logged } = await setUp(t)
  const answer = await exchange(port, get('/api/x'))
  t.equal(answer.status, 401)
  t.match(linesOf(logged, answer), [{ event: 'forward.denied', reason: String, address: '127.0.0.1' }])
})

t.test('an upstream that failed is no refusal: one line says what was wrong with it', async (t) => {
  const { port, logged } = await setUp(t)
  const answer = await exchange(port, head('GET /api/x'))
  t.equal(answer.status, 502)
  t.match(linesOf(logged, answer), [{ msg: 'upstream failed', route: '/api', method: 'GET' }])
})

t.test('over HTTP/2 too (J-04)', async (t) => {
  const { client, logged } = await setUpHttp2(t, {}, { log })
  const { fields, status } = await (await client()).ask({ ':path': '/nowhere?code=secret' })
  t.equal(status, 404)
  const id = fields.find(([name]) => name === 'x-request-id')?.[1]
  t.match(
    logged.map((line) => JSON.parse(line)).filter(({ requestId }) => requestId === id),
    [{ code: 'route_unknown', path: '/nowhere', address: '127.0.0.1' }],
  )
})
