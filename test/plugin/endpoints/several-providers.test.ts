import t, { type Test } from 'tap'
import type { PkceOptions } from '../../../plugin/index.ts'
import { newPair, type PluginApp, REDIRECT_URI, startPluginApp, testStore } from '../../support/plugin-app.ts'
import { json, type StubProvider, startStubProvider } from '../../support/stub-provider.ts'

/** A login under way: what the browser and the app hold. */
interface Begun {
  readonly at: StubProvider
  readonly location: URL
  readonly cookie: string
  readonly setCookie: string
  readonly verifier: string
  readonly state: string
}

const clients = [
  { clientId: 'app', name: 'Example', redirectUris: [REDIRECT_URI], scopes: ['orders.read'] },
  {
    ...{ clientId: 'one', redirectUris: [REDIRECT_URI], scopes: ['orders.read'] },
    providers: ['google'],
  },
]

/** An app with two providers, of which one answers by form. Users of both are called `alice`. */
async function setUp(t: Test, change: Partial<PkceOptions> = {}) {
  const [google, apple] = [await startStubProvider(), await startStubProvider()]
  t.teardown(() => Promise.all([google.close(), apple.close()]))
  const store = testStore()
  const secrets = ['s'.repeat(43)]
  const options = (overrides: object) =>
    startPluginApp(
      t,
      {
        ...{ clients, store, secrets, tokens: 'opaque' },
        providers: {
          google: { issuer: google.issuer, clientId: 'gateway', clientSecret: 'secret', name: 'Goo<gle>' },
          apple: {
            ...{ issuer: apple.issuer, clientId: 'gateway', clientSecret: 'secret', name: 'Apple' },
            responseMode: 'form_post',
          },
        },
        ...overrides,
      } as never,
      { provider: google },
    )
  const plugin = await options(change)
  return { google, apple, plugin, store, again: options }
}

const authorizeUrl = (parameters: Record<string, string>, challenge: string) =>
  `/oauth2/authorize?${new URLSearchParams({
    ...{ client_id: 'app', redirect_uri: REDIRECT_URI, response_type: 'code', state: 'app-state' },
    ...{ code_challenge: challenge, code_challenge_method: 'S256', ...parameters },
  })}`

async function begin(
  plugin: PluginApp,
  at: StubProvider,
  parameters: Record<string, string>,
): Promise<Begun> {
  const { verifier, challenge } = newPair()
  const response = await plugin.app.inject(authorizeUrl(parameters, challenge))
  if (response.statusCode !== 302) throw new Error(`authorize: ${response.statusCode} ${response.body}`)
  const location = new URL(String(response.headers.location))
  const setCookie = String(response.headers['set-cookie'])
  at.nonce = location.searchParams.get('nonce')
  return {
    ...{ at, location, setCookie, verifier },
    cookie: setCookie.split(';', 1)[0]!,
    state: location.searchParams.get('state')!,
  }
}

const callback = (plugin: PluginApp, name: string, { state, cookie }: Begun, more: object = {}) => {
  const form = new URLSearchParams({ state, code: 'provider-code', ...more }).toString()
  return name === 'apple'
    ? plugin.app.inject({
        ...{ method: 'POST', url: '/oauth2/callback/apple', payload: form },
        headers: { cookie, 'content-type': 'application/x-www-form-urlencoded' },
      })
    : plugin.app.inject({ url: `/oauth2/callback/${name}?${form}`, headers: { cookie } })
}

async function login(plugin: PluginApp, at: StubProvider, name: string) {
  const begun = await begin(plugin, at, { identity_provider: name })
  const answer = await callback(plugin, name, begun)
  const code = new URL(String(answer.headers.location)).searchParams.get('code')!
  const tokens = await plugin.redeem(code, { code_verifier: begun.verifier })
  if (tokens.statusCode !== 200) throw new Error(`token: ${tokens.statusCode} ${tokens.body}`)
  return tokens.json() as { access_token: string; refresh_token: string }
}

