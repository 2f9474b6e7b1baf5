import t from 'tap'
import { codeChallengeS256 } from '../../../../../plugin/oauth/pkce.ts'
import { eventsOf } from '../../../../support/logged-in.ts'
import { CHALLENGE, newPair, REDIRECT_URI, startPluginApp, VERIFIER } from '../../../../support/plugin-app.ts'
import { json } from '../../../../support/stub-provider.ts'
import { refused } from '../../../../support/token-requests.ts'
import { deferred, until } from '../../../../support/wait.ts'

t.test('the vector of RFC 7636 Appendix B, end to end (C-08, C-09, C-19)', async (t) => {
  const plugin = await startPluginApp(t)
  const { code, authorized } = await plugin.code({ code_challenge: CHALLENGE })
  const response = await plugin.redeem(code, { code_verifier: VERIFIER })

  t.equal(response.statusCode, 200)
  t.match(response.json(), {
    access_token: /^pka_[A-Za-z0-9_-]{64}$/,
    refresh_token: /^pkr_[A-Za-z0-9_-]{64}$/,
    token_type: 'Bearer',
    scope: 'orders.read orders.write',
  })
  const { expires_in } = response.json() as { expires_in: number }
  t.ok(Number.isInteger(expires_in) && expires_in >= 598 && expires_in <= 600, String(expires_in))
  t.equal(response.headers['cache-control'], 'no-store')
  t.equal(response.headers.pragma, 'no-cache')
  t.equal(response.headers['x-content-type-options'], 'nosniff')
  t.match(response.headers['content-type'], /^application\/json/)
  t.notOk(response.headers['set-cookie'], 'no cookies (C-22)')

  const exchange = plugin.provider.requests.find(({ path }) => path === '/token')!
  t.equal(exchange.form.get('grant_type'), 'authorization_code')
  t.equal(exchange.form.get('code'), 'provider-code')
  t.equal(exchange.form.get('redirect_uri'), 'https://api.example.com/oauth2/callback', 'our own (C-16)')
  t.match(exchange.headers.authorization, /^Basic /, 'as the one confidential client')
  const ours = exchange.form.get('code_verifier')!
  t.not(ours, VERIFIER, "never the app's")
  t.equal(codeChallengeS256(ours), authorized.challenge, 'the pair of the transaction')
  t.same(eventsOf(plugin), ['session.activated'])
})

t.test(
  '100 parallel redemptions of one code: exactly one 200 and one provider call (C-12, G-07)',
  async (t) => {
    const plugin = await startPluginApp(t)
    const { code } = await plugin.code()
    plugin.store.gather('read', 100)
    const answers = await Promise.all(Array.from({ length: 100 }, () => plugin.redeem(code)))
    const good = answers.filter(({ statusCode }) => statusCode === 200)
    t.equal(good.length, 1)
    t.ok(answers.every(({ statusCode }) => statusCode === 200 || statusCode === 400))
    t.equal(plugin.provider.count('/token'), 1)
    t.equal(eventsOf(plugin).filter((event) => event === 'code.duplicate').length, 99)
    const { access_token } = good[0]!.json() as { access_token: string }
    t.equal((await plugin.call(access_token)).statusCode, 200)
  },
)

t.test('a duplicate while the exchange runs is refused, audited, and changes nothing (C-15)', async (t) => {
  const plugin = await startPluginApp(t)
  const answerNow = deferred()
  const { token } = plugin.provider.behave
  plugin.provider.behave.token = async (request, response) => {
    await answerNow.promise
    return token(request, response)
  }
  const { code } = await plugin.code()
  const first = plugin.redeem(code)
  await until(() => plugin.provider.count('/token') === 1)

  refused(t, await plugin.redeem(code), 400, 'invalid_grant')
  t.same(eventsOf(plugin), ['code.duplicate'])
  refused(t, await plugin.redeem(code, { code_verifier: newPair().verifier }), 400, 'invalid_grant')
  refused(t, await plugin.redeem(code, { client_id: 'other' }), 400, 'invalid_grant')
  t.same(eventsOf(plugin), ['code.duplicate'], 'what proves nothing is not even a duplicate')

  answerNow.resolve()
  const response = await first
  t.equal(response.statusCode, 200)
  t.equal(plugin.provider.count('/token'), 1)
  const { access_token } = response.json() as { access_token: string }
  t.equal((await plugin.call(access_token)).statusCode, 200)
})

