import t from 'tap'
import { eventsOf, loggedIn } from '../../../../support/logged-in.ts'
import { REDIRECT_URI, startPluginApp } from '../../../../support/plugin-app.ts'
import {
  NEAR_EXPIRY,
  refreshes,
  refused,
  say,
  slowProvider,
  tokensOf,
} from '../../../../support/refresh-requests.ts'
import type { Behaviour } from '../../../../support/stub-provider.ts'
import { until } from '../../../../support/wait.ts'

t.test('near its expiry the provider token is renewed first (D-17)', async (t) => {
  const plugin = await loggedIn(t)
  plugin.store.advance(NEAR_EXPIRY)
  const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
  t.equal(refreshes(plugin), 1)
  const { form } = plugin.provider.requests.at(-1)!
  t.same(Object.fromEntries(form), { grant_type: 'refresh_token', refresh_token: 'provider-refresh-1' })
  t.match((await plugin.call(next.access_token)).json(), { authorization: 'Bearer provider-access-2' })
  t.ok(next.expires_in >= 599)
})

t.test(
  'no access token outlives the provider token, and forwarding never asks the provider (D-17)',
  async (t) => {
    const plugin = await loggedIn(t)
    plugin.store.advance(3200)
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    t.equal(refreshes(plugin), 0)
    t.ok(next.expires_in <= 400, String(next.expires_in))
    plugin.store.advance(401)
    const answers = await Promise.all(Array.from({ length: 100 }, () => plugin.call(next.access_token)))
    t.ok(answers.every(({ statusCode }) => statusCode === 401))
    t.match(answers[0]!.headers['www-authenticate'], /error="invalid_token"/)
    t.equal(refreshes(plugin), 0)
  },
)

t.test('who waits for another refresh waits 5 s, and is told how long its lease lasts (D-09)', async (t) => {
  const plugin = await loggedIn(t)
  const provider = slowProvider(plugin)
  plugin.store.advance(NEAR_EXPIRY)
  const first = plugin.refresh(plugin.tokens.refresh_token)
  await until(() => refreshes(plugin) === 1)
  const second = plugin.refresh(plugin.tokens.refresh_token)
  const reads = plugin.store.calls.read ?? 0
  await until(() => (plugin.store.calls.read ?? 0) > reads + 1)
  plugin.store.advance(5)
  const response = await second
  t.equal(response.statusCode, 503)
  const seconds = Number(response.headers['retry-after'])
  t.ok(seconds > 0 && seconds <= 10, `${seconds} s are left of 15`)
  provider.letGo()
  t.equal((await first).statusCode, 200)
  t.equal(refreshes(plugin), 1)
})

t.test(
  'the access token is presented while its refresh begins: both are answered (D-05, D-09)',
  async (t) => {
    const plugin = await loggedIn(t)
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    plugin.store.advance(NEAR_EXPIRY)
    const held = plugin.store.hold('read')
    const refreshing = plugin.refresh(next.refresh_token)
    await held.reached
    const writes = plugin.store.written.length
    await plugin.call(next.access_token)
    await until(() => plugin.store.written.length > writes)
    held.release()
    t.equal((await refreshing).statusCode, 200)
    t.equal(refreshes(plugin), 1)
  },
)

t.test('for scopes that were passed on, the provider narrows (F-16)', async (t) => {
  const clients = [
    {
      clientId: 'app',
      redirectUris: [REDIRECT_URI],
      scopes: ['orders.read', 'mail'],
      providerScopes: ['mail'],
    },
  ]
  const plugin = await loggedIn(t, { clients })
  t.equal(plugin.tokens.scope, 'orders.read mail')
  plugin.store.advance(NEAR_EXPIRY)
  plugin.provider.behave.token = say(200, {
    access_token: 'a',
    token_type: 'Bearer',
    expires_in: 3600,
    scope: 'api',
  })
  const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
  t.equal(next.scope, 'orders.read')
  t.equal(tokensOf(await plugin.refresh(next.refresh_token)).scope, 'orders.read', 'for good')
})