t.test(
  'the app names the provider; each has a callback, a cookie and tokens of its own (M-04)',
  async (t) => {
    const { plugin, google, apple } = await setUp(t)
    for (const [name, at, sameSite] of [
      ['google', google, 'Lax'],
      ['apple', apple, 'None'],
    ] as const) {
      const begun = await begin(plugin, at, { identity_provider: name })
      t.equal(begun.location.origin, at.issuer)
      t.equal(
        begun.location.searchParams.get('redirect_uri'),
        `https://api.example.com/oauth2/callback/${name}`,
        'RFC 9700 §4.4.2.2',
      )
      t.match(begun.setCookie, `SameSite=${sameSite}`, 'by the way it comes back')
      const { access_token, refresh_token } = await login(plugin, at, name)
      t.equal((await plugin.call(access_token)).json().subject, 'alice')
      t.equal(at.count('/token'), 1)
      t.equal((await plugin.refresh(refresh_token)).statusCode, 200)
      t.equal((await plugin.post('revoke', { client_id: 'app', token: access_token })).statusCode, 200)
      await t.resolveMatch(
        until(() => at.count('/revoke') === 1),
        true,
        'revoked where it was issued',
      )
    }
    t.equal((await plugin.app.inject('/oauth2/callback?state=x')).statusCode, 404, 'nobody comes back here')
    t.equal((await plugin.app.inject('/oauth2/callback/other?state=x')).statusCode, 404)
  },
)

t.test('the app names none: the person chooses, and nothing has begun yet (M-04, A-21)', async (t) => {
  const { plugin, store, google } = await setUp(t)
  const { challenge } = newPair()
  const state = '"><script>alert(1)</script>&identity_provider=apple'
  const page = await plugin.app.inject(authorizeUrl({ state, identity_provider: '' }, challenge))
  t.equal(page.statusCode, 200)
  t.match(page.headers['content-type'], 'text/html')
  t.match(page.headers['content-security-policy'], "default-src 'none'")
  t.match(page.headers['cache-control'], 'no-store')
  t.equal(page.headers['set-cookie'], undefined)
  t.equal(store.calls.create ?? 0, 0)
  t.notMatch(page.body, /<script|<form/i)
  t.match(page.body, 'Sign in to Example')
  t.match(page.body, 'Continue with Goo&lt;gle&gt;')
  const links = [...page.body.matchAll(/<a href="([^"]*)"/g)].map(([, href = '']) =>
    href.replaceAll('&amp;', '&').replaceAll('&#39;', "'"),
  )
  t.equal(links.length, 2)
  const chosen = await plugin.app.inject(links[0]!)
  t.equal(chosen.statusCode, 302)
  const there = new URL(String(chosen.headers.location))
  t.equal(there.origin, google.issuer)
  const refused = await plugin.app.inject({
    url: `/oauth2/callback/google?${new URLSearchParams({ state: there.searchParams.get('state')!, error: 'access_denied' })}`,
    headers: { cookie: String(chosen.headers['set-cookie']).split(';', 1)[0]! },
  })
  t.equal(new URL(String(refused.headers.location)).searchParams.get('state'), state, 'byte for byte')
})

t.test('a client with one provider is not asked, and gets no other one (M-04)', async (t) => {
  const { plugin, google } = await setUp(t)
  const begun = await begin(plugin, google, { client_id: 'one' })
  t.equal(begun.location.origin, google.issuer)
  for (const name of ['apple', 'nobody', '__proto__', 'GOOGLE']) {
    const answer = await plugin.app.inject(
      authorizeUrl({ client_id: 'one', identity_provider: name }, newPair().challenge),
    )
    t.equal(answer.statusCode, 302)
    const there = new URL(String(answer.headers.location))
    t.equal(there.origin + there.pathname, REDIRECT_URI)
    t.equal(there.searchParams.get('error'), 'invalid_request')
    t.equal(there.searchParams.get('state'), 'app-state')
  }
  const twice = await plugin.app.inject(
    `${authorizeUrl({ identity_provider: 'google' }, newPair().challenge)}&identity_provider=apple`,
  )
  t.equal(twice.statusCode, 400)
})

t.test('one provider, without a name: identity_provider means nothing (M-04)', async (t) => {
  const plugin = await startPluginApp(t)
  const { response } = await plugin.authorize({ identity_provider: 'google' })
  t.equal(response.statusCode, 302)
  t.equal(new URL(String(response.headers.location)).origin, plugin.provider.issuer)
})