t.test(
  'a replay that proves everything ends the session, here and at the provider (RFC 6749 §4.1.2, C-14)',
  async (t) => {
    const plugin = await startPluginApp(t)
    const { code } = await plugin.code()
    const tokens = (await plugin.redeem(code)).json() as { access_token: string; refresh_token: string }
    t.equal((await plugin.call(tokens.access_token)).statusCode, 200)

    plugin.store.advance(15)
    refused(t, await plugin.redeem(code), 400, 'invalid_grant')
    t.equal((await plugin.call(tokens.access_token)).statusCode, 401)
    refused(t, await plugin.refresh(tokens.refresh_token), 400, 'invalid_grant')
    t.match(plugin.events.slice(1, 3), [
      { event: 'code.replay', reason: 'code_replayed', clientId: 'app', grant: /^[0-9a-f]{8}$/ },
      { event: 'session.ended', reason: 'code_replayed' },
    ])
    await until(() => plugin.provider.count('/revoke') === 1)
    t.equal(plugin.provider.requests.at(-1)!.form.get('token'), 'provider-refresh-1')
  },
)

t.test(
  'within 15 s a repetition is the app itself: refused, audited, and the session goes on (C-14)',
  async (t) => {
    const plugin = await startPluginApp(t)
    const { code } = await plugin.code()
    const tokens = (await plugin.redeem(code)).json() as { access_token: string; refresh_token: string }
    for (const seconds of [0, 14]) {
      plugin.store.advance(seconds)
      refused(t, await plugin.redeem(code), 400, 'invalid_grant')
      t.equal((await plugin.call(tokens.access_token)).statusCode, 200)
    }
    t.same(eventsOf(plugin), ['session.activated', 'code.duplicate', 'code.duplicate'])
    t.equal((await plugin.refresh(tokens.refresh_token)).statusCode, 200)
    t.equal(plugin.provider.count('/revoke'), 0)
  },
)

t.test('duplicateSeconds 0: every proved repetition is a replay (RFC 6749 §4.1.2, C-14)', async (t) => {
  const plugin = await startPluginApp(t, { lifetimes: { duplicateSeconds: 0 } })
  const { code } = await plugin.code()
  const { access_token } = (await plugin.redeem(code)).json() as { access_token: string }
  refused(t, await plugin.redeem(code), 400, 'invalid_grant')
  t.equal((await plugin.call(access_token)).statusCode, 401)
})

t.test('a replay that proves less is no way to log others out (C-14)', async (t) => {
  const rows: [string, Record<string, string>][] = [
    ['a wrong verifier', { code_verifier: newPair().verifier }],
    ['another redirect_uri', { redirect_uri: `${REDIRECT_URI}?x` }],
    ['another client', { client_id: 'other' }],
  ]
  for (const [name, overrides] of rows) {
    t.test(`${name} -> 400, and the session goes on`, async (t) => {
      const plugin = await startPluginApp(t)
      const { code } = await plugin.code()
      const { access_token } = (await plugin.redeem(code)).json() as { access_token: string }
      for (const seconds of [0, 15]) {
        plugin.store.advance(seconds)
        refused(t, await plugin.redeem(code, overrides), 400, 'invalid_grant')
      }
      t.equal((await plugin.call(access_token)).statusCode, 200)
      t.equal(plugin.provider.count('/revoke'), 0)
      t.same(eventsOf(plugin), ['session.activated'])
    })
  }

  t.test('a wrong secret with the right selector -> 400, and the session goes on', async (t) => {
    const plugin = await startPluginApp(t)
    const { code } = await plugin.code()
    const { access_token } = (await plugin.redeem(code)).json() as { access_token: string }
    refused(t, await plugin.redeem(`${code.slice(0, 26)}${'A'.repeat(42)}`), 400, 'invalid_grant')
    t.equal((await plugin.call(access_token)).statusCode, 200)
  })

  t.test('after the tombstone the code is unknown, and the session goes on', async (t) => {
    const plugin = await startPluginApp(t)
    const { code } = await plugin.code()
    const { refresh_token } = (await plugin.redeem(code)).json() as { refresh_token: string }
    plugin.store.advance(3601)
    refused(t, await plugin.redeem(code), 400, 'invalid_grant')
    t.equal((await plugin.refresh(refresh_token)).statusCode, 200)
  })
})

