import { randomBytes } from 'node:crypto'
import t from 'tap'
import { eventsOf } from '../../../../support/logged-in.ts'
import {
  newPair,
  type PluginApp,
  REDIRECT_URI,
  startPluginApp,
  testStore,
} from '../../../../support/plugin-app.ts'
import { type Behaviour, json } from '../../../../support/stub-provider.ts'
import { burnt, refused, stillGood } from '../../../../support/token-requests.ts'
import { until } from '../../../../support/wait.ts'

t.test(
  'Appendix A, step 10: the provider fails; the code is burnt, nothing is retried, nothing is told (C-17)',
  async (t) => {
    const say =
      (status: number, answer: unknown): Behaviour =>
      (_request, response) =>
        json(response, status, answer)
    const text =
      (status: number, type: string, content: string): Behaviour =>
      (_request, response) =>
        response.writeHead(status, { 'content-type': type }).end(content)
    const drip: Behaviour = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const timer = setInterval(() => response.write(' '), 20)
      response.on('close', () => clearInterval(timer))
    }
    const leaked = 'provider-says-too-much'
    const rows: [string, Behaviour, number, string][] = [
      ['hangs', () => {}, 503, 'temporarily_unavailable'],
      ['drips', drip, 503, 'temporarily_unavailable'],
      ['resets the connection', (_request, response) => response.destroy(), 503, 'temporarily_unavailable'],
      ['answers 500', say(500, { error: leaked }), 503, 'temporarily_unavailable'],
      ['answers 503', text(503, 'text/html', leaked), 503, 'temporarily_unavailable'],
      ['answers 429', say(429, {}), 503, 'temporarily_unavailable'],
      [
        'answers invalid_grant',
        say(400, { error: 'invalid_grant', error_description: leaked }),
        400,
        'invalid_grant',
      ],
      [
        'answers invalid_client',
        say(401, { error: 'invalid_client', error_description: leaked }),
        502,
        'server_error',
      ],
      ['answers unauthorized_client', say(400, { error: 'unauthorized_client' }), 502, 'server_error'],
      ['answers HTML', text(200, 'text/html', `<p>${leaked}`), 502, 'server_error'],
      [
        'answers half of a JSON text',
        text(200, 'application/json', '{"access_token":"x'),
        502,
        'server_error',
      ],
      ['answers an array', say(200, []), 502, 'server_error'],
      ['answers without a token', say(200, { token_type: 'Bearer' }), 502, 'server_error'],
      ['answers 200 KiB', say(200, { access_token: 'x'.repeat(200_000) }), 502, 'server_error'],
      [
        'redirects',
        (_request, response) => response.writeHead(307, { location: '/token' }).end(),
        502,
        'server_error',
      ],
    ]
    for (const [name, behaviour, status, error] of rows) {
      t.test(`the provider ${name} -> ${status} ${error}, one request`, async (t) => {
        const isLate = name === 'hangs' || name === 'drips'
        const plugin = await startPluginApp(t, isLate ? { provider: { timeouts: { totalMs: 1000 } } } : {})
        plugin.provider.behave.token = behaviour
        const { code } = await plugin.code()
        const response = await plugin.redeem(code)
        refused(t, response, status, error)
        t.notOk(response.headers['retry-after'], 'nobody is told to repeat what cannot succeed')
        t.notMatch(response.body, leaked)
        t.notMatch(plugin.log(), leaked)
        await burnt(t, plugin, code, 1)
        t.equal(plugin.events[0]?.event, 'provider.error', 'J-04')
        t.notOk(eventsOf(plugin).includes('session.activated'))
      })
    }
  },
)

