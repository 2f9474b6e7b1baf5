import fastify from 'fastify'
import t, { type Test } from 'tap'
import { TestLoginError, testLogin, testProvider, testSession } from '../../../plugin/api/testing.ts'
import pkce, { type PkceOptions } from '../../../plugin/index.ts'

/** A team's app, and a provider that does as its tests say. */
async function open(t: Test, more: Partial<PkceOptions> = {}, count = 1) {
  const providers = await Promise.all(Array.from({ length: count }, () => testProvider()))
  const [provider] = providers
  const app = fastify()
  t.teardown(() => Promise.all([app.close(), ...providers.map((one) => one.close())]))
  const set =
    count === 1
      ? { provider: provider!.options }
      : { providers: { one: providers[0]!.options, two: providers[1]!.options } }
  await app.register(pkce, {
    ...{ publicUrl: 'https://api.example.com', rateLimit: false },
    clients: [
      {
        ...{ clientId: 'com.example.app', redirectUris: ['com.example.app:/callback'] },
        ...{ scopes: ['orders.read', 'orders.write'], claims: ['email'] },
      },
      {
        ...{ clientId: 'web', redirectUris: ['https://app.example.com/callback'], scopes: ['orders.read'] },
        ...{ authentication: 'client_secret_basic' as const, clientSecret: 's3cret' },
      },
    ],
    ...set,
    ...more,
  } as PkceOptions)
  app.get('/me', { onRequest: app.pkce.requireSession({ scopes: ['orders.read'] }) }, async (request) => ({
    ...{ issuer: request.pkceSession.issuer, claims: request.pkceSession.claims },
  }))
  return { app, provider: provider!, providers }
}

t.test('a whole login, its page included, with nothing but inject and loopback', async (t) => {
  const { app, provider } = await open(t)
  provider.user = { sub: 'bob', email: 'bob@example.com' }
  const { authorization, refreshToken, scopes } = await testLogin(app, { scopes: ['orders.read'] })
  t.same(scopes, ['orders.read'])
  const me = await app.inject({ url: '/me', headers: { authorization } })
  t.same(me.json(), { issuer: provider.options.issuer, claims: { sub: 'bob', email: 'bob@example.com' } })
  t.ok(refreshToken)
  t.same(
    provider.requests.map(({ endpoint }) => endpoint),
    ['authorize', 'token'],
  )

  const web = await testLogin(app, { clientId: 'web' })
  t.equal((await app.inject({ url: '/me', headers: { authorization: web.authorization } })).statusCode, 200)
})

t.test('each step can end the login, and says so', async (t) => {
  const { app, provider } = await open(t, {
    onLogin: ({ subject }) => (subject === 'mallory' ? { deny: 'blocked' } : undefined),
  })
  const ends = async (step: string, error: string, options = {}) => {
    const ended = await testLogin(app, options).then(
      () => undefined,
      (error: unknown) => error,
    )
    t.match(ended, { name: 'TestLoginError', step, error }, step)
    t.ok(ended instanceof TestLoginError)
  }
  await ends('authorize', 'invalid_scope', { scopes: ['admin'] })
  provider.failNext('authorize', { status: 302, body: { error: 'access_denied' } })
  await ends('callback', 'access_denied')
  provider.failNext('token', { status: 400, body: { error: 'invalid_grant' } })
  await ends('token', 'invalid_grant')
  provider.failNext('token', { status: 503 })
  await ends('token', 'temporarily_unavailable')
  await ends('token', 'invalid_grant', { codeVerifier: 'x'.repeat(43) })
  provider.user = { sub: 'mallory' }
  await ends('token', 'access_denied')
  provider.user = { sub: 'alice' }
  t.ok((await testLogin(app)).accessToken, 'and the next one is a login')
  t.ok(provider.requests.some(({ endpoint }) => endpoint === 'revoke'))
})

t.test('the provider proves what a real one proves', async (t) => {
  const { app, provider } = await open(t)
  await testLogin(app)
  const { issuer, clientId, clientSecret } = provider.options
  const post = async (secret: string, form: Record<string, string>) => {
    const answer = await fetch(`${issuer}/token`, {
      method: 'POST',
      headers: { authorization: `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}` },
      body: new URLSearchParams(form),
    })
    return ((await answer.json()) as { error?: string }).error
  }
  const code = { grant_type: 'authorization_code', code: 'unknown' }
  t.equal(await post('wrong', code), 'invalid_client')
  t.equal(await post(clientSecret, code), 'invalid_grant')
  t.equal(
    await post(clientSecret, { grant_type: 'refresh_token', refresh_token: 'unknown' }),
    'invalid_grant',
  )
})

t.test('several providers, and a session at each of them', async (t) => {
  const { app, providers } = await open(t, {}, 2)
  const { authorization } = await testLogin(app, { provider: 'two' })
  const me = async (authorization: string) =>
    (await app.inject({ url: '/me', headers: { authorization } })).json().issuer
  t.equal(await me(authorization), providers[1]!.options.issuer)
  await t.rejects(testLogin(app), { step: 'authorize', message: /How do you want to sign in/ })
  t.equal(await me((await testSession(app, { provider: 'two' })).authorization), providers[1]!.options.issuer)
  t.equal(await me((await testSession(app)).authorization), providers[0]!.options.issuer)
  await t.rejects(testSession(app, { provider: 'three' }), /provider: "three" is no provider of/)
})

t.test('nothing of it works in production', async (t) => {
  const { app } = await open(t)
  const before = process.env.NODE_ENV
  t.teardown(() => {
    if (before === undefined) delete process.env.NODE_ENV
    else process.env.NODE_ENV = before
  })
  process.env.NODE_ENV = 'production'
  await t.rejects(testProvider(), /NODE_ENV is production/)
  await t.rejects(testLogin(app), /NODE_ENV is production/)
})
