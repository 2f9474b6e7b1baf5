/** The admin listener by itself: paths, methods, and who may use what. */
import { request } from 'node:http'
import t, { type Test } from 'tap'
import { Access, isLoopback } from '../../../../gateway/operations/admin/access.ts'
import { type AdminOptions, startAdmin } from '../../../../gateway/operations/admin/listener.ts'
import type { SessionOutcome, SessionRequest } from '../../../../gateway/operations/admin/sessions.ts'
import { send } from '../../../support/gateway-command.ts'

const TOKEN = 'T'.repeat(43)

t.test('the admin listener knows exact paths, GET and HEAD (H-31, Q-06)', async (t) => {
  let draining = false
  let store: string | null = null
  let forwarding: string | null = null
  const admin = await start(t, {
    readiness: async () => {
      if (store === 'throw') throw new Error('no')
      return { forwarding, store, provider: null }
    },
    draining: () => draining,
  })
  for (const path of [
    '/',
    '/healthz/',
    '/healthz?x=1',
    '//healthz',
    '/HEALTHZ',
    '/healthz/../readyz',
    '/nothing',
    '/version?x=1',
    '/reload/',
    '/sessions/',
    '/sessions/a/b',
  ]) {
    t.equal((await send(admin.address, { headers: {} })).status, 404)
    t.equal((await sendRaw(admin.address, path)).status, 404, path)
  }
  for (const [method, path, allow] of [
    ['POST', '/healthz', 'GET, HEAD'],
    ['OPTIONS', '/readyz', 'GET, HEAD'],
    ['GET', '/reload', 'POST'],
    ['PUT', '/sessions?subject=a', 'GET, HEAD, DELETE'],
    ['GET', `/sessions/${'a'.repeat(22)}`, 'DELETE'],
  ] as const) {
    t.match(await send(admin.address + path, { method }), { status: 405, headers: { allow } }, path)
  }
  for (const path of ['/healthz', '/readyz']) {
    t.match(await send(admin.address + path, { method: 'HEAD' }), { status: 200, body: '' }, `HEAD ${path}`)
  }
  t.equal((await send(`${admin.address}/nothing`, { method: 'HEAD' })).status, 404)
  const ready = await send(`${admin.address}/readyz`)
  t.equal(ready.status, 200)
  t.same(JSON.parse(ready.body), {
    status: 'ready',
    checks: { forwarding: 'ok', store: 'ok', provider: 'ok', draining: false },
  })
  t.equal(ready.headers['cache-control'], 'no-store')

  store = 'memory store: check: full'
  const degraded = await send(`${admin.address}/readyz`)
  t.equal(degraded.status, 200, 'logins do not work, forwarding does')
  t.match(JSON.parse(degraded.body), { status: 'degraded', checks: { forwarding: 'ok', store } })
  t.match(await send(`${admin.address}/readyz`, { method: 'HEAD' }), { status: 200, body: '' })
  forwarding = 'memory store: read: closed'
  const out = await send(`${admin.address}/readyz`)
  t.equal(out.status, 503)
  t.match(JSON.parse(out.body), { status: 'not ready', checks: { forwarding, store } })
  t.match(await send(`${admin.address}/readyz`, { method: 'HEAD' }), { status: 503, body: '' })
  forwarding = null
  store = 'throw'
  t.match(await send(`${admin.address}/readyz`), { status: 503, body: /"store":"the check failed"/ })
  store = null
  draining = true
  t.match(await send(`${admin.address}/readyz`), { status: 503, body: /"draining":true/ })
  t.equal((await send(`${admin.address}/healthz`)).status, 200, 'the process still lives')
})

t.test('GET /version and POST /reload (Q-03)', async (t) => {
  let outcome: Awaited<ReturnType<AdminOptions['reload']>> = { changes: ['log.level: a -> b'], ignored: [] }
  const admin = await start(t, { reload: async () => outcome })
  const version = await send(`${admin.address}/version`)
  t.match(JSON.parse(version.body), { version: /^\d+\.\d+\.\d+/, node: process.versions.node })

  const reload = () => send(`${admin.address}/reload`, { method: 'POST' })
  t.match(await reload(), { status: 200, body: JSON.stringify(outcome) })
  outcome = { problems: ['gateway.yaml:1:1 publicUrl: must be https'] }
  t.match(await reload(), { status: 422, body: JSON.stringify(outcome) })
  outcome = null
  t.match(await reload(), { status: 409, body: /starting or closing/ })
})

