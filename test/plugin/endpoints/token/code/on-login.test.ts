import t from 'tap'
import type { Login, LoginDecision, OnLogin } from '../../../../../plugin/index.ts'
import { type PluginApp, startPluginApp } from '../../../../support/plugin-app.ts'
import { json } from '../../../../support/stub-provider.ts'
import { until } from '../../../../support/wait.ts'

const client = {
  clientId: 'app',
  redirectUris: ['https://app.example.com/callback'],
  scopes: ['orders.read', 'orders.write'],
  claims: ['email'],
}

/** An app whose logins are decided by `onLogin`, at a provider with OpenID. */
async function setUp(t: Parameters<typeof startPluginApp>[0], onLogin: OnLogin, more: object = {}) {
  const logins: Login[] = []
  const plugin = await startPluginApp(
    t,
    {
      ...{ clients: [{ ...client, ...more }], provider: { scope: 'openid' } },
      onLogin: (login) => {
        logins.push(login)
        return onLogin(login)
      },
    },
    {
      after: (app) =>
        app.get('/claims', { onRequest: app.pkce.requireSession() }, async ({ pkceSession }) => ({
          ...{ claims: pkceSession.claims, scope: pkceSession.scope },
        })),
    },
  )
  plugin.provider.claims = { email: 'alice@example.com', department: 'sales' }
  return { plugin, logins }
}

const claimsOf = async ({ app }: PluginApp, token: string) =>
  (await app.inject({ url: '/claims', headers: { authorization: `Bearer ${token}` } })).json()

t.test('onLogin hears who it is, once, before anything is issued', async (t) => {
  const { plugin, logins } = await setUp(t, () => undefined)
  const { refresh_token } = await plugin.login()
  t.match(logins, [
    {
      ...{ issuer: plugin.provider.issuer, provider: undefined, subject: 'alice', clientId: 'app' },
      claims: { email: 'alice@example.com', department: 'sales' },
      scopes: ['orders.read', 'orders.write'],
      signal: AbortSignal,
    },
  ])
  const [activated] = plugin.events.filter(({ event }) => event === 'session.activated')
  t.equal(activated?.grantId, logins[0]?.grantId)
  t.equal((await plugin.refresh(refresh_token)).statusCode, 200)
  t.equal(logins.length, 1, 'never at a refresh')

  await plugin.redeem('pkc_unknown')
  const { code } = await plugin.code()
  await plugin.redeem(code, { code_verifier: 'x'.repeat(43) })
  plugin.provider.behave.token = (_request, response) => json(response, 400, { error: 'invalid_grant' })
  await plugin.redeem((await plugin.code()).code)
  t.equal(logins.length, 1, 'never on a refusal')
})

t.test('a repeated code runs it once', async (t) => {
  const { plugin, logins } = await setUp(t, () => undefined, { repeatableExchange: true })
  const { code } = await plugin.code()
  const answers = await Promise.all([plugin.redeem(code), plugin.redeem(code)])
  t.same(
    answers.map(({ statusCode }) => statusCode),
    [200, 200],
  )
  t.equal(logins.length, 1)
})

t.test('claims and narrowed scopes last as long as the session', async (t) => {
  const { plugin } = await setUp(t, async () => ({
    claims: { userId: 42, email: 'alice@team.example', roles: ['admin'] },
    scopes: ['orders.read'],
  }))
  const tokens = await plugin.login()
  t.equal(tokens.scope, 'orders.read')
  const expected = {
    claims: { sub: 'alice', userId: 42, email: 'alice@team.example', roles: ['admin'] },
    scope: ['orders.read'],
  }
  t.same(await claimsOf(plugin, tokens.access_token), expected)
  const userinfo = await plugin.app.inject({
    url: '/oauth2/userinfo',
    headers: { authorization: `Bearer ${tokens.access_token}` },
  })
  t.same(userinfo.json(), expected.claims)

  // The provider's token is short-lived, so that it is asked, and its id_token has the claim anew.
  plugin.provider.claims = { email: 'alice@new.example' }
  plugin.store.advance(3500)
  plugin.provider.behave.token = async (_request, response) =>
    json(response, 200, {
      ...{ access_token: 'renewed', token_type: 'Bearer', expires_in: 3600 },
      id_token: await plugin.provider.idToken({ email: 'alice@new.example' }),
    })
  const refreshed = (await plugin.refresh(tokens.refresh_token)).json()
  t.equal(refreshed.scope, 'orders.read')
  t.same(await claimsOf(plugin, refreshed.access_token), expected, "the team's word stays")
})

