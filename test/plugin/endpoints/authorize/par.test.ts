/** Pushed authorization requests: RFC 9126, requirement A-25. */
import t, { type Test } from 'tap'
import { refusedLocally, toldToApp } from '../../../support/authorize-requests.ts'
import {
  CHALLENGE,
  type PluginApp,
  PUBLIC_URL,
  REDIRECT_URI,
  startPluginApp,
  WELL_KNOWN,
} from '../../../support/plugin-app.ts'
import { refused } from '../../../support/token-requests.ts'

const CLIENTS = [
  {
    clientId: 'app',
    name: 'Example',
    redirectUris: [REDIRECT_URI],
    scopes: ['orders.read', 'orders.write'],
    passThrough: ['login_hint'],
    allowedOrigins: ['https://spa.example.com'],
  },
  { clientId: 'other', redirectUris: [REDIRECT_URI], scopes: ['orders.read'] },
  { clientId: 'strict', redirectUris: [REDIRECT_URI], scopes: ['orders.read'], requirePar: true },
  {
    clientId: 'web',
    redirectUris: [REDIRECT_URI],
    authentication: 'client_secret_basic' as const,
    clientSecret: 'web-secret',
  },
  { clientId: 'disabled', redirectUris: [REDIRECT_URI], enabled: false },
]
const BASIC = { authorization: `Basic ${Buffer.from('web:web-secret').toString('base64')}` }
const URN = 'urn:ietf:params:oauth:request_uri:'
type Form = Record<string, string | undefined>

const start = (t: Test, more: Parameters<typeof startPluginApp>[1] = {}) =>
  startPluginApp(t, { clients: CLIENTS, ...more })

const push = ({ post }: PluginApp, form: Form = {}, headers: Record<string, string> = {}) =>
  post(
    'par',
    {
      client_id: 'app',
      redirect_uri: REDIRECT_URI,
      response_type: 'code',
      code_challenge: CHALLENGE,
      code_challenge_method: 'S256',
      state: 'pushed-state',
      ...form,
    },
    headers,
  )
const pushed = async (plugin: PluginApp, form?: Form, headers?: Record<string, string>) => {
  const response = await push(plugin, form, headers)
  if (response.statusCode !== 201) throw new Error(`not pushed: ${response.statusCode} ${response.body}`)
  return response.json().request_uri as string
}
/** The front channel as RFC 9126 §4 has it, and what stands beside it. */
const visit = (plugin: PluginApp, requestUri: string, beside: Form = {}) =>
  plugin.authorize({
    redirect_uri: undefined,
    response_type: undefined,
    code_challenge: undefined,
    code_challenge_method: undefined,
    state: undefined,
    request_uri: requestUri,
    ...beside,
  })

t.test('a pushed request is a login like any other (RFC 9126 §2.2, §4, A-25)', async (t) => {
  const plugin = await start(t)
  const response = await push(plugin, { scope: 'orders.read', login_hint: 'bob@example.com' })
  t.equal(response.statusCode, 201)
  t.match(response.headers['content-type'], /^application\/json/)
  t.equal(response.headers['cache-control'], 'no-store')
  t.same(Object.keys(response.json()), ['request_uri', 'expires_in'])
  t.equal(response.json().expires_in, 60)
  const requestUri = response.json().request_uri as string
  t.match(requestUri, /^urn:ietf:params:oauth:request_uri:[A-Za-z0-9_-]{64}$/)

  const authorized = await visit(plugin, requestUri)
  t.equal(new URL(authorized.location).searchParams.get('login_hint'), 'bob@example.com')
  const back = new URL(String((await plugin.callback(authorized)).headers.location)).searchParams
  t.equal(back.get('state'), 'pushed-state')
  const tokens = await plugin.redeem(back.get('code')!)
  t.equal(tokens.statusCode, 200)
  t.equal(tokens.json().scope, 'orders.read')
})

