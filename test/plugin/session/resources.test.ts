/** Tokens that are restricted to resources: RFC 8707, requirement N-02. */
import t, { type Test } from 'tap'
import { REALM } from '../../support/logged-in.ts'
import { PUBLIC_URL, REDIRECT_URI, startPluginApp, type Tokens } from '../../support/plugin-app.ts'
import { SHARED, startSharingApp } from '../../support/relayed-tokens.ts'

const MCP = `${PUBLIC_URL}/mcp`
const ORDERS = `${PUBLIC_URL}/orders`
const MISMATCH = `${REALM}, error="invalid_token", error_description="The access token is for other resources."`
const resources = [MCP, ORDERS]
const resourceServers = [{ clientId: 'api', clientSecret: 'api-secret' }]
const asApi = { authorization: `Basic ${Buffer.from('api:api-secret').toString('base64')}` }

async function setUp(t: Test, options: Parameters<typeof startPluginApp>[1] = {}) {
  const plugin = await startPluginApp(
    t,
    { resources, resourceServers, ...options },
    {
      after: (app) => {
        const guard = app.pkce.requireSession.bind(app.pkce)
        app.get('/mcp', { onRequest: guard({ resource: MCP }) }, async () => 'mcp')
        app.get('/orders', { onRequest: guard({ resource: ORDERS }) }, async () => 'orders')
        app.get('/other', { onRequest: guard() }, async () => 'other')
        t.throws(() => guard({ resource: `${PUBLIC_URL}/typo` }), /typo.* is not in the option resources/)
      },
    },
  )
  const get = async (url: string, { access_token }: Pick<Tokens, 'access_token'>) =>
    plugin.app.inject({ url, headers: { authorization: `Bearer ${access_token}` } })
  const statuses = async (tokens: Pick<Tokens, 'access_token'>) =>
    Promise.all(['/mcp', '/orders', '/other'].map(async (url) => (await get(url, tokens)).statusCode))
  return { plugin, get, statuses }
}

t.test('a token for one resource is refused at every other one (RFC 8707 §2, N-02)', async (t) => {
  const { plugin, get, statuses } = await setUp(t)
  const tokens = await plugin.login({ resource: MCP })
  t.same(await statuses(tokens), [200, 401, 401], 'a route that names none is none of them')
  const refused = await get('/orders', tokens)
  t.equal(refused.headers['www-authenticate'], MISMATCH)
  t.match(plugin.events.at(-1), { event: 'forward.denied', reason: 'token_resource_mismatch' })
  t.equal((await get('/mcp', tokens)).statusCode, 200, 'which costs no session')
  t.equal((await get('/oauth2/userinfo', tokens)).statusCode, 200, 'it may be asked about')
  t.equal((await get('/oauth2/sessions', tokens)).statusCode, 401, 'and says nothing of other sessions')

  const { aud, active } = (await plugin.post('introspect', { token: tokens.access_token }, asApi)).json()
  t.same({ aud, active }, { aud: [MCP], active: true })
  const plain = await plugin.login()
  t.same(await statuses(plain), [200, 200, 200], 'without resource: all that the scopes allow')
  t.notOk('aud' in (await plugin.post('introspect', { token: plain.access_token }, asApi)).json())
})

t.test(
  'a token request may ask for less, never for more; its code stays usable (RFC 8707 §2.2, N-02)',
  async (t) => {
    const { plugin, statuses } = await setUp(t)
    const { code } = await plugin.code({ resource: MCP })
    for (const resource of [ORDERS, 'https://other.example']) {
      const refused = await plugin.redeem(code, { resource })
      t.same([refused.statusCode, refused.json().error], [400, 'invalid_target'], resource)
    }
    t.equal(
      plugin.provider.requests.filter(({ path }) => path === '/token').length,
      0,
      'the provider was not asked',
    )
    const first = (await plugin.redeem(code, { resource: MCP })).json()
    t.same(await statuses(first), [200, 401, 401])

    const wide = await plugin.redeem((await plugin.code()).code, { resource: ORDERS })
    t.same(await statuses(wide.json()), [401, 200, 401], 'of a grant for everything')
    const refreshed = await plugin.refresh(wide.json().refresh_token)
    t.same(await statuses(refreshed.json()), [200, 200, 200], 'the grant is as wide as it was')
  },
)