t.test('a code that was never sent is not burnt: the same request succeeds later (C-17)', async (t) => {
  const plugin = await startPluginApp(t)
  const { code } = await plugin.code()
  const back = await plugin.provider.leave()
  const response = await plugin.redeem(code)
  refused(t, response, 503, 'temporarily_unavailable')
  t.match(response.headers['retry-after'], /^[1-9][0-9]*$/)
  t.same(eventsOf(plugin), ['provider.error'])
  await back()
  plugin.store.advance(59)
  t.equal((await plugin.redeem(code)).statusCode, 200)
  t.equal(plugin.provider.count('/token'), 1)
})

t.test('nor is one of an instance that does not know the provider yet (C-17)', async (t) => {
  const shared = { store: testStore(), secrets: [randomBytes(32).toString('base64url')] }
  const before = await startPluginApp(t, shared)
  const { code } = await before.code()
  const back = await before.provider.leave()
  const { provider } = before
  const plugin = await startPluginApp(t, shared, { provider })
  const response = await plugin.redeem(code)
  refused(t, response, 503, 'temporarily_unavailable')
  t.match(response.headers['retry-after'], /^[1-9][0-9]*$/)
  await back()
  t.equal((await before.redeem(code)).statusCode, 200)
  t.equal(provider.count('/token'), 1)
})

t.test('it is given back once: its life goes on, and its end is its end (C-17, B-10)', async (t) => {
  const plugin = await startPluginApp(t)
  const { code } = await plugin.code()
  const back = await plugin.provider.leave()
  refused(t, await plugin.redeem(code), 503, 'temporarily_unavailable')
  await back()
  plugin.store.advance(60)
  refused(t, await plugin.redeem(code), 400, 'invalid_grant')
})

t.test('nobody else can redeem it meanwhile: a wrong verifier burns it as ever (C-12, C-17)', async (t) => {
  const plugin = await startPluginApp(t)
  const { code } = await plugin.code()
  const back = await plugin.provider.leave()
  refused(t, await plugin.redeem(code), 503, 'temporarily_unavailable')
  refused(t, await plugin.redeem(code, { code_verifier: newPair().verifier }), 400, 'invalid_grant')
  await back()
  await burnt(t, plugin, code, 0)
})

t.test(
  'Appendix A, step 11: tokens that are refused here are taken back at the provider (F-15)',
  async (t) => {
    const issued = { access_token: 'refused-access', refresh_token: 'refused-refresh', token_type: 'Bearer' }
    t.test('a token type that we cannot use -> 502', async (t) => {
      const plugin = await startPluginApp(t)
      plugin.provider.behave.token = (_request, response) =>
        json(response, 200, { ...issued, token_type: 'mac' })
      const { code } = await plugin.code()
      refused(t, await plugin.redeem(code), 502, 'server_error')
      await burnt(t, plugin, code, 1)
      await until(() => plugin.provider.count('/revoke') === 1)
      t.equal(plugin.provider.requests.at(-1)!.form.get('token'), 'refused-refresh')
    })

    t.test('an id_token of another login -> 502', async (t) => {
      const plugin = await startPluginApp(t, { provider: { scope: 'openid' } })
      plugin.provider.behave.token = async (_request, response) =>
        json(response, 200, {
          ...issued,
          id_token: await plugin.provider.idToken({ nonce: 'of-another-login' }),
        })
      const { code } = await plugin.code()
      refused(t, await plugin.redeem(code), 502, 'server_error')
      await burnt(t, plugin, code, 1)
      await until(() => plugin.provider.count('/revoke') === 1)
    })

    t.test('userinfo of somebody else -> 502 (F-17)', async (t) => {
      const clients = [{ clientId: 'app', redirectUris: [REDIRECT_URI], claims: ['email'] }]
      const plugin = await startPluginApp(t, { clients, provider: { scope: 'openid' } })
      plugin.provider.behave.userinfo = (_request, response) =>
        json(response, 200, { sub: 'mallory', email: 'm@x' })
      const { code } = await plugin.code()
      refused(t, await plugin.redeem(code), 502, 'server_error')
      await until(() => plugin.provider.count('/revoke') === 1)
    })
  },
)