t.test(
  'states, codes, iss and callbacks of another provider redeem nothing (RFC 9700 §4.4, M-04, B-13)',
  async (t) => {
    const { plugin, google, apple } = await setUp(t)
    const mixed: readonly [what: string, begun: StubProvider, name: string, at: string, more: object][] = [
      ["google's state at apple's callback", google, 'google', 'apple', {}],
      ["apple's state at google's callback", apple, 'apple', 'google', {}],
      ["google's state with apple's iss", google, 'google', 'google', { iss: apple.issuer }],
      ["apple's state with google's iss", apple, 'apple', 'apple', { iss: google.issuer }],
      ["google's state with apple's iss there", google, 'google', 'apple', { iss: apple.issuer }],
    ]
    for (const [what, at, name, where, more] of mixed) {
      const begun = await begin(plugin, at, { identity_provider: name })
      const answer = await callback(plugin, where, begun, more)
      t.equal(answer.statusCode, 400, what)
      t.equal(answer.headers.location, undefined)
      t.match(plugin.events.at(-1), { event: 'callback.iss_mismatch', issuer: at.issuer })
      t.equal((await callback(plugin, name, begun)).statusCode, 400, 'the login is over')
    }
    for (const [at, name, where] of [
      [google, 'google', 'apple'],
      [apple, 'apple', 'google'],
    ] as const) {
      const begun = await begin(plugin, at, { identity_provider: name })
      const stateless = await plugin.app.inject({
        ...(where === 'apple'
          ? { method: 'POST', url: '/oauth2/callback/apple', payload: 'error=access_denied' }
          : { url: '/oauth2/callback/google?error=access_denied' }),
        headers: { cookie: begun.cookie, 'content-type': 'application/x-www-form-urlencoded' },
      })
      t.equal(stateless.statusCode, 400, 'an error without state that another provider has sent')
      t.match((await callback(plugin, name, begun)).headers.location, 'code=', 'touches nothing')
    }
    t.equal(google.count('/token') + apple.count('/token'), 0)
  },
)

t.test(
  'a form at a callback with a name: whose it is not, and what is none (B-01, B-04, M-04)',
  async (t) => {
    const { plugin, apple } = await setUp(t)
    const begun = await begin(plugin, apple, { identity_provider: 'apple' })
    const query = new URLSearchParams({ state: begun.state, code: 'provider-code' }).toString()
    const { cookie } = begun
    const post = (url: string, payload: string, type = 'application/x-www-form-urlencoded') =>
      plugin.app.inject({ method: 'POST', url, payload, headers: { cookie, 'content-type': type } })
    const path = '/oauth2/callback/apple'
    for (const [what, response, status] of [
      ['GET', await plugin.app.inject({ url: `${path}?${query}`, headers: { cookie } }), 405],
      ['in the query', await post(`${path}?${query}`, ''), 400],
      ['as text', await post(path, query, 'text/plain'), 400],
      ['twice', await post(path, `${query}&state=${begun.state}`), 400],
      ['to the callback of the one that redirects', await post('/oauth2/callback/google', query), 405],
    ] as const) {
      t.equal(response.statusCode, status, what)
      t.equal(response.headers['set-cookie'], undefined, what)
    }
    t.match((await callback(plugin, 'apple', begun)).headers.location, 'code=', 'nothing of it was consumed')

    for (const [what, cookieOf] of [
      ['without the cookie', () => ''],
      ["with another browser's cookie", ({ cookie }: Begun) => cookie],
    ] as const) {
      const [mine, others] = [
        await begin(plugin, apple, { identity_provider: 'apple' }),
        await begin(plugin, apple, { identity_provider: 'apple' }),
      ]
      const refused = await callback(plugin, 'apple', { ...mine, cookie: cookieOf(others) })
      t.equal(refused.statusCode, 400, what)
      t.match(plugin.events.at(-1), { event: 'callback.browser_mismatch', issuer: apple.issuer })
      const [name] = mine.cookie.split('=')
      t.match(
        refused.headers['set-cookie'],
        new RegExp(`^${name}=; Max-Age=0;.*Secure; SameSite=None`),
        'cleared',
      )
      t.equal((await callback(plugin, 'apple', mine)).statusCode, 400, 'the login is over')
    }
    t.equal(apple.count('/token'), 0)
  },
)

