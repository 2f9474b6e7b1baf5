/** `fastify-pkce/testing`, as teams use it for tests of their own routes: there is no provider, and no network. */
import fastify, { type FastifyInstance } from 'fastify'
import t, { type Test } from 'tap'
import { createTestGrantIssuer, type TestSessionOptions, testSession } from '../../../plugin/api/testing.ts'
import pkce, { type PkceOptions } from '../../../plugin/index.ts'
import { testStore } from '../../support/plugin-app.ts'
import { startSharedStore } from '../../support/shared-store.ts'
import { until } from '../../support/wait.ts'

const secrets = [Buffer.alloc(32, 3).toString('base64url')]
const endpoint = (path: string) => `https://login.example.com/${path}`
const options: PkceOptions = {
  publicUrl: 'https://api.example.com',
  provider: {
    issuer: 'https://login.example.com',
    clientId: 'backend',
    clientSecret: 'backend-secret',
    // Named, so that nobody is asked for them.
    authorizationEndpoint: endpoint('authorize'),
    tokenEndpoint: endpoint('token'),
    jwksUri: endpoint('jwks'),
  },
  clients: [
    {
      clientId: 'app',
      redirectUris: ['com.example.app:/callback'],
      scopes: ['orders.read', 'orders.write'],
      claims: ['email'],
    },
    { clientId: 'other', redirectUris: ['com.example.other:/callback'], scopes: ['orders.read'] },
    { clientId: 'off', redirectUris: ['com.example.off:/callback'], enabled: false },
  ],
}

/** A team's own app, with one route. */
async function startApp(t: Test, changes: Partial<PkceOptions> = {}): Promise<FastifyInstance> {
  const app = fastify()
  t.teardown(() => app.close())
  await app.register(pkce, { ...options, ...changes } as PkceOptions)
  app.get('/me', { onRequest: app.pkce.requireSession({ scopes: ['orders.read'] }) }, async (request) => ({
    subject: request.pkceSession.subject,
    clientId: request.pkceSession.clientId,
    scope: request.pkceSession.scope,
    claims: request.pkceSession.claims,
  }))
  return app
}

/** The status of the route for this `Authorization`. */
async function status(app: FastifyInstance, authorization: string): Promise<number> {
  return (await app.inject({ url: '/me', headers: { authorization } })).statusCode
}

t.test('a protected route answers a session that no login has made (design, Testing)', async (t) => {
  const app = await startApp(t)

  const alice = await testSession(app, { subject: 'alice', scopes: ['orders.read'] })
  const answer = await app.inject({ url: '/me', headers: { authorization: alice.authorization } })
  t.equal(answer.statusCode, 200)
  t.equal(answer.json().subject, 'alice')
  await alice.end()

  t.equal(await status(app, alice.authorization), 401)
})

t.test('the session is as asked for, and what its request sees (design, Testing)', async (t) => {
  const app = await startApp(t)
  const { authorization, session } = await testSession(app, {
    subject: 'bob',
    clientId: 'app',
    scopes: ['orders.read'],
    claims: { email: 'bob@example.com' },
  })
  const expected = {
    subject: 'bob',
    clientId: 'app',
    scope: ['orders.read'],
    claims: { email: 'bob@example.com', sub: 'bob' },
  }
  t.match(session, expected)
  t.same((await app.inject({ url: '/me', headers: { authorization } })).json(), expected)
  const me = await app.inject({ url: '/oauth2/userinfo', headers: { authorization } })
  t.same(me.json(), expected.claims)
  t.match(session.providerAuthorization, /^Bearer [A-Za-z0-9_-]{43}$/)
  const [listed] = await app.pkce.sessionsOf('bob')
  t.equal(listed?.grantId, session.grantId)
})

t.test('nothing is required: the first client, all of its scopes, its usual life', async (t) => {
  const app = await startApp(t)
  const { authorization, session } = await testSession(app)
  t.match(session, { subject: 'test-subject', clientId: 'app', scope: ['orders.read', 'orders.write'] })
  const lifeMs = session.expiresAt - Date.now()
  t.ok(lifeMs > 590_000 && lifeMs <= 600_000, `${lifeMs} ms`)
  t.equal(await status(app, authorization), 200)
})

t.test('a scope that the session lacks -> 403 insufficient_scope (RFC 6750 §3.1)', async (t) => {
  const app = await startApp(t)
  const { authorization } = await testSession(app, { scopes: ['orders.write'] })
  const answer = await app.inject({ url: '/me', headers: { authorization } })
  t.equal(answer.statusCode, 403)
  t.match(answer.headers['www-authenticate'], /error="insufficient_scope"/)
})

t.test('end() ends this session at once, tells its listeners, and leaves others (G-10)', async (t) => {
  const app = await startApp(t)
  const [one, other] = [
    await testSession(app, { subject: 'carol' }),
    await testSession(app, { subject: 'carol' }),
  ]
  let ended = 0
  app.pkce.onSessionEnd(one.session, () => {
    ended += 1
  })
  t.equal(await status(app, one.authorization), 200)
  await one.end()
  t.equal(await status(app, one.authorization), 401)
  await until(() => ended === 1)
  t.equal(await status(app, other.authorization), 200)
  await one.end()
  t.equal(await status(app, other.authorization), 200, 'once is enough')
})

