import t, { type Test } from 'tap'
import { RateWindows } from '../../../plugin/http/rate-windows.ts'
import { CHALLENGE, REDIRECT_URI, startPluginApp } from '../../support/plugin-app.ts'
import { count, FORM } from '../../support/plugin-over-http.ts'

const authorizeUrl = `/oauth2/authorize?${new URLSearchParams({
  client_id: 'app',
  redirect_uri: REDIRECT_URI,
  response_type: 'code',
  code_challenge: CHALLENGE,
  code_challenge_method: 'S256',
  state: 'app-state',
})}`

t.test('limits by address (J-05, J-07, J-08)', async (t) => {
  const limited = (t: Test, trustProxy?: string[]) =>
    startPluginApp(
      t,
      { rateLimit: { authorize: { max: 3, windowMs: 60_000 }, token: { max: 4, windowMs: 30_000 } } },
      { fastify: trustProxy ? { trustProxy } : {} },
    )
  const statuses = async (count: number, ask: (index: number) => Promise<{ statusCode: number }>) => {
    const seen: number[] = []
    for (let index = 0; index < count; index++) seen.push((await ask(index)).statusCode)
    return seen
  }

  await t.test(
    'authorize and callback share one limit; above it 429, Retry-After, no-store, nothing read (J-05, J-07)',
    async (t) => {
      const plugin = await limited(t)
      const authorized = await plugin.authorize()
      await plugin.callback(authorized)
      t.equal((await plugin.authorize()).response.statusCode, 302)
      plugin.store.countCalls()
      for (const response of [(await plugin.authorize()).response, await plugin.callback(authorized)]) {
        t.equal(response.statusCode, 429)
        t.match(response.headers['content-type'], 'text/html')
        t.match(response.body, '<title>Too many attempts</title>')
        t.equal(response.headers['cache-control'], 'no-store')
        const seconds = Number(response.headers['retry-after'])
        t.ok(seconds > 50 && seconds <= 60, `${seconds} s`)
      }
      t.equal(plugin.store.countCalls(), 0)
      t.equal((await plugin.post('token', {})).statusCode, 400, 'the other limit is another')
    },
  )

  await t.test(
    'token, revoke, introspect and userinfo share one, before the body and the store (J-05, J-07)',
    async (t) => {
      const plugin = await limited(t)
      const { access_token } = await plugin.login()
      t.equal((await plugin.post('revoke', { client_id: 'app', token: 'x' })).statusCode, 200)
      t.equal((await plugin.post('introspect', { token: 'x' })).statusCode, 401)
      t.equal(
        (
          await plugin.app.inject({
            url: '/oauth2/userinfo',
            headers: { authorization: `Bearer ${access_token}` },
          })
        ).statusCode,
        200,
      )
      plugin.store.countCalls()
      const asked = plugin.provider.requests.length
      for (const response of [
        await plugin.redeem('x'),
        await plugin.refresh('x'),
        await plugin.post('token', { code: 'a'.repeat(17_000) }),
        await plugin.app.inject({ method: 'POST', url: '/oauth2/token', payload: { a: 1 } }),
        await plugin.app.inject({ method: 'POST', url: '/oauth2/token?code=x', headers: FORM }),
        await plugin.post('revoke', { client_id: 'app', token: access_token }),
        await plugin.post('introspect', {}),
        await plugin.app.inject({
          url: '/oauth2/userinfo',
          headers: { authorization: `Bearer ${access_token}` },
        }),
      ]) {
        t.equal(response.statusCode, 429)
        t.same(response.json(), {
          error: 'temporarily_unavailable',
          error_description: 'Too many requests. Try again later.',
        })
        t.ok(Number(response.headers['retry-after']) <= 30)
        t.equal(response.headers['cache-control'], 'no-store')
      }
      t.equal(plugin.store.countCalls(), 0)
      t.equal(plugin.provider.requests.length, asked)
      t.equal((await plugin.call(access_token)).statusCode, 200, "the app's own routes are not limited")
    },
  )

  await t.test('a flood costs the store no more than the limit (J-07)', async (t) => {
    const plugin = await limited(t)
    await statuses(100, async () => (await plugin.authorize()).response)
    await statuses(100, () => plugin.refresh(`pkr_${'A'.repeat(64)}`))
    t.equal(plugin.store.calls.create, 3)
    t.equal(plugin.store.calls.read, 4)
  })

  await t.test('of many at once those within the limit pass (J-05)', async (t) => {
    const plugin = await limited(t)
    const burst = await Promise.all(Array.from({ length: 50 }, () => plugin.authorize()))
    const passed = burst.filter(({ response }) => response.statusCode === 302)
    t.equal(passed.length, 3)
    t.equal(plugin.store.calls.create, 3)
  })

  await t.test('a window ends, and the next one begins with the next request (J-05)', async (t) => {
    const plugin = await startPluginApp(t, { rateLimit: { authorize: { max: 1, windowMs: 400 } } })
    const { now } = performance
    let passedMs = 0
    t.intercept(performance, 'now', { value: () => now.call(performance) + passedMs })
    t.same(await statuses(2, () => plugin.app.inject(authorizeUrl)), [302, 429])
    passedMs = 400
    t.same(await statuses(2, () => plugin.app.inject(authorizeUrl)), [302, 429])
  })

  await t.test('a window lasts as long where the clock of the host is set back', async (t) => {
    let nowMs = 1000
    const windows = new RateWindows('token', undefined, () => nowMs)
    t.same(await count(windows), { current: 1, ttl: 60_000 })
    t.intercept(Date, 'now', { value: () => 0 })
    nowMs += 59_999.5
    t.same(await count(windows), { current: 2, ttl: 1 })
    nowMs += 1
    t.same(await count(windows), { current: 1, ttl: 60_000 })
  })

  await t.test('an address counts once, whichever way a trusted proxy writes it (J-05, J-08)', async (t) => {
    const plugin = await startPluginApp(
      t,
      { rateLimit: { authorize: { max: 2, windowMs: 60_000 } } },
      { fastify: { trustProxy: ['127.0.0.1'] } },
    )
    const from = (forwarded: string) =>
      plugin.app.inject({ url: authorizeUrl, headers: { 'x-forwarded-for': forwarded } })
    t.same(await statuses(3, (index) => from(`203.0.113.7:${5000 + index}`)), [302, 302, 429])
    t.equal((await from('203.0.113.7')).statusCode, 429)
    t.same(await statuses(3, (index) => from(`[2001:db8::${index}]:443`)), [302, 302, 429])
    t.same(await statuses(3, (index) => from(`no address ${index}`)), [302, 302, 429], 'one for all of these')
  })

  await t.test('metadata, jwks and wrong methods are not counted', async (t) => {
    const plugin = await limited(t)
    for (let index = 0; index < 10; index++) {
      t.equal((await plugin.app.inject('/.well-known/openid-configuration')).statusCode, 200)
      t.equal((await plugin.app.inject({ method: 'HEAD', url: authorizeUrl })).statusCode, 405)
    }
    t.equal((await plugin.authorize()).response.statusCode, 302)
  })

  await t.test('an IPv6 subscriber counts once, by the /64 (J-05)', async (t) => {
    const plugin = await limited(t)
    const from = (remoteAddress: string) => plugin.app.inject({ url: authorizeUrl, remoteAddress })
    t.same(await statuses(5, (index) => from(`2001:db8:1:2:${index}::${index}`)), [302, 302, 302, 429, 429])
    t.equal((await from('2001:db8:1:3::1')).statusCode, 302)
    t.same(
      await statuses(4, (index) => from(index % 2 ? '10.0.0.9' : '::ffff:10.0.0.9')),
      [302, 302, 302, 429],
    )
  })

  await t.test('without trustProxy nobody chooses an address of his own (J-08)', async (t) => {
    const plugin = await limited(t)
    const spoof = (index: number) =>
      plugin.app.inject({
        url: authorizeUrl,
        headers: {
          'x-forwarded-for': `203.0.113.${index}`,
          'x-real-ip': `203.0.113.${index}`,
          forwarded: `for=203.0.113.${index}`,
          'cf-connecting-ip': `203.0.113.${index}`,
        },
      })
    t.same(await statuses(5, spoof), [302, 302, 302, 429, 429])
    t.notMatch(plugin.log(), '203.0.113')
  })

  await t.test(
    'with a list the header counts from those peers, and only what they have added (J-08)',
    async (t) => {
      const plugin = await limited(t, ['10.0.0.1', '10.1.0.0/16'])
      const from = (remoteAddress: string, forwarded: string) =>
        plugin.app.inject({ url: authorizeUrl, remoteAddress, headers: { 'x-forwarded-for': forwarded } })
      t.same(await statuses(4, () => from('10.0.0.1', '198.51.100.1')), [302, 302, 302, 429])
      t.equal((await from('10.0.0.1', '198.51.100.2')).statusCode, 302, 'another client')
      t.equal(
        (await from('10.0.0.1', 'evil, 198.51.100.1')).statusCode,
        429,
        'what the client sent itself does not help',
      )
      t.equal((await from('10.0.0.1', '198.51.100.1, 10.1.2.3')).statusCode, 429, 'two proxies')
      t.same(
        await statuses(4, (index) => from('192.0.2.7', `198.51.100.${90 + index}`)),
        [302, 302, 302, 429],
        'not a proxy of ours',
      )
      t.ok((await from('10.0.0.1', '<garbage>')).statusCode < 500)
    },
  )

  await t.test('false switches it off, with a warning', async (t) => {
    const plugin = await startPluginApp(t, { rateLimit: false })
    t.same([...new Set(await statuses(80, () => plugin.app.inject(authorizeUrl)))], [302])
    t.match(plugin.log(), 'rateLimit is false')
  })

  await t.test('the defaults: 30 and 60 a minute', async (t) => {
    const plugin = await startPluginApp(t, { rateLimit: {} })
    const authorizes = await statuses(31, () => plugin.app.inject(authorizeUrl))
    t.same([authorizes.indexOf(429), authorizes.length], [30, 31])
    const tokens = await statuses(61, () => plugin.post('token', {}))
    t.equal(tokens.indexOf(429), 60)
  })
})

t.test(
  'X-Forwarded-For from a peer that is not trusted: one warning that names trustProxy (J-05)',
  async (t) => {
    const ask = async (trustProxy?: string[]) => {
      const plugin = await startPluginApp(t, {}, { fastify: trustProxy ? { trustProxy } : {} })
      for (let i = 0; i < 3; i++) {
        await plugin.app.inject({ url: authorizeUrl, headers: { 'x-forwarded-for': `192.0.2.${i}` } })
      }
      return plugin
        .log()
        .split('\n')
        .filter((line) => line.includes('trustProxy'))
    }
    const [warning, ...others] = await ask()
    t.match(JSON.parse(warning!), { level: 40, address: '127.0.0.1', msg: /all its users count as one/ })
    t.same(others, [])
    t.same(await ask(['127.0.0.1']), [])
  },
)