t.test('a refresh keeps to what was granted (RFC 8707 §2.2, N-02)', async (t) => {
  const { plugin, statuses } = await setUp(t)
  const { refresh_token } = await plugin.login({ resource: MCP })
  const refused = await plugin.refresh(refresh_token, { resource: ORDERS })
  t.same([refused.statusCode, refused.json().error], [400, 'invalid_target'])
  const second = (await plugin.refresh(refresh_token)).json()
  t.same(await statuses(second), [200, 401, 401], 'the session is alive, and as narrow')
  const third = (await plugin.refresh(second.refresh_token, { resource: `${MCP}/` })).json()
  t.same(await statuses(third), [200, 401, 401])
})

t.test('at the provider, too, when its token is renewed (D-06, N-02)', async (t) => {
  const { plugin, statuses } = await setUp(t)
  const { refresh_token } = await plugin.login({ resource: MCP })
  plugin.store.advance(3590)
  const before = plugin.provider.requests.length
  const refreshed = (await plugin.refresh(refresh_token)).json()
  t.ok(plugin.provider.requests.length > before)
  t.same(await statuses(refreshed), [200, 401, 401])
})

t.test(
  'several resources; by PAR; the issuer itself stands for all (RFC 8707 §2, RFC 9126, N-02)',
  async (t) => {
    const { plugin, statuses } = await setUp(t)
    const request = { client_id: 'app', redirect_uri: REDIRECT_URI, response_type: 'code' }
    const pkce = {
      code_challenge: 'E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM',
      code_challenge_method: 'S256',
    }
    const push = (...named: string[]) =>
      plugin.app.inject({
        method: 'POST',
        url: '/oauth2/par',
        headers: { 'content-type': 'application/x-www-form-urlencoded' },
        payload: new URLSearchParams([
          ...Object.entries({ ...request, ...pkce }),
          ...named.map((one) => ['resource', one]),
        ] as [string, string][]).toString(),
      })
    const refused = await push(MCP, 'https://other.example')
    t.same([refused.statusCode, refused.json().error], [400, 'invalid_target'])
    const pushed = await push(MCP, ORDERS)
    t.equal(pushed.statusCode, 201)
    const { request_uri } = pushed.json()
    await plugin.app.inject({
      url: `/oauth2/authorize?${new URLSearchParams({ client_id: 'app', request_uri })}`,
    })
    t.same(JSON.parse(plugin.store.written.at(-1)!).resources, [MCP, ORDERS])

    t.same(await statuses(await plugin.login({ resource: PUBLIC_URL })), [200, 200, 200])
  },
)

t.test(
  'an authorization request for a resource that is not known goes back to the app (RFC 8707 §2, N-02)',
  async (t) => {
    const { plugin } = await setUp(t)
    const { response } = await plugin.authorize({ resource: 'https://other.example' })
    const told = new URL(response.headers.location as string)
    t.equal(told.origin, new URL(REDIRECT_URI).origin)
    t.equal(told.searchParams.get('error'), 'invalid_target')
    t.equal(plugin.store.written.length, 0, 'nothing is kept')
  },
)

t.test('a plugin without resources ignores the parameter, however often (RFC 8707 §2, A-10)', async (t) => {
  const plugin = await startPluginApp(t)
  const tokens = await plugin.login({ resource: 'https://other.example' })
  t.equal((await plugin.call(tokens.access_token)).statusCode, 200)
})

t.test('a relayed token is for what all of its grants are for (H-04, N-02)', async (t) => {
  const plugin = await startSharingApp(t, { resources })
  const session = async () => {
    const request = {
      id: '1',
      ip: '127.0.0.1',
      log: plugin.app.log,
      raw: { rawHeaders: ['authorization', `Bearer ${SHARED}`] },
    }
    return (await plugin.app.pkce.authenticate(request, [], undefined, MCP)).resources
  }
  await plugin.login({ resource: MCP })
  t.same(await session(), [MCP])
  await plugin.login({ client_id: 'other', resource: ORDERS })
  await t.rejects(session(), /for other resources/)
})
