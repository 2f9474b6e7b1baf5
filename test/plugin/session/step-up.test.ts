/** Step-up: RFC 9470, requirement S-04. */
import t, { type Test } from 'tap'
import { REALM } from '../../support/logged-in.ts'
import { type PluginApp, REDIRECT_URI, startPluginApp, type Tokens } from '../../support/plugin-app.ts'
import { json } from '../../support/stub-provider.ts'

const clients = [{ clientId: 'app', redirectUris: [REDIRECT_URI], passThrough: ['acr_values', 'max_age'] }]
const WEAK = `${REALM}, error="insufficient_user_authentication", error_description="A different authentication level is required."`
const OLD = `${REALM}, error="insufficient_user_authentication", error_description="More recent authentication is required."`
const seconds = () => Math.floor(Date.now() / 1000)

/** A plugin with routes that demand something of the login, and a provider that says what the test has it say. */
async function setUp(t: Test, options: Parameters<typeof startPluginApp>[1] = {}) {
  const plugin = await startPluginApp(
    t,
    { clients, ...options, provider: { scope: 'openid', ...options.provider } },
    {
      after: (app) => {
        const guard = app.pkce.requireSession.bind(app.pkce)
        const tell = async ({ pkceSession: { acr, authTime } }: { pkceSession: object & Told }) => ({
          acr,
          authTime,
        })
        app.get('/any', { onRequest: guard() }, tell)
        app.get('/strong', { onRequest: guard({ acr: ['phr', 'phrh'] }) }, tell)
        app.get('/recent', { onRequest: guard({ maxAgeSeconds: 60 }) }, tell)
        app.get('/both', { onRequest: guard({ acr: ['phr'], maxAgeSeconds: 60 }) }, tell)
      },
    },
  )
  const get = (url: string, { access_token }: Pick<Tokens, 'access_token'>) =>
    plugin.app.inject({ url, headers: { authorization: `Bearer ${access_token}` } })
  return { plugin, get }
}
interface Told {
  readonly acr?: string | undefined
  readonly authTime?: number | undefined
}

/** What the grant keeps of the login. */
const kept = ({ store }: PluginApp) => JSON.parse(store.written.at(-1)!) as Record<string, unknown>

t.test('a login that was too weak or is too old: 401, and what to ask for (RFC 9470 §3, S-04)', async (t) => {
  const { plugin, get } = await setUp(t)
  Object.assign(plugin.provider.claims, { acr: 'pwd', auth_time: seconds() - 61 })
  const tokens = await plugin.login()
  t.equal((await get('/any', tokens)).statusCode, 200)
  for (const [url, challenge] of [
    ['/strong', `${WEAK}, acr_values="phr phrh"`],
    ['/recent', `${OLD}, max_age="60"`],
    ['/both', `${WEAK}, acr_values="phr", max_age="60"`],
  ] as const) {
    const response = await get(url, tokens)
    t.equal(response.statusCode, 401, url)
    t.equal(response.headers['www-authenticate'], challenge)
    t.equal(response.headers['cache-control'], 'no-store')
  }
  t.same(
    plugin.events.flatMap((event) => (event.event === 'forward.denied' ? [event.reason] : [])),
    ['authentication_too_weak', 'authentication_too_old', 'authentication_too_weak'],
  )
  t.equal(plugin.events.at(-1)?.subject, 'alice')
  t.equal((await get('/any', tokens)).statusCode, 200, 'the session goes on')
})

t.test('the app asks for it, the provider does it, and the request passes (RFC 9470 §4, S-04)', async (t) => {
  const { plugin, get } = await setUp(t)
  t.equal((await get('/both', await plugin.login())).statusCode, 401)
  Object.assign(plugin.provider.claims, { acr: 'phr', auth_time: seconds() })
  const asked = { acr_values: 'phr', max_age: '60' }
  const { location } = await plugin.authorize(asked)
  t.match(Object.fromEntries(new URL(location).searchParams), asked)
  const tokens = await plugin.login(asked)
  t.match(kept(plugin), { acr: 'phr' })
  const response = await get('/both', tokens)
  t.equal(response.statusCode, 200)
  t.equal(response.json().acr, 'phr')
  t.ok(Math.abs(response.json().authTime - Date.now()) < 5000)

  plugin.store.advance(61)
  const late = await get('/both', tokens)
  t.equal(late.headers['www-authenticate'], `${OLD}, acr_values="phr", max_age="60"`)
  t.equal((await get('/strong', tokens)).statusCode, 200, 'as strong as before')
})