t.test('a request_uri is used once, and only by its client (RFC 9126 §4, §7.3, A-25)', async (t) => {
  const plugin = await start(t)
  const requestUri = await pushed(plugin)
  const refusedUri = async (uri: string, beside?: Form) => {
    const { response } = await visit(plugin, uri, beside)
    refusedLocally(t, response)
    t.match(response.body, 'unknown, expired or already used')
    t.equal(plugin.events.at(-1)?.event, 'authorize.refused')
    return plugin.events.at(-1)?.reason
  }
  const transactions = plugin.provider.requests.length
  t.equal(await refusedUri(requestUri, { client_id: 'other' }), 'pushed_request_unknown')
  refusedLocally(t, (await visit(plugin, requestUri, { client_id: 'nobody' })).response)
  refusedLocally(t, (await visit(plugin, requestUri, { client_id: 'disabled' })).response)
  const guess = requestUri.slice(0, -1) + (requestUri.endsWith('A') ? 'B' : 'A')
  t.equal(await refusedUri(guess), 'pushed_request_unknown', 'the right selector with a wrong secret')
  for (const malformed of [URN, `${requestUri}A`, requestUri.slice(0, -1), `${URN}../grant:x`]) {
    t.equal(await refusedUri(malformed), 'pushed_request_unknown', malformed)
  }
  t.equal(plugin.provider.requests.length, transactions)

  t.equal((await visit(plugin, requestUri)).response.statusCode, 302, 'none of them has spent it')
  t.equal(await refusedUri(requestUri), 'pushed_request_used')
})

t.test('it lives for 60 seconds, by the clock of the store (RFC 9126 §2.2, A-25)', async (t) => {
  const plugin = await start(t)
  const [early, late] = [await pushed(plugin), await pushed(plugin)]
  plugin.store.advance(59)
  t.equal((await visit(plugin, early)).response.statusCode, 302)
  plugin.store.advance(2)
  refusedLocally(t, (await visit(plugin, late)).response)
})

t.test('of two visits at once one wins (A-25, G-07)', async (t) => {
  const plugin = await start(t)
  const requestUri = await pushed(plugin)
  plugin.store.gather('read', 2)
  const visits = await Promise.all([visit(plugin, requestUri), visit(plugin, requestUri)])
  t.same(visits.map(({ response }) => response.statusCode).sort(), [302, 400])
  t.equal(plugin.store.written.filter((text) => text.includes('"authorizing"')).length, 1)
})

t.test('what stands beside request_uri does not count, whatever it is (RFC 9101 §6.3, A-25)', async (t) => {
  const plugin = await start(t)
  const { response, location } = await visit(plugin, await pushed(plugin, { scope: 'orders.read' }), {
    redirect_uri: 'https://evil.example/',
    response_type: 'token',
    code_challenge: 'x'.repeat(43),
    scope: 'orders.write',
    state: 'evil-state',
    login_hint: 'eve@example.com',
    identity_provider: 'evil',
    claims: '{}',
  })
  t.equal(response.statusCode, 302)
  t.notMatch(location, 'eve')
  t.match(JSON.parse(plugin.store.written.at(-1)!), {
    status: 'authorizing',
    redirectUri: REDIRECT_URI,
    codeChallenge: CHALLENGE,
    scope: ['orders.read'],
    state: 'pushed-state',
  })
  const twice = await plugin.app.inject(
    `/oauth2/authorize?client_id=app&request_uri=${await pushed(plugin)}&request_uri=${await pushed(plugin)}`,
  )
  refusedLocally(t, twice)
})

t.test(
  'what is wrong with a request is told at once, and nothing is kept (RFC 9126 §2.3, A-25)',
  async (t) => {
    const plugin = await start(t)
    for (const [form, status, error] of [
      [{ client_id: undefined }, 401, 'invalid_client'],
      [{ client_id: 'nobody' }, 401, 'invalid_client'],
      [{ client_id: 'disabled' }, 401, 'invalid_client'],
      [{ client_id: 'web' }, 401, 'invalid_client'],
      [{ redirect_uri: undefined }, 400, 'invalid_request'],
      [{ redirect_uri: 'https://evil.example/' }, 400, 'invalid_request'],
      [{ response_type: 'token' }, 400, 'unsupported_response_type'],
      [{ code_challenge: undefined }, 400, 'invalid_request'],
      [{ code_challenge_method: 'plain' }, 400, 'invalid_request'],
      [{ scope: 'admin' }, 400, 'invalid_scope'],
      [{ request: 'eyJ' }, 400, 'request_not_supported'],
      [{ request_uri: `${URN}x` }, 400, 'invalid_request'],
      [{ request_uri: 'http://169.254.169.254/' }, 400, 'invalid_request'],
      [{ claims: '{}' }, 400, 'invalid_request'],
      [{ prompt: 'none' }, 400, 'login_required'],
      [{ state: 'a\u00e9' }, 400, 'invalid_request'],
      [{ state: 'x'.repeat(8192) }, 413, 'invalid_request'],
      [{ state: 'x'.repeat(17_000) }, 413, 'invalid_request'],
    ] as const) {
      refused(t, await push(plugin, form), status, error)
    }
    refused(t, await push(plugin, {}, { 'content-type': 'application/json' }), 400, 'invalid_request')
    const url = await plugin.app.inject({
      method: 'POST',
      url: '/oauth2/par?client_id=app',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    })
    refused(t, url, 400, 'invalid_request')
    t.equal(plugin.store.calls.create, undefined)
    t.equal(
      plugin.provider.requests.filter(({ path }) => path !== '/.well-known/openid-configuration').length,
      0,
    )
  },
)