t.test('Appendix A, step 12: no commit, no handle; the provider is asked to forget (C-18)', async (t) => {
  const rows: [string, (plugin: PluginApp) => void][] = [
    ['the commit fails', ({ store }) => store.fail('replace', 1)],
    ['the commit is done and its answer lost', ({ store }) => store.loseAnswer('replace', 1)],
    ['the index fails', ({ store }) => store.fail('addToIndex', 1)],
    ['the store dies', ({ store }) => store.fail()],
  ]
  for (const [name, breakStore] of rows) {
    t.test(`${name} between the provider's answer and the 200 -> 503`, async (t) => {
      const plugin = await startPluginApp(t, { provider: { scope: 'openid' } })
      const { token } = plugin.provider.behave
      plugin.provider.behave.token = (request, response) => {
        breakStore(plugin)
        return token(request, response)
      }
      const { code } = await plugin.code()
      const response = await plugin.redeem(code)
      refused(t, response, 503, 'temporarily_unavailable')
      t.notOk(response.headers['retry-after'], 'nobody is told to repeat what cannot succeed')
      t.notMatch(response.body, /pk[ar]_/)
      await until(() => plugin.provider.count('/revoke') === 1)
      t.equal(plugin.provider.requests.at(-1)!.form.get('token'), 'provider-refresh-1')
      t.ok(eventsOf(plugin).includes('store.unavailable'), 'J-04')
      t.notOk(eventsOf(plugin).includes('session.activated'))

      plugin.store.heal()
      t.same(await plugin.app.pkce.sessionsOf('alice'), [], 'no session is left behind')
      await burnt(t, plugin, code, 1)
    })
  }
})

t.test('the store is down before the exchange -> 503, and the provider is not asked (G-08)', async (t) => {
  t.test('at the read: the code survives the outage', async (t) => {
    const plugin = await startPluginApp(t)
    const { code } = await plugin.code()
    plugin.store.fail('read', 1)
    refused(t, await plugin.redeem(code), 503, 'temporarily_unavailable')
    t.same(eventsOf(plugin), ['store.unavailable'])
    await stillGood(t, plugin, code)
  })
  t.test('at the claim, not written: the code survives the outage', async (t) => {
    const plugin = await startPluginApp(t)
    const { code } = await plugin.code()
    plugin.store.fail('replace', 1)
    refused(t, await plugin.redeem(code), 503, 'temporarily_unavailable')
    t.equal(plugin.provider.count('/token'), 0)
    t.equal((await plugin.redeem(code)).statusCode, 200)
  })
  t.test('at the claim, written, answer lost: the code is burnt', async (t) => {
    const plugin = await startPluginApp(t)
    const { code } = await plugin.code()
    plugin.store.loseAnswer('replace', 1)
    refused(t, await plugin.redeem(code), 503, 'temporarily_unavailable')
    await burnt(t, plugin, code, 0)
  })
  t.test('at the end of a grant with a wrong verifier: refused either way, and never redeemed', async (t) => {
    const plugin = await startPluginApp(t)
    const { code } = await plugin.code()
    plugin.store.fail('replace', 1)
    const response = await plugin.redeem(code, { code_verifier: newPair().verifier })
    refused(t, response, 503, 'temporarily_unavailable')
    t.equal(plugin.provider.count('/token'), 0)
  })
})

t.test('a logout by subject during the activation wins (G-10)', async (t) => {
  const plugin = await startPluginApp(t, { provider: { scope: 'openid' } })
  const { code } = await plugin.code()
  const indexed = plugin.store.hold('addToIndex')
  const redeemed = plugin.redeem(code)
  await indexed.reached
  t.equal(await plugin.app.pkce.endSession({ subject: 'alice' }), 1)
  indexed.release()
  refused(t, await redeemed, 400, 'invalid_grant')
  await until(() => plugin.provider.count('/revoke') === 1)
  t.same(await plugin.app.pkce.sessionsOf('alice'), [])
})