t.test('no secret of a whole login, good and bad, is in the log at trace level (J-01)', async (t) => {
  const plugin = await startPluginApp(t, { provider: { scope: 'openid' } })
  const { code, authorized } = await plugin.code()
  const nonce = new URL(authorized.location).searchParams.get('nonce')!
  const idToken = await plugin.provider.idToken({ nonce })
  plugin.provider.behave.token = (_request, response) =>
    json(response, 200, { access_token: 'secret-access', refresh_token: 'secret-refresh', id_token: idToken })
  const tokens = (await plugin.redeem(code)).json() as { access_token: string; refresh_token: string }
  await plugin.call(tokens.access_token)
  const rotated = (await plugin.refresh(tokens.refresh_token)).json() as {
    access_token: string
    refresh_token: string
  }
  await plugin.redeem(code, { client_secret: 'presented-secret' })
  plugin.store.advance(15)
  await plugin.redeem(code)
  plugin.store.fail()
  await plugin.redeem(code)
  await plugin.call(rotated.access_token)
  plugin.store.heal()
  await plugin.redeem((await plugin.code()).code)

  const secrets = {
    code,
    state: authorized.state,
    cookie: authorized.cookie.split('=')[1]!,
    nonce,
    verifier: VERIFIER,
    idToken,
    providerCode: 'provider-code',
    clientSecret: 'gateway-secret',
    presented: 'presented-secret',
    basic: Buffer.from('gateway:gateway-secret').toString('base64'),
    access: tokens.access_token,
    refresh: tokens.refresh_token,
    nextAccess: rotated.access_token,
    nextRefresh: rotated.refresh_token,
    providerAccess: 'secret-access',
    providerRefresh: 'secret-refresh',
  }
  const log = plugin.log()
  t.ok(log.includes('code.replay') && log.includes('store.unavailable'), 'the log tells what happened')
  for (const [name, secret] of Object.entries(secrets)) t.notOk(log.includes(secret), name)
  t.notOk(JSON.stringify(plugin.events).includes('pk'), 'and neither do the audit events')
})

t.test('scope: what was granted, always present, OpenID scopes never in it (C-19)', async (t) => {
  const plugin = await startPluginApp(t)
  const asked = await plugin.login({ scope: 'openid orders.read offline_access' })
  t.equal(asked.scope, 'orders.read')
  const none = await plugin.login({ scope: 'openid' })
  t.equal(none.scope, '', 'present even when it is empty')
  t.notOk('id_token' in none)
})

t.test('without a refresh token of the provider the answer has none: absent, not null', async (t) => {
  const plugin = await startPluginApp(t)
  plugin.provider.behave.token = (_request, response) =>
    json(response, 200, { access_token: 'a', token_type: 'bearer', expires_in: 60, refresh_token: null })
  const tokens = await plugin.login()
  t.notOk('refresh_token' in tokens)
  t.ok(tokens.expires_in <= 60, 'never beyond the provider token (D-17)')
})

t.test('expires_in of any kind makes a sane lifetime (D-15)', async (t) => {
  const rows: [string, unknown, number][] = [
    ['missing', undefined, 300],
    ['a string', '120', 120],
    ['a float', 99.9, 99],
    ['negative', -1, 300],
    ['zero', 0, 300],
    ['huge', 1e300, 600],
    ['no number', 'NaN', 300],
  ]
  for (const [name, expires_in, expected] of rows) {
    t.test(`${name} -> ${expected} s`, async (t) => {
      const plugin = await startPluginApp(t)
      plugin.provider.behave.token = (_request, response) =>
        json(response, 200, { access_token: 'a', token_type: 'Bearer', refresh_token: 'r', expires_in })
      const tokens = await plugin.login()
      t.ok(Math.abs(tokens.expires_in - expected) <= 1, String(tokens.expires_in))
    })
  }
})

t.test('store round trips: authorize 1, callback 2, token exchange 4', async (t) => {
  const plugin = await startPluginApp(t)
  plugin.store.countCalls()
  const authorized = await plugin.authorize()
  t.equal(plugin.store.countCalls(), 1)
  const answer = await plugin.callback(authorized)
  t.equal(plugin.store.countCalls(), 2)
  await plugin.redeem(new URL(String(answer.headers.location)).searchParams.get('code')!)
  t.equal(plugin.store.countCalls(), 4)
})