t.test(
  'the provider fails at a refresh: the session is kept, and the lease given back (D-09, D-10)',
  async (t) => {
    const rows: [string, Behaviour, number][] = [
      ['answers 500', say(500, {}), 503],
      ['answers 429', say(429, {}), 503],
      [
        'closes in the middle of its answer',
        (_request, response) => {
          response
            .writeHead(200, { 'content-type': 'application/json', 'content-length': '100' })
            .write('{"acc')
          setImmediate(() => response.destroy())
        },
        503,
      ],
      ['hangs', () => {}, 503],
      ['refuses us', say(401, { error: 'invalid_client' }), 502],
      ['refuses us with a 400', say(400, { error: 'unauthorized_client' }), 502],
      ['answers garbage', say(200, []), 502],
      ['answers 400 without an error', say(400, { message: 'bad request' }), 502],
    ]
    for (const [name, behaviour, status] of rows) {
      t.test(`it ${name} -> ${status}, one call, and the next refresh is good`, async (t) => {
        const timeouts = { totalMs: 1000 }
        const plugin = await loggedIn(t, name === 'hangs' ? { provider: { timeouts } } : {})
        const { token } = plugin.provider.behave
        plugin.store.advance(NEAR_EXPIRY)
        plugin.provider.behave.token = behaviour
        const error = status === 503 ? 'temporarily_unavailable' : 'server_error'
        refused(t, await plugin.refresh(plugin.tokens.refresh_token), status, error)
        t.equal(refreshes(plugin), 1)
        t.equal(plugin.events.at(-1)!.event, 'provider.error')
        plugin.provider.behave.token = token
        t.equal((await plugin.refresh(plugin.tokens.refresh_token)).statusCode, 200)
        t.equal(plugin.provider.requests.at(-1)!.form.get('refresh_token'), 'provider-refresh-1')
      })
    }
  },
)

t.test('a refused refresh token ends the session, whatever the word for it (D-10)', async (t) => {
  const labelled =
    (status: number, type: string, body: string): Behaviour =>
    (_request, response) =>
      response.writeHead(status, { 'content-type': type }).end(body)
  for (const [name, behaviour] of [
    ['400 invalid_request', say(400, { error: 'invalid_request' })],
    ['400 invalid_token', say(400, { error: 'invalid_token' })],
    ['403 and a word of its own', say(403, { error: 'refresh_token_reused' })],
    ['400 as text/plain', labelled(400, 'text/plain', '{"error":"invalid_grant"}')],
    ['a form', labelled(400, 'application/x-www-form-urlencoded', 'error=invalid_grant')],
    ['200 bad_refresh_token', say(200, { error: 'bad_refresh_token' })],
  ] as const) {
    t.test(`${name} -> invalid_grant`, async (t) => {
      const plugin = await loggedIn(t)
      plugin.store.advance(NEAR_EXPIRY)
      plugin.provider.behave.token = behaviour
      refused(t, await plugin.refresh(plugin.tokens.refresh_token), 400, 'invalid_grant')
      refused(t, await plugin.refresh(plugin.tokens.refresh_token), 400, 'invalid_grant')
      t.equal(refreshes(plugin), 1)
      t.same(eventsOf(plugin).slice(-2), ['provider.error', 'session.ended'])
    })
  }
})

t.test('invalid_grant of the provider ends the session (D-10)', async (t) => {
  const plugin = await loggedIn(t)
  plugin.store.advance(3299)
  const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
  plugin.store.advance(2)
  plugin.provider.behave.token = say(400, { error: 'invalid_grant' })
  refused(t, await plugin.refresh(next.refresh_token), 400, 'invalid_grant')
  t.equal((await plugin.call(next.access_token)).statusCode, 401, 'the access token that was still good')
  refused(t, await plugin.refresh(next.refresh_token), 400, 'invalid_grant')
  t.equal(refreshes(plugin), 1, 'no retry storm')
  t.same(eventsOf(plugin).slice(-3), ['provider.error', 'session.ended', 'forward.denied'])
})

t.test('an id_token of somebody else at a refresh ends the session (OIDC Core §12.2, D-14)', async (t) => {
  const plugin = await loggedIn(t, { provider: { scope: 'openid' } })
  plugin.store.advance(NEAR_EXPIRY)
  plugin.provider.claims = { sub: 'mallory' }
  refused(t, await plugin.refresh(plugin.tokens.refresh_token), 400, 'invalid_grant')
  t.equal(plugin.events.at(-1)!.event, 'session.ended')
  t.same(await plugin.app.pkce.sessionsOf('alice'), [])
  await until(() => plugin.provider.count('/revoke') === 1)
  t.equal(
    plugin.provider.requests.at(-1)!.form.get('token'),
    'provider-refresh-2',
    'what was issued for mallory',
  )
})