t.test('a confidential client authenticates, and its secret is not kept (RFC 9126 §2, A-25)', async (t) => {
  const plugin = await start(t)
  refused(t, await push(plugin, { client_id: 'web', client_secret: 'web-secret' }), 401, 'invalid_client')
  const wrong = { authorization: `Basic ${Buffer.from('web:wrong').toString('base64')}` }
  refused(t, await push(plugin, { client_id: 'web' }, wrong), 401, 'invalid_client')
  refused(t, await push(plugin, { client_id: 'app' }, BASIC), 400, 'invalid_request')

  const named = await pushed(plugin, { client_id: 'web' }, BASIC)
  const unnamed = await pushed(plugin, { client_id: undefined }, BASIC)
  for (const requestUri of [named, unnamed]) {
    t.equal((await visit(plugin, requestUri, { client_id: 'web' })).response.statusCode, 302)
  }
})

t.test(
  'nothing of a pushed request can be read in the store, or in the log (G-02, J-01, A-25)',
  async (t) => {
    const plugin = await start(t)
    const requestUri = await pushed(plugin, { login_hint: 'bob@example.com' })
    const reference = requestUri.slice(URN.length)
    const dump = plugin.store.touched.join('\n')
    for (const secret of [reference, reference.slice(22), 'bob', 'pushed-state', CHALLENGE]) {
      t.notMatch(dump, secret)
    }
    await visit(plugin, requestUri)
    t.equal(await visit(plugin, requestUri).then(({ response }) => response.statusCode), 400)
    for (const secret of [reference, reference.slice(22), 'bob', 'pushed-state']) {
      t.notMatch(plugin.log(), secret)
    }
  },
)

t.test('a record that is not as we write them is no pushed request (A-25)', async (t) => {
  const plugin = await start(t)
  for (const value of ['null', '{', '{"v":2,"sealed":"x"}', '{"v":1,"sealed":7}']) {
    const requestUri = await pushed(plugin)
    const [key] = JSON.parse(plugin.store.touched.at(-1)!) as [string]
    t.equal(await plugin.store.replace(key, 1, value, 60_000), true)
    refusedLocally(t, (await visit(plugin, requestUri)).response)
  }
})

t.test('without a store there is no push and no login: 503 (G-08, A-25)', async (t) => {
  const plugin = await start(t)
  const requestUri = await pushed(plugin)
  plugin.store.fail()
  refused(t, await push(plugin), 503, 'temporarily_unavailable')
  refusedLocally(t, (await visit(plugin, requestUri)).response, 503)
  plugin.store.heal()
  plugin.store.fail('replace', 1)
  refusedLocally(t, (await visit(plugin, requestUri)).response, 503)
  t.equal((await visit(plugin, requestUri)).response.statusCode, 302, 'it was not spent')

  const spent = await pushed(plugin)
  plugin.store.loseAnswer('replace')
  refusedLocally(t, (await visit(plugin, spent)).response, 503)
  refusedLocally(t, (await visit(plugin, spent)).response)
})

t.test(
  'requirePar: a request by the browser is refused, and the app is told (RFC 9126 §6, A-25)',
  async (t) => {
    const plugin = await start(t)
    const told = toldToApp(t, (await plugin.authorize({ client_id: 'strict' })).response)
    t.equal(told.get('error'), 'invalid_request')
    t.equal(told.get('state'), 'app-state')
    refusedLocally(
      t,
      (await plugin.authorize({ client_id: 'strict', redirect_uri: 'https://evil.example/' })).response,
    )
    const requestUri = await pushed(plugin, { client_id: 'strict' })
    t.equal((await visit(plugin, requestUri, { client_id: 'strict' })).response.statusCode, 302)
  },
)