t.test('a denied login ends with access_denied, and its tokens are revoked', async (t) => {
  const { plugin } = await setUp(t, () => ({ deny: 'the account is blocked' }))
  const { code } = await plugin.code()
  const answer = await plugin.redeem(code)
  t.equal(answer.statusCode, 400)
  t.match(answer.json(), { error: 'access_denied' })
  t.notMatch(answer.body, 'blocked')
  t.match(plugin.log(), '"denied":"the account is blocked"')
  t.match(plugin.events.at(-1), { event: 'login.denied', reason: 'login_denied', clientId: 'app' })
  await until(() => plugin.provider.count('/revoke') === 1)
  t.same(await plugin.app.pkce.sessionsOf('alice'), [])
  t.equal((await plugin.redeem(code)).json().error, 'invalid_grant', 'the code is used up')
})

t.test('what the hook cannot decide refuses the login with 502, and nothing is let through', async (t) => {
  const circular: Record<string, unknown> = {}
  circular.self = circular
  const decisions: Record<string, () => unknown> = {
    'it throws': () => {
      throw new Error('the database is away')
    },
    'it rejects': () => Promise.reject(new Error('the database is away')),
    'scopes that it was not given': () => ({ scopes: ['admin'] }),
    'scopes that are no list': () => ({ scopes: 'orders.read' }),
    'claims that are a list': () => ({ claims: [] }),
    'claims that become a list': () => ({ claims: { toJSON: () => ['admin'] } }),
    'claims that become text': () => ({ claims: { toJSON: () => 'admin' } }),
    'claims that become nothing': () => ({ claims: { toJSON: () => undefined } }),
    'a sub that toJSON puts there': () => ({ claims: { toJSON: () => ({ sub: 'bob' }) } }),
    'a reason that is no text': () => ({ deny: Object.create(null) }),
    'a bare word': () => 'deny',
    'another sub': () => ({ claims: { sub: 'bob' } }),
    'another iss': () => ({ claims: { iss: 'https://other.example' } }),
    'claims that are no JSON': () => ({ claims: circular }),
    'claims that are too large': () => ({ claims: { text: 'x'.repeat(5000) } }),
  }
  for (const [what, decide] of Object.entries(decisions)) {
    const { plugin } = await setUp(t, decide as () => LoginDecision)
    const answer = await plugin.redeem((await plugin.code()).code)
    t.equal(answer.statusCode, 502, what)
    t.match(answer.json(), { error: 'server_error' })
    t.match(plugin.log(), 'onLogin failed: the login is refused')
    t.match(plugin.events.at(-1), { event: 'login.denied', reason: 'login_undecided' })
    await until(() => plugin.provider.count('/revoke') === 1)
    t.same(await plugin.app.pkce.sessionsOf('alice'), [])
  }
})

t.test('a hook that never ends is given up after five seconds, and told', async (t) => {
  const { plugin, logins } = await setUp(t, () => new Promise(() => {}))
  const startedAt = performance.now()
  const answer = await plugin.redeem((await plugin.code()).code)
  t.equal(answer.statusCode, 502)
  t.ok(performance.now() - startedAt < 9000)
  t.ok(logins[0]?.signal.aborted)
})

t.test('onLogin must be a function', async (t) => {
  await t.rejects(startPluginApp(t, { onLogin: 'x' as never }), /onLogin: must be a function/)
})