t.test('expiresInSeconds, shorter or longer than usual: 401 from then on (D-17)', async (t) => {
  const store = testStore()
  const app = await startApp(t, { store })
  const short = await testSession(app, { expiresInSeconds: 5 })
  const long = await testSession(app, { expiresInSeconds: 86_400 })
  t.equal(await status(app, short.authorization), 200)
  store.advance(6)
  t.equal(await status(app, short.authorization), 401)
  store.advance(80_000)
  t.equal(await status(app, long.authorization), 200)
  store.advance(7_000)
  t.equal(await status(app, long.authorization), 401)
  t.same(await app.pkce.sessionsOf('test-subject'), [], 'nothing is left')
})

t.test('tokens: relay: the token of a provider, found by its index (design, Modes)', async (t) => {
  const app = await startApp(t, { tokens: 'relay' })
  const { authorization, session, end } = await testSession(app)
  t.equal(session.providerAuthorization, authorization)
  t.equal(await status(app, authorization), 200)
  await end()
  t.equal(await status(app, authorization), 401)
})

t.test('it is sealed as any other: the store gets no credential of it (G-02, G-03)', async (t) => {
  const store = testStore()
  const app = await startApp(t, { store })
  const { authorization, session } = await testSession(app)
  const kept = store.touched.join('\n')
  t.match(kept, session.grantId)
  for (const credential of [authorization, session.providerAuthorization]) {
    t.notOk(kept.includes(credential.slice('Bearer '.length)))
  }
})

t.test('a given store: two instances share the session and its end', async (t) => {
  const shared = await startSharedStore(t, 'redis')
  if (typeof shared === 'string') return void t.pass('redis', { skip: shared })
  const start = () => startApp(t, { secrets, store: shared.open(t) })
  const [a, b] = [await start(), await start()]
  const { authorization, end } = await testSession(a)
  t.equal(await status(b, authorization), 200)
  await end()
  await until(async () => (await status(b, authorization)) === 401)
})

t.test('a store is filled before there is an app: the grants of an issuer', async (t) => {
  const store = testStore()
  const issuer = createTestGrantIssuer({ ...options, secrets, store })
  const issued = await Promise.all(
    ['alice', 'bob'].map((subject) => issuer.issue({ subject, expiresInSeconds: 3600 })),
  )
  const app = await startApp(t, { secrets, store })
  const [first, second] = await Promise.all(
    issued.map(({ accessToken }) =>
      app.inject({ url: '/me', headers: { authorization: `Bearer ${accessToken}` } }),
    ),
  )
  t.equal(first?.json().subject, 'alice')
  t.equal(second?.json().subject, 'bob')
  t.equal(await app.pkce.endSession({ grantId: issued[0]!.grantId }), 1)
})

t.test('a scope of the app below the one with the plugin has the same sessions', async (t) => {
  const app = await startApp(t)
  let inner: FastifyInstance | undefined
  await app.register(async (scope) => {
    inner = scope
  })
  const { authorization } = await testSession(inner!)
  t.equal(await status(app, authorization), 200)
})

t.test('an app without the plugin is told what to do', async (t) => {
  const app = fastify()
  t.teardown(() => app.close())
  await t.rejects(testSession(app), { message: /await app\.register\(pkce, …\)/ })
})

const impossible: Record<string, [TestSessionOptions, string]> = {
  'an unknown client': [{ clientId: 'nope' }, 'clientId: "nope" is no registered and enabled client'],
  'a client that is off': [{ clientId: 'off' }, 'clientId: "off" is no registered and enabled client'],
  'a scope of another client': [
    { clientId: 'other', scopes: ['orders.write'] },
    'scopes: "orders.write" is not in clients[].scopes of other',
  ],
  'a claim that the client does not get': [
    { claims: { phone: '1' } },
    'claims: "phone" is not in clients[].claims of app',
  ],
  'a second subject': [{ claims: { sub: 'eve' } }, 'claims: "sub" is not in clients[].claims of app'],
  'no subject': [{ subject: '' }, 'subject: "" is empty'],
  'no life': [{ expiresInSeconds: 0 }, 'expiresInSeconds: "0" is no positive integer'],
  'half a life': [{ expiresInSeconds: 0.5 }, 'expiresInSeconds: "0.5" is no positive integer'],
}
for (const [title, [given, message]] of Object.entries(impossible)) {
  t.test(`what no login could lead to is refused: ${title}`, async (t) => {
    const store = testStore()
    const app = await startApp(t, { store })
    await t.rejects(testSession(app, given), {
      name: 'RangeError',
      message: `fastify-pkce/testing: ${message}`,
    })
    t.same(store.written, [])
  })
}

t.test('NODE_ENV=production is refused, and nothing is written', async (t) => {
  const store = testStore()
  const app = await startApp(t, { store })
  const before = process.env.NODE_ENV
  t.teardown(() => {
    if (before === undefined) delete process.env.NODE_ENV
    else process.env.NODE_ENV = before
  })
  process.env.NODE_ENV = 'production'
  await t.rejects(testSession(app), { message: /NODE_ENV is production/ })
  t.throws(() => createTestGrantIssuer({ ...options, secrets, store }), { message: /NODE_ENV is production/ })
  t.same(store.written, [])
})