t.test('a refresh makes no login newer or stronger (OIDC Core §12.2, S-04)', async (t) => {
  const { plugin, get } = await setUp(t, { lifetimes: { accessTokenSeconds: 3600 } })
  Object.assign(plugin.provider.claims, { acr: 'pwd', auth_time: seconds() })
  const { refresh_token } = await plugin.login()
  Object.assign(plugin.provider.claims, { acr: 'phr', auth_time: seconds() + 3500 })
  plugin.store.advance(3500)
  const refreshed = (await plugin.refresh(refresh_token)).json() as Tokens
  t.equal(plugin.provider.count('/token'), 2, 'the provider was asked')
  t.equal((await get('/any', refreshed)).json().acr, 'pwd')
  t.equal((await get('/strong', refreshed)).statusCode, 401)
  t.equal((await get('/recent', refreshed)).statusCode, 401)
})

t.test(
  'a provider that ignores what it was asked, or lies, is refused (RFC 9470 §4, F-14, S-04)',
  async (t) => {
    const rows: [title: string, told: object][] = [
      ['neither', {}],
      ['another acr', { acr: 'pwd', auth_time: seconds() }],
      ['several acr in one', { acr: 'phr phrh', auth_time: seconds() }],
      ['no acr', { auth_time: seconds() }],
      ['an acr that is no text', { acr: ['phr'], auth_time: seconds() }],
      ['no auth_time', { acr: 'phr' }],
      ['an old auth_time', { acr: 'phr', auth_time: seconds() - 3600 }],
      ['an auth_time that is text', { acr: 'phr', auth_time: String(seconds()) }],
    ]
    for (const [title, told] of rows) {
      const { plugin } = await setUp(t)
      Object.assign(plugin.provider.claims, told)
      await t.rejects(plugin.login({ acr_values: 'phr', max_age: '60' }), /no tokens: 502/, title)
      t.match(kept(plugin), { status: 'ended' }, title)
    }
  },
)

t.test('what is not known is too weak and too old (S-04)', async (t) => {
  const unknown: [title: string, told: object][] = [
    ['nothing', {}],
    ['null', { acr: null, auth_time: null }],
    ['other types', { acr: 7, auth_time: 'now' }],
    ['empty', { acr: '' }],
    ['no point in time', { auth_time: -1e308 }],
    ['none that a clock can show', { auth_time: 1e300 }],
  ]
  for (const [title, told] of unknown) {
    const { plugin, get } = await setUp(t)
    Object.assign(plugin.provider.claims, told)
    const tokens = await plugin.login()
    t.notOk('acr' in kept(plugin) || 'authTime' in kept(plugin), title)
    for (const url of ['/strong', '/recent', '/both'])
      t.equal((await get(url, tokens)).statusCode, 401, title)
    t.equal((await get('/any', tokens)).statusCode, 200, title)
  }
})

t.test('only the id_token counts, and what userinfo says does not (S-04)', async (t) => {
  const claims = [{ ...clients[0]!, claims: ['email', 'acr', 'auth_time'] }]
  for (const scope of ['openid', 'api']) {
    const { plugin, get } = await setUp(t, { clients: claims, provider: { scope } })
    plugin.provider.behave.userinfo = (_request, response) =>
      json(response, 200, { sub: 'alice', acr: 'phr', auth_time: seconds() })
    const tokens = await plugin.login()
    if (scope === 'openid') t.ok(plugin.provider.count('/userinfo') > 0)
    t.equal((await get('/both', tokens)).statusCode, 401, scope)
  }
})

t.test("how old a login is is told by the provider's own clock (S-04)", async (t) => {
  const { plugin, get } = await setUp(t, { provider: { clockToleranceSeconds: 120 } })
  const theirs = seconds() - 90
  Object.assign(plugin.provider.claims, { iat: theirs, auth_time: theirs - 5 })
  t.equal((await get('/recent', await plugin.login({ max_age: '60' }))).statusCode, 200, 'behind')
  Object.assign(plugin.provider.claims, { iat: seconds(), auth_time: seconds() + 3600 })
  const tokens = await plugin.login()
  t.equal((await get('/recent', tokens)).statusCode, 200)
  plugin.store.advance(61)
  t.equal((await get('/recent', tokens)).statusCode, 401, 'nobody signs in in the future')
})