t.test('fresh claims after a refresh (H-04)', async (t) => {
  const clients = [{ clientId: 'app', redirectUris: [REDIRECT_URI], claims: ['email'] }]
  const plugin = await startPluginApp(t, { clients, provider: { scope: 'openid' } })
  plugin.provider.claims = { email: 'old@example.com' }
  const { refresh_token } = await plugin.login()
  plugin.store.advance(NEAR_EXPIRY)
  plugin.provider.claims = { email: 'new@example.com' }
  const { access_token } = tokensOf(await plugin.refresh(refresh_token))
  const headers = { authorization: `Bearer ${access_token}` }
  const { body } = await plugin.app.inject({ url: '/oauth2/userinfo', headers })
  t.same(JSON.parse(body), { sub: 'alice', email: 'new@example.com' })
})

t.test('the provider may or may not rotate its refresh token (RFC 6749 §6, D-11)', async (t) => {
  t.test('without one in the answer the old one is kept', async (t) => {
    const plugin = await loggedIn(t)
    const { token } = plugin.provider.behave
    plugin.provider.behave.token = say(200, {
      access_token: 'a',
      token_type: 'Bearer',
      expires_in: 3600,
      refresh_token: '',
    })
    plugin.store.advance(NEAR_EXPIRY)
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    t.ok(next.refresh_token)
    plugin.provider.behave.token = token
    plugin.store.advance(NEAR_EXPIRY)
    await plugin.refresh(next.refresh_token)
    t.equal(plugin.provider.requests.at(-1)!.form.get('refresh_token'), 'provider-refresh-1')
  })

  t.test('with one in the answer the new one is used', async (t) => {
    const plugin = await loggedIn(t)
    plugin.store.advance(NEAR_EXPIRY)
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    plugin.store.advance(NEAR_EXPIRY)
    t.equal((await plugin.refresh(next.refresh_token)).statusCode, 200)
    t.equal(plugin.provider.requests.at(-1)!.form.get('refresh_token'), 'provider-refresh-2')
  })
})

t.test('relay mode: a refresh always refreshes at the provider (D-17)', async (t) => {
  const plugin = await loggedIn(t, { tokens: 'relay' })
  t.equal(plugin.tokens.access_token, 'provider-access-1')
  t.ok(plugin.tokens.expires_in > 3590, "the provider token's own life")
  t.match(plugin.tokens.refresh_token, /^pkr_/)

  const slow = slowProvider(plugin)
  const all = Array.from({ length: 20 }, () => plugin.refresh(plugin.tokens.refresh_token))
  await until(() => refreshes(plugin) === 1)
  slow.letGo()
  const answers = (await Promise.all(all)).map(tokensOf)
  t.equal(refreshes(plugin), 1)
  t.same([...new Set(answers.map(({ access_token }) => access_token))], ['provider-access-2'])
  t.equal(new Set(answers.map(({ refresh_token }) => refresh_token)).size, 1)
  for (const token of ['provider-access-1', 'provider-access-2']) {
    t.match((await plugin.call(token)).json(), { authorization: `Bearer ${token}` })
  }
  const next = tokensOf(await plugin.refresh(answers[0]!.refresh_token))
  t.equal(next.access_token, 'provider-access-3')
})

t.test('relay mode: a provider that answers with the same access token again', async (t) => {
  const plugin = await loggedIn(t, { tokens: 'relay' })
  plugin.provider.behave.token = say(200, {
    access_token: 'provider-access-1',
    token_type: 'Bearer',
    expires_in: 3600,
  })
  const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
  t.equal(next.access_token, 'provider-access-1')
  t.equal((await plugin.call(next.access_token)).statusCode, 200)
  t.equal(
    tokensOf(await plugin.refresh(plugin.tokens.refresh_token)).refresh_token,
    next.refresh_token,
    'grace',
  )
})

t.test('expires_in of any kind at a refresh makes a sane lifetime (D-15)', async (t) => {
  for (const [given, expected] of [
    [1e300, 600],
    ['3600', 600],
    [-1, 300],
    [1, 1],
  ] as const) {
    t.test(`${given} -> at most ${expected} s`, async (t) => {
      const plugin = await loggedIn(t)
      plugin.store.advance(NEAR_EXPIRY)
      plugin.provider.behave.token = say(200, {
        access_token: 'a',
        token_type: 'Bearer',
        expires_in: given,
        refresh_expires_in: 0,
      })
      const { expires_in } = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
      t.ok(expires_in <= expected && expires_in >= expected - 1, String(expires_in))
    })
  }
})