t.test('what fails is a 500 and a line of the log, and the listener goes on', async (t) => {
  const logged: unknown[] = []
  const admin = await start(t, {
    reload: () => Promise.reject(new Error('no')),
    log: { warn: () => {}, error: (line: unknown) => void logged.push(line) } as AdminOptions['log'],
  })
  t.match(await send(`${admin.address}/reload`, { method: 'POST' }), { status: 500 })
  t.match(logged, [{ err: { message: 'no' } }])
  t.equal((await send(`${admin.address}/healthz`)).status, 200)
})

t.test('the parameters of /sessions: what is not understood ends nothing (S-01)', async (t) => {
  const asked: SessionRequest[] = []
  let outcome: SessionOutcome = { ended: 2 }
  const admin = await start(t, {
    sessions: async (request) => {
      asked.push(request)
      return outcome
    },
  })
  const ask = (path: string, method = 'GET') => send(admin.address + path, { method })
  const refused: [string, string, RegExp][] = [
    ['DELETE', '/sessions', /subject is required/],
    ['DELETE', '/sessions?', /subject is required/],
    ['DELETE', '/sessions?subject=', /subject must not be empty/],
    ['DELETE', '/sessions?subject=a&subject=b', /subject is given twice/],
    ['DELETE', '/sessions?subject=a&grant=0123abcd', /grant stands alone/],
    ['DELETE', '/sessions?issuer=a&grant=0123abcd', /grant stands alone/],
    ['DELETE', '/sessions?issuer=a', /subject is required/],
    ['DELETE', '/sessions?grant=0123abc', /8 hexadecimal digits/],
    ['DELETE', '/sessions?subject=a&limit=1', /limit.* is not known here/],
    ['DELETE', '/sessions?subject=a&__proto__=b', /is not known here/],
    ['GET', '/sessions', /subject is required/],
    ['GET', '/sessions?grant=0123ABCD', /8 hexadecimal digits/],
    ['GET', '/sessions?subject=a&limit=0', /limit must be 1 to 1000/],
    ['GET', '/sessions?subject=a&limit=1001', /limit must be 1 to 1000/],
    ['GET', '/sessions?subject=a&cursor=x', /cursor must be/],
    ['GET', '/sessions?subject=a&page=2', /page.* is not known here/],
  ]
  for (const [method, path, body] of refused) t.match(await ask(path, method), { status: 400, body }, path)
  t.match(await ask('/sessions/short', 'DELETE'), { status: 404 })
  t.same(asked, [], 'nobody was asked')

  const id = 'g'.repeat(22)
  t.match(await ask(`/sessions/${id}`, 'DELETE'), { status: 200, body: '{"ended":2}' })
  t.match(await ask('/sessions?subject=a%26b&issuer=https%3A%2F%2Fx', 'DELETE'), { body: '{"ended":2}' })
  await ask('/sessions?grant=0123abcd', 'DELETE')
  t.same(asked.splice(0), [
    { action: 'end', target: { grantId: id } },
    { action: 'end', target: { subject: 'a&b', issuer: 'https://x' } },
    { action: 'end', target: { grant: '0123abcd' } },
  ])
  outcome = { ended: 0 }
  t.match(await ask(`/sessions/${id}`, 'DELETE'), { status: 404, body: /no live session has this id/ })
  t.match(await ask('/sessions?subject=a', 'DELETE'), { status: 200, body: '{"ended":0}' })

  const session = {
    ...{ grantId: id, grant: '0123abcd', clientId: 'app', issuer: 'https://x', subject: 'a' },
    ...{ scope: ['orders.read'], createdAt: 0, expiresAt: 1000 },
  }
  outcome = { sessions: [session], next: id }
  const page = await ask(`/sessions?subject=a&limit=1&cursor=${id}`)
  t.same(asked.at(-1), {
    action: 'list',
    query: { of: 'a', issuer: undefined, after: id, limit: 1 },
  })
  t.same(JSON.parse(page.body), {
    sessions: [{ ...session, createdAt: '1970-01-01T00:00:00.000Z', expiresAt: '1970-01-01T00:00:01.000Z' }],
    next: id,
  })
  await ask('/sessions?grant=0123abcd')
  t.match(asked.at(-1), { action: 'list', query: { of: { grant: '0123abcd' }, limit: 100 } })
  t.match(await ask('/sessions?subject=a', 'HEAD'), { status: 200, body: '' })

  outcome = { refused: 'target', message: 'issuer is required' }
  t.match(await ask('/sessions?subject=a'), { status: 400, body: /issuer is required/ })
  outcome = { refused: 'unavailable', message: 'redis store: read: no answer' }
  const away = { status: 503, body: /redis store/, headers: { 'retry-after': '1' } }
  t.match(await ask('/sessions?subject=a'), away)
  t.match(await ask(`/sessions/${id}`, 'DELETE'), away)
})