t.test('sessions from before this was kept go on, and count as weak (G-15, S-04)', async (t) => {
  const { plugin, get } = await setUp(t)
  Object.assign(plugin.provider.claims, { acr: 'phr', auth_time: seconds() })
  const tokens = await plugin.login()
  const { acr: _, authTime: __, ...before } = kept(plugin)
  const [key] = JSON.parse(plugin.store.touched.findLast((call) => call.startsWith('["grant:'))!) as [string]
  const stored = await plugin.store.read(key)
  await plugin.store.replace(key, stored!.version, JSON.stringify(before), 60_000)
  t.equal((await get('/any', tokens)).statusCode, 200)
  t.equal((await get('/both', tokens)).statusCode, 401)
})

t.test('a token that two logins share is as weak and as old as either (tokens: relay, S-04)', async (t) => {
  const { plugin, get } = await setUp(t, { tokens: 'relay' })
  plugin.provider.behave.token = async (_request, response) => {
    const { nonce, claims } = plugin.provider
    const id_token = await plugin.provider.idToken({ nonce: nonce!, ...claims })
    json(response, 200, { access_token: 'shared', token_type: 'Bearer', expires_in: 3600, id_token })
  }
  Object.assign(plugin.provider.claims, { acr: 'phr', auth_time: seconds() })
  const tokens = await plugin.login()
  t.equal((await get('/both', tokens)).statusCode, 200)
  Object.assign(plugin.provider.claims, { acr: 'pwd', auth_time: seconds() - 3600 })
  await plugin.login()
  t.equal((await get('/strong', tokens)).statusCode, 401)
  t.equal((await get('/recent', tokens)).statusCode, 401)
  t.equal((await get('/any', tokens)).statusCode, 200)
})

t.test('introspection tells both to resource servers (RFC 9470 §6.2, S-04)', async (t) => {
  const resourceServers = [{ clientId: 'rs', clientSecret: 'secret' }]
  const { plugin } = await setUp(t, { resourceServers })
  const authTime = seconds() - 100
  Object.assign(plugin.provider.claims, { acr: 'phr', auth_time: authTime })
  const { access_token } = await plugin.login()
  const form = { client_id: 'rs', client_secret: 'secret', token: access_token }
  const told = (await plugin.post('introspect', form)).json()
  t.equal(told.acr, 'phr')
  t.ok(Math.abs(told.auth_time - authTime) <= 1)
})

t.test('what a caller in plain JavaScript demands by mistake lets nobody through (S-04)', async (t) => {
  const { plugin } = await setUp(t)
  Object.assign(plugin.provider.claims, { acr: 'ph', auth_time: seconds() })
  const { access_token } = await plugin.login()
  const headers = ['Authorization', `Bearer ${access_token}`]
  const request = { id: '1', ip: '192.0.2.1', log: plugin.app.log, raw: { rawHeaders: headers, url: '/' } }
  t.ok(await plugin.app.pkce.authenticate(request, [], { acr: ['ph'] }))
  for (const demand of [{ acr: 'phr' }, { maxAgeSeconds: Number.NaN }, { maxAgeSeconds: 'soon' }]) {
    await t.rejects(async () => plugin.app.pkce.authenticate(request, [], demand as object))
  }
})

t.test('a demand that would let more through than it says is refused at once (S-04)', async (t) => {
  const { plugin } = await setUp(t)
  const { pkce } = plugin.app
  for (const [demand, message] of [
    [{ acr: 'phr' }, /acr must be a list/],
    [{ acr: ['phr phrh'] }, /acr must be a list/],
    [{ acr: ['a"b'] }, /acr must be a list/],
    [{ acr: [''] }, /acr must be a list/],
    [{ maxAgeSeconds: 0 }, /at least 1/],
    [{ maxAgeSeconds: -1 }, /at least 1/],
    [{ maxAgeSeconds: '60' }, /at least 1/],
    [{ maxAgeSeconds: Number.NaN }, /at least 1/],
  ] as const) {
    t.throws(
      () => pkce.requireSession(demand as object),
      { name: 'TypeError', message },
      JSON.stringify(demand),
    )
  }
})
