import t from 'tap'
import { Registrations } from '../../../../plugin/endpoints/clients/registrations.ts'
import { loginAgent, openConsent, register, startAgentApp } from '../../../support/agents.ts'
import { type PluginApp, testStore } from '../../../support/plugin-app.ts'

const metadata = { client_name: 'Example Agent', redirect_uris: ['http://127.0.0.1/callback'] }

/** A request about one registration. */
function about(
  { app }: PluginApp,
  { client_id, registration_access_token }: Record<string, string>,
  method: 'GET' | 'DELETE' | 'PUT' = 'GET',
) {
  return app.inject({
    method,
    url: `/oauth2/register/${client_id}`,
    headers: { authorization: `Bearer ${registration_access_token}` },
  })
}

t.test('a client registers itself, and is told what it gets (N-04, RFC 7591 §3.2.1)', async (t) => {
  const plugin = await startAgentApp(t)
  const response = await register(plugin, {
    ...metadata,
    token_endpoint_auth_method: 'client_secret_basic',
    grant_types: ['authorization_code', 'implicit'],
    scope: 'admin',
    logo_uri: 'http://169.254.169.254/',
    jwks_uri: 'http://169.254.169.254/',
    software_statement: 'x',
  })
  t.equal(response.statusCode, 201)
  t.equal(response.headers['cache-control'], 'no-store')
  const body = response.json()
  const { client_id, registration_access_token } = body
  t.match(client_id, /^agent_[\w-]{22}$/)
  t.match(registration_access_token, /^pkm_[\w-]{43}$/)
  t.same(body, {
    client_id,
    registration_access_token,
    client_id_issued_at: Math.floor(plugin.store.now() / 1000),
    registration_client_uri: `https://api.example.com/oauth2/register/${client_id}`,
    ...metadata,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    scope: 'orders.read',
  })
  t.equal(
    plugin.store.written.filter((one) => one.includes(registration_access_token)).length,
    0,
    'kept as a hash',
  )
})

t.test('what cannot be registered (N-04, A-06, RFC 7591 §3.2.2)', async (t) => {
  const plugin = await startAgentApp(t)
  const uris = (...redirect_uris: unknown[]) => ({ ...metadata, redirect_uris })
  for (const [body, error] of [
    ['', 'invalid_client_metadata'],
    ['{', 'invalid_client_metadata'],
    ['[]', 'invalid_client_metadata'],
    ['null', 'invalid_client_metadata'],
    [{ ...metadata, client_name: ['x'] }, 'invalid_client_metadata'],
    [{ ...metadata, grant_types: ['client_credentials'] }, 'invalid_client_metadata'],
    [{ ...metadata, grant_types: 'authorization_code' }, 'invalid_client_metadata'],
    [{ ...metadata, response_types: ['token'] }, 'invalid_client_metadata'],
    [{}, 'invalid_redirect_uri'],
    [uris(), 'invalid_redirect_uri'],
    [uris(1), 'invalid_redirect_uri'],
    [uris(...Array(11).fill('https://a.ex/cb')), 'invalid_redirect_uri'],
    [uris(`https://a.ex/${'a'.repeat(1024)}`), 'invalid_redirect_uri'],
    [uris('javascript:alert(1)'), 'invalid_redirect_uri'],
    [uris('java\nscript:alert(1)'), 'invalid_redirect_uri'],
    [uris('data:text/html,x'), 'invalid_redirect_uri'],
    [uris('vbscript:x'), 'invalid_redirect_uri'],
    [uris('http://example.com/cb'), 'invalid_redirect_uri'],
    [uris('http://127.0.0.1.example.com/cb'), 'invalid_redirect_uri'],
    [uris('https://a.ex/cb#f'), 'invalid_redirect_uri'],
    [uris('https://*.a.ex/cb'), 'invalid_redirect_uri'],
    [uris('https://u@a.ex/cb'), 'invalid_redirect_uri'],
    [uris('https://a.ex/cb', 'myapp:/cb'), 'invalid_redirect_uri'],
  ] as const) {
    const response = await register(plugin, body)
    t.equal(response.statusCode, 400, JSON.stringify(body))
    t.equal(response.json().error, error, JSON.stringify(body))
  }
  const form = await register(plugin, 'redirect_uris=x', {
    'content-type': 'application/x-www-form-urlencoded',
  })
  t.equal(form.json().error, 'invalid_client_metadata')
  const packed = await register(plugin, metadata, { 'content-encoding': 'gzip' })
  t.equal(packed.statusCode, 415)
  const large = await register(plugin, { ...metadata, client_name: 'a'.repeat(17_000) })
  t.equal(large.statusCode, 413)
  const parameters = await plugin.app.inject({ method: 'PUT', url: '/oauth2/register' })
  t.equal(parameters.statusCode, 405)
})