t.test(
  'on loopback without a token: programs of this machine, and no page of a browser (S-01)',
  async (t) => {
    const warned: unknown[] = []
    const log = { warn: (line: unknown) => void warned.push(line), error: () => {} } as AdminOptions['log']
    const admin = await start(t, { log })
    const ask = (headers: Record<string, string>, path = '/version', method = 'GET') =>
      send(admin.address + path, { method, headers })
    const { port } = new URL(admin.address)
    for (const host of [`127.0.0.1:${port}`, 'localhost', 'LOCALHOST:9090', '[::1]:9090', '127.8.8.8']) {
      t.equal((await ask({ host })).status, 200, host)
    }
    // A name whose address has become 127.0.0.1 meanwhile (DNS rebinding), and others that are not ours.
    for (const host of [
      'rebound.example:9090',
      '10.0.0.1',
      'localhost.example',
      '127.0.0.1.example',
      '[::2]',
    ]) {
      t.match(await ask({ host }), { status: 403, body: /Host names another machine/ }, host)
      t.equal((await ask({ host }, '/healthz')).status, 200, 'a probe calls it by any name')
    }
    for (const headers of [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: admin.address },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-origin' },
    ]) {
      for (const [path, method] of [
        ['/reload', 'POST'],
        ['/sessions?subject=a', 'DELETE'],
        ['/sessions?subject=a', 'GET'],
      ] as const) {
        t.match(await ask(headers, path, method), { status: 403, body: /web pages may not call this/ })
      }
    }
    t.match(warned, [{ reason: 'host', count: 1 }])
    t.equal(warned.length, 1, 'one line a minute')
  },
)

t.test('with a token every route but the probes demands it, and a reload changes it (S-01)', async (t) => {
  let token: string | undefined = TOKEN
  const admin = await start(t, { token: () => token })
  const ask = (authorization?: string, path = '/version', method = 'GET') =>
    send(admin.address + path, { method, headers: authorization === undefined ? {} : { authorization } })
  t.equal((await ask(`Bearer ${TOKEN}`)).status, 200)
  t.equal((await ask(`bearer ${TOKEN}`)).status, 200, 'RFC 9110 §11.1: the scheme has no case')
  const refused = { status: 401, headers: { 'www-authenticate': 'Bearer' }, body: /admin\.tokenFile/ }
  for (const wrong of [
    undefined,
    '',
    'Bearer',
    'Bearer ',
    `Basic ${TOKEN}`,
    TOKEN,
    `Bearer ${TOKEN.slice(1)}`,
    `Bearer ${TOKEN}x`,
    `Bearer ${TOKEN.replace(/T$/, 't')}`,
    `Bearer ${TOKEN} ${TOKEN}`,
  ]) {
    t.match(await ask(wrong), refused, String(wrong))
  }
  for (const [path, method] of [
    ['/reload', 'POST'],
    ['/sessions?subject=a', 'GET'],
    ['/sessions?subject=a', 'DELETE'],
    [`/sessions/${'g'.repeat(22)}`, 'DELETE'],
  ] as const) {
    t.match(await ask(undefined, path, method), refused, `${method} ${path}`)
  }
  for (const path of ['/healthz', '/readyz']) t.equal((await ask(undefined, path)).status, 200, path)
  token = 'U'.repeat(43)
  t.match(await ask(`Bearer ${TOKEN}`), refused)
  t.equal((await ask(`Bearer ${token}`)).status, 200)
})