t.test('alice of one provider is not alice of the other (M-05)', async (t) => {
  const { plugin, google, apple } = await setUp(t)
  const [atGoogle, atApple] = [await login(plugin, google, 'google'), await login(plugin, apple, 'apple')]
  const { pkce } = plugin.app
  t.match(await pkce.sessionsOf('alice', google.issuer), [{ issuer: google.issuer, subject: 'alice' }])
  await t.rejects(pkce.sessionsOf('alice'), { name: 'TypeError', message: /issuer is required/ })
  await t.rejects(pkce.endSession({ subject: 'alice', issuer: 'https://other.example' }), {
    message: /is no provider here/,
  })
  const subjects = [...plugin.log().matchAll(/"event":"session.activated".*?"subject":"(\w+)"/g)]
  t.equal(new Set(subjects.map(([, subject]) => subject)).size, 2, 'nor in the log')
  t.equal(await pkce.endSession({ subject: 'alice', issuer: google.issuer }), 1)
  t.equal((await plugin.call(atGoogle.access_token)).statusCode, 401)
  t.equal((await plugin.call(atApple.access_token)).statusCode, 200)
})

t.test('tokens: relay: one access token of two providers is nobody’s session (M-05, D-11)', async (t) => {
  const { plugin, google, apple } = await setUp(t, { tokens: 'relay' })
  for (const at of [google, apple]) {
    at.behave.token = async (_request, response) =>
      json(response, 200, {
        ...{ access_token: 'the-same', token_type: 'Bearer', expires_in: 3600 },
        id_token: await at.idToken({ nonce: at.nonce }),
      })
  }
  const { access_token } = await login(plugin, google, 'google')
  await t.rejects(login(plugin, apple, 'apple'), /token: 502/)
  t.equal((await plugin.call(access_token)).statusCode, 200)
})

t.test('a provider that is down stops its own logins alone (M-04)', async (t) => {
  const { google, apple, again, plugin } = await setUp(t)
  const { access_token } = await login(plugin, apple, 'apple')
  const comeBack = await apple.leave()
  t.teardown(comeBack)
  const late = await again({})
  t.match(await late.app.pkce.readiness(), { forwarding: null, provider: /^apple: / })
  t.ok((await login(late, google, 'google')).access_token)
  t.equal((await late.call(access_token)).statusCode, 200, 'sessions of the one that is down go on')
  const answer = await late.app.inject(authorizeUrl({ identity_provider: 'apple' }, newPair().challenge))
  const told = new URL(String(answer.headers.location))
  t.equal(told.origin + told.pathname, REDIRECT_URI)
  t.equal(told.searchParams.get('error'), 'temporarily_unavailable')
})

t.test('metadata that is wrong is told of its provider, and of all at once (M-04)', async (t) => {
  const { google, apple, again } = await setUp(t)
  Object.assign(google.metadata, { code_challenge_methods_supported: ['plain'] })
  Object.assign(apple.metadata, { issuer: 'https://other.example' })
  await t.rejects(again({}), /providers\.google\.pkce: .*\n.*providers\.apple\.issuer: /)
})

t.test(
  'a session goes on while its provider is configured, and ends for nobody else’s sake (M-04)',
  async (t) => {
    const { plugin, google, apple, again } = await setUp(t)
    const [atGoogle, atApple] = [await login(plugin, google, 'google'), await login(plugin, apple, 'apple')]
    const single = await again({
      providers: undefined,
      clients: clients.slice(0, 1),
      provider: { issuer: google.issuer, clientId: 'gateway', clientSecret: 'secret', scope: 'openid' },
    })
    t.equal((await single.call(atGoogle.access_token)).statusCode, 200, 'from several to one')
    t.equal((await single.call(atApple.access_token)).statusCode, 401, 'its provider is gone')
    const barred = await again({ clients: [{ ...clients[0], providers: ['google'] }] })
    const begun = await begin(plugin, apple, { identity_provider: 'apple' })
    t.equal((await callback(barred, 'apple', begun)).statusCode, 400, 'a login that is not allowed any more')
  },
)

async function until(isTrue: () => boolean): Promise<boolean> {
  for (let tries = 0; tries < 200 && !isTrue(); tries++)
    await new Promise((resolve) => setTimeout(resolve, 10))
  return isTrue()
}