t.test(
  '10,000 registrations from one address are 429, and others still register (N-04, CWE-770)',
  async (t) => {
    const plugin = await startAgentApp(t, { rateLimit: {} })
    const statuses = new Map<number, number>()
    for (let n = 0; n < 100; n++) {
      const some = await Promise.all(Array.from({ length: 100 }, () => register(plugin)))
      for (const { statusCode } of some) statuses.set(statusCode, (statuses.get(statusCode) ?? 0) + 1)
    }
    t.same(
      [...statuses],
      [
        [201, 10],
        [429, 9990],
      ],
    )
    const refused = await register(plugin)
    t.equal(refused.json().error, 'temporarily_unavailable')
    t.ok(refused.headers['retry-after'])
    const other = await plugin.app.inject({
      method: 'POST',
      url: '/oauth2/register',
      remoteAddress: '198.51.100.7',
      headers: { 'content-type': 'application/json' },
      payload: metadata,
    })
    t.equal(other.statusCode, 201)
  },
)

t.test('there are never more than agents.registration.max (N-04)', async (t) => {
  const limits = { max: 3, unusedSeconds: 3600, idleSeconds: 7200 }
  const app = { name: 'a', redirectUris: ['https://a.ex/cb'] }
  const refusal = (error: { reason?: string }) => error.reason

  t.test('of many at the same time, on two instances', async (t) => {
    const store = testStore()
    t.teardown(() => store.close())
    const instances = [new Registrations(store, limits), new Registrations(store, limits)]
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, n) => instances[n % 2]!.register(app).then(() => 'registered', refusal)),
    )
    t.ok(outcomes.filter((one) => one === 'registered').length <= 3)
    t.ok(outcomes.every((one) => one === 'registered' || one === 'registrations_full'))
  })

  t.test('one after the other, and a place becomes free with time', async (t) => {
    const store = testStore()
    t.teardown(() => store.close())
    const registrations = new Registrations(store, limits)
    for (let n = 0; n < 3; n++) await registrations.register(app)
    t.equal(await registrations.register(app).catch(refusal), 'registrations_full')
    store.advance(3600)
    t.match(await registrations.register(app), { clientId: /^agent_/ })
  })

  const plugin = await startAgentApp(t, { agents: { registration: { max: 1 } } })
  t.equal((await register(plugin)).statusCode, 201)
  const full = await register(plugin)
  t.equal(full.statusCode, 503)
  t.equal(full.json().error, 'temporarily_unavailable')
})

t.test('use extends the life of a registration, and nothing else does (N-04)', async (t) => {
  const days = 86_400
  const lifetimes = { refreshIdleSeconds: 365 * days, sessionSeconds: 365 * days }
  const plugin = await startAgentApp(t, { lifetimes })
  const isKnown = async (clientId: string) =>
    (await openConsent(plugin, clientId)).response.statusCode === 200
  const unused = (await register(plugin)).json().client_id
  const used = (await register(plugin)).json().client_id
  const { refresh_token } = (await loginAgent(plugin, used)).json()
  plugin.store.advance(3599)
  t.ok(await isKnown(unused))
  plugin.store.advance(1)
  t.notOk(await isKnown(unused), 'opening its page was no use')
  t.ok(await isKnown(used))
  plugin.store.advance(60 * days)
  const refreshed = await plugin.refresh(refresh_token, { client_id: used })
  t.equal(refreshed.statusCode, 200)
  plugin.store.advance(60 * days)
  t.ok(await isKnown(used), 'a refresh was one')
  plugin.store.advance(31 * days)
  t.notOk(await isKnown(used))
})

t.test('a registration is read and deleted by its token (N-04, RFC 7592 §2.1, §2.3)', async (t) => {
  const plugin = await startAgentApp(t)
  const one = (await register(plugin)).json()
  const other = (await register(plugin)).json()
  const read = await about(plugin, one)
  t.equal(read.statusCode, 200)
  t.same(read.json(), one)
  for (const registration_access_token of [
    '',
    'x',
    other.registration_access_token,
    `${one.registration_access_token}x`,
  ]) {
    for (const method of ['GET', 'DELETE'] as const) {
      const refused = await about(plugin, { ...one, registration_access_token }, method)
      t.match(refused.statusCode, /^40[01]$/)
      t.match(refused.headers['www-authenticate'], 'Bearer realm="https://api.example.com"')
    }
  }
  t.equal((await about(plugin, { ...one, client_id: `agent_${'A'.repeat(22)}` })).statusCode, 401)
  t.equal((await about(plugin, { ...one, client_id: 'app' })).statusCode, 401)
  t.equal((await about(plugin, one, 'PUT')).statusCode, 405)

  const { access_token, refresh_token } = (await loginAgent(plugin, one.client_id)).json()
  const others = (await loginAgent(plugin, other.client_id)).json()
  const removed = await about(plugin, one, 'DELETE')
  t.equal(removed.statusCode, 204)
  t.equal(removed.body, '')
  t.equal((await about(plugin, one)).statusCode, 401, 'the token is gone with it')
  t.equal((await plugin.call(access_token)).statusCode, 401, 'and so are its sessions')
  t.equal((await plugin.call(others.access_token)).statusCode, 200)
  const refresh = await plugin.refresh(refresh_token, { client_id: one.client_id })
  t.equal(refresh.json().error, 'invalid_client', 'by which an agent knows that it must register anew')
  t.match(plugin.events, [
    { event: 'session.activated' },
    { event: 'session.activated' },
    { event: 'session.ended', reason: 'client_removed', clientId: one.client_id },
  ])
  t.match((await openConsent(plugin, one.client_id)).words, 'The client is not known here.')
})