t.test(
  '/metrics is guarded as the rest once a token is set, and open elsewhere until then (Q-04)',
  async (t) => {
    let token: string | undefined
    const metrics = async () => ({ status: 200, body: 'a 1\n', contentType: 'text/plain' })
    const admin = await start(t, { metrics, token: () => token })
    const ask = (headers: Record<string, string>) => send(`${admin.address}/metrics`, { headers })
    t.match(await ask({}), { status: 200, body: 'a 1\n', headers: { 'content-type': 'text/plain' } })
    t.equal((await ask({ origin: 'https://evil.example' })).status, 403)
    t.equal((await ask({ host: 'rebound.example' })).status, 403)
    token = TOKEN
    t.equal((await ask({})).status, 401)
    t.equal((await ask({ authorization: `Bearer ${TOKEN}` })).status, 200)

    const log = { warn: () => {} } as unknown as AdminOptions['log']
    const elsewhere = new Access({ address: '0.0.0.0', host: '0.0.0.0', token: () => token, log })
    const scrape = { headers: { host: 'gateway:9090' }, socket: {} } as Parameters<Access['check']>[0]
    t.match(elsewhere.check(scrape, true), { status: 401 })
    token = undefined
    t.equal(elsewhere.check(scrape, true), null)
    t.match(elsewhere.check(scrape), { status: 403 })
  },
)

t.test('elsewhere without a token: nobody, and what to set is told (S-01)', async (t) => {
  const requestTo = (headers: object) => ({ headers, socket: {} }) as Parameters<Access['check']>[0]
  const log = { warn: () => {} } as unknown as AdminOptions['log']
  for (const address of ['0.0.0.0', '::', '10.1.2.3', 'fe80::1']) {
    const open = new Access({ address, host: address, token: () => undefined, log })
    for (const host of [address, 'localhost', '127.0.0.1']) {
      t.match(open.check(requestTo({ host })), {
        status: 403,
        body: { message: /admin\.tokenFile is not set/ },
      })
    }
    const guarded = new Access({ address, host: address, token: () => TOKEN, log })
    t.equal(guarded.check(requestTo({ host: 'gateway', authorization: `Bearer ${TOKEN}` })), null)
    t.match(guarded.check(requestTo({ host: 'gateway' })), { status: 401 })
  }
  t.same(
    ['127.0.0.1', '127.9.9.9', '::1', 'localhost', '128.0.0.1', '::', '::ffff:127.0.0.1'].map(isLoopback),
    [true, true, true, false, false, false, true],
  )
})

/** On a free port; what a test does not give answers at once. */
async function start(t: Test, more: Partial<AdminOptions>) {
  const admin = await startAdmin({
    ...{ host: '127.0.0.1', port: 0, draining: () => false, token: () => undefined },
    readiness: async () => ({ forwarding: null, store: null, provider: null }),
    sessions: async () => ({ ended: 0 }),
    reload: async () => null,
    log: { warn: () => {}, error: () => {} } as AdminOptions['log'],
    ...more,
  })
  t.teardown(() => admin.close())
  return admin
}

/** A path as it is, which URLs would normalise. */
function sendRaw(origin: string, path: string): Promise<{ status: number | undefined }> {
  const { hostname, port } = new URL(origin)
  return new Promise((resolve, reject) => {
    request({ hostname, port, path }, (response) => {
      response.resume()
      resolve({ status: response.statusCode })
    })
      .on('error', reject)
      .end()
  })
}