t.test('metadata: where to push, and whether everybody must (RFC 9126 §5, A-25)', async (t) => {
  const some = (await (await start(t)).app.inject(WELL_KNOWN[0]!)).json()
  t.equal(some.pushed_authorization_request_endpoint, `${PUBLIC_URL}/oauth2/par`)
  t.notOk('require_pushed_authorization_requests' in some)
  const clients = CLIENTS.filter(({ clientId }) => ['strict', 'disabled'].includes(clientId))
  const all = (await (await start(t, { clients })).app.inject(WELL_KNOWN[1]!)).json()
  t.equal(all.require_pushed_authorization_requests, true)
})

t.test(
  'an app that is told its request has been refused is told so at its redirect URI (A-25)',
  async (t) => {
    const plugin = await start(t, { provider: { issuer: 'http://127.0.0.1:1' } })
    const told = toldToApp(t, (await visit(plugin, await pushed(plugin))).response)
    t.equal(told.get('error'), 'temporarily_unavailable')
    t.equal(told.get('state'), 'pushed-state')
  },
)

t.test('scripts may push from the origins of their client (C-22, A-25)', async (t) => {
  const plugin = await start(t)
  const origin = 'https://spa.example.com'
  const own = await push(plugin, {}, { origin })
  t.equal(own.headers['access-control-allow-origin'], origin)
  const others = await push(plugin, { client_id: 'other' }, { origin })
  t.equal(others.headers['access-control-allow-origin'], undefined)
  const preflight = await plugin.app.inject({
    method: 'OPTIONS',
    url: '/oauth2/par',
    headers: { origin, 'access-control-request-method': 'POST' },
  })
  t.equal(preflight.statusCode, 204)
  t.equal(preflight.headers['access-control-allow-origin'], origin)
})

t.test('pushes are limited: by rate, and by how many wait (A-20, J-05, K-05, A-25)', async (t) => {
  const slow = await start(t, { rateLimit: { token: { max: 1, windowMs: 60_000 } } })
  t.equal((await push(slow)).statusCode, 201)
  t.equal((await push(slow)).statusCode, 429)

  const few = await start(t, { limits: { transactionsPerAddress: 2 } })
  const requestUri = await pushed(few)
  t.equal((await push(few)).statusCode, 201)
  refused(t, await push(few), 429, 'temporarily_unavailable')
  t.equal((await visit(few, requestUri)).response.statusCode, 302)
  t.equal((await push(few)).statusCode, 201, 'one has gone on')
  few.store.advance(61)
  t.equal((await push(few)).statusCode, 201, 'the others are forgotten')
})

t.test('of several providers the app, or else the person, chooses one (M-04, A-25)', async (t) => {
  const named = (issuer: string, name: string) => ({
    issuer,
    name,
    clientId: 'gateway',
    clientSecret: 'gateway-secret',
    scope: 'api',
    authorizationEndpoint: `${issuer}/authorize`,
    tokenEndpoint: `${issuer}/token`,
  })
  const plugin = await start(t, {
    providers: { one: named('https://one.example', 'One'), two: named('https://two.example', 'Two') },
  })
  const direct = await visit(plugin, await pushed(plugin, { identity_provider: 'two' }))
  t.match(direct.location, /^https:\/\/two\.example\/authorize\?/)
  refused(t, await push(plugin, { identity_provider: 'three' }), 400, 'invalid_request')

  const first = await pushed(plugin)
  const { response: page } = await visit(plugin, first, { identity_provider: 'two' })
  t.equal(page.statusCode, 200, 'the app has named none')
  const links = [...page.body.matchAll(/href="([^"]+)"/g)].map(([, link]) => link!.replaceAll('&amp;', '&'))
  t.equal(links.length, 2)
  t.notMatch(page.body, first.slice(URN.length))
  t.notMatch(page.body, 'pushed-state')
  refusedLocally(t, (await visit(plugin, first)).response)

  // A person may take longer than a minute.
  plugin.store.advance(120)
  const chosen = await plugin.app.inject(links[1]!)
  t.match(chosen.headers.location, /^https:\/\/two\.example\/authorize\?/)
  refusedLocally(t, await plugin.app.inject(links[0]!))
})