t.test('a code of an app whose registration has been deleted is worth nothing (N-04)', async (t) => {
  const plugin = await startAgentApp(t)
  const one = (await register(plugin)).json()
  const page = await openConsent(plugin, one.client_id)
  await about(plugin, one, 'DELETE')
  const answer = await plugin.post('consent', { ...page.fields, answer: 'allow' }, { cookie: page.cookie })
  t.equal(answer.statusCode, 400)
  const redeemed = await plugin.redeem(`pkc_${'A'.repeat(64)}`, { client_id: one.client_id })
  t.equal(redeemed.statusCode, 401)
  t.equal(redeemed.json().error, 'invalid_client')
})

t.test('a store that cannot answer is 503, and never "not known" (N-04, G-11)', async (t) => {
  const plugin = await startAgentApp(t)
  const one = (await register(plugin)).json()
  const { refresh_token } = (await loginAgent(plugin, one.client_id)).json()
  const page = await openConsent(plugin, one.client_id)
  plugin.store.fail()
  const answers = [
    await register(plugin),
    await about(plugin, one),
    await about(plugin, one, 'DELETE'),
    (await openConsent(plugin, one.client_id)).response,
    await plugin.post('consent', { ...page.fields, answer: 'allow' }, { cookie: page.cookie }),
    await plugin.refresh(refresh_token, { client_id: one.client_id }),
    await plugin.redeem(`pkc_${'A'.repeat(64)}`, { client_id: one.client_id }),
  ]
  plugin.store.heal()
  t.same(
    answers.map(({ statusCode }) => statusCode),
    [503, 503, 503, 503, 503, 503, 503],
  )
})

t.test('without registration there is no such endpoint, and metadata names none (N-04)', async (t) => {
  const off = await startAgentApp(t, { agents: { metadataDocuments: true } })
  t.equal((await register(off)).statusCode, 404)
  t.equal((await about(off, { client_id: 'agent_x' })).statusCode, 404)
  const metadataOf = async (plugin: PluginApp) =>
    (await plugin.app.inject('/.well-known/oauth-authorization-server')).json()
  t.equal((await metadataOf(off)).registration_endpoint, undefined)
  t.equal((await metadataOf(off)).client_id_metadata_document_supported, true)
  const on = await startAgentApp(t, { agents: { registration: {} } })
  t.equal((await metadataOf(on)).registration_endpoint, 'https://api.example.com/oauth2/register')
  t.equal((await metadataOf(on)).client_id_metadata_document_supported, undefined)
})

t.test('browsers of agents.allowedOrigins may register, and no others (N-04, C-22)', async (t) => {
  const origin = 'http://localhost:6274'
  const plugin = await startAgentApp(t, { agents: { registration: {}, allowedOrigins: [origin] } })
  const preflight = (from: string) =>
    plugin.app.inject({
      method: 'OPTIONS',
      url: '/oauth2/register',
      headers: {
        origin: from,
        'access-control-request-method': 'POST',
        'access-control-request-headers': 'content-type,mcp-protocol-version',
      },
    })
  const allowed = await preflight(origin)
  t.equal(allowed.headers['access-control-allow-origin'], origin)
  t.match(allowed.headers['access-control-allow-headers'], /MCP-Protocol-Version/)
  t.equal((await preflight('https://evil.example')).headers['access-control-allow-origin'], undefined)
  const registered = await register(plugin, metadata, { origin })
  t.equal(registered.headers['access-control-allow-origin'], origin)
  const { access_token } = (await loginAgent(plugin, registered.json().client_id)).json()
  const userinfo = await plugin.app.inject({
    url: '/oauth2/userinfo',
    headers: { authorization: `Bearer ${access_token}`, origin },
  })
  t.equal(userinfo.headers['access-control-allow-origin'], origin)
})
