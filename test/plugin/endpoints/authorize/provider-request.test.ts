import t from 'tap'
import { refusedLocally, startManyClients, toldToApp } from '../../../support/authorize-requests.ts'
import { CHALLENGE, PUBLIC_URL, REDIRECT_URI, startPluginApp } from '../../../support/plugin-app.ts'
import { json } from '../../../support/stub-provider.ts'

const { plugin } = await startManyClients(t)

t.test('the provider gets one value of each parameter, and only ours (RFC 9700 §4.5, A-14)', async (t) => {
  const { location } = await plugin.authorize({
    login_hint: 'bob@example.com',
    prompt: 'login',
    max_age: '60',
    ui_locales: 'de',
    acr_values: 'x',
    nonce: 'y',
    audience: 'z',
  })
  const sent = new URL(location).searchParams
  t.same([...sent.keys()].sort(), [
    'client_id',
    'code_challenge',
    'code_challenge_method',
    'login_hint',
    'max_age',
    'nonce',
    'prompt',
    'redirect_uri',
    'response_type',
    'scope',
    'state',
  ])
  t.match(Object.fromEntries(sent), {
    client_id: 'gateway',
    redirect_uri: `${PUBLIC_URL}/oauth2/callback`,
    response_type: 'code',
    scope: 'openid api',
    code_challenge_method: 'S256',
    login_hint: 'bob@example.com',
    prompt: 'login',
    max_age: '60',
  })
})

t.test(
  "every login has its own challenge and nonce, never the app's (RFC 9700 §2.1.1, A-16, A-17)",
  async (t) => {
    const [one, two] = [await plugin.authorize(), await plugin.authorize()]
    const nonce = ({ location }: { location: string }) => new URL(location).searchParams.get('nonce')
    t.not(one.challenge, two.challenge)
    t.not(one.challenge, CHALLENGE)
    t.match(one.challenge, /^[\w-]{43}$/)
    t.not(nonce(one), nonce(two))
    t.match(nonce(one), /^[\w-]{43}$/)
    t.not(one.state, two.state)
  },
)

t.test('nonce: false -> none is sent, and the login works (F-14)', async (t) => {
  const plugin = await startPluginApp(t, { provider: { scope: 'openid', nonce: false } })
  plugin.provider.behave.token = async (_request, response) =>
    json(response, 200, {
      access_token: 'a',
      token_type: 'Bearer',
      id_token: await plugin.provider.idToken(),
    })
  const { location } = await plugin.authorize()
  t.equal(new URL(location).searchParams.has('nonce'), false)
  t.match(await plugin.login(), { token_type: 'Bearer' })
})

t.test('what was asked of the authentication is checked, whoever asked (F-14, A-14)', async (t) => {
  const clients = [
    { clientId: 'app', redirectUris: [REDIRECT_URI], passThrough: ['acr_values', 'max_age'] },
    { clientId: 'other', redirectUris: [REDIRECT_URI] },
  ]
  const now = Math.floor(Date.now() / 1000)
  const rows: [
    title: string,
    configured: Record<string, string>,
    asked: object,
    told: object,
    ok: boolean,
  ][] = [
    ["the app's acr", {}, { acr_values: 'mfa phr' }, { acr: 'phr' }, true],
    ['another acr', {}, { acr_values: 'mfa phr' }, { acr: 'pwd' }, false],
    ["the operator's acr counts", { acr_values: 'mfa' }, { acr_values: 'pwd' }, { acr: 'pwd' }, false],
    ["the operator's acr", { acr_values: 'mfa' }, { client_id: 'other' }, { acr: 'mfa' }, true],
    ["the operator's max_age", { max_age: '60' }, { client_id: 'other' }, { auth_time: now - 600 }, false],
    ["the operator's max_age, in time", { max_age: '60' }, {}, { auth_time: now }, true],
    ["the app's max_age", {}, { max_age: '60' }, { auth_time: now - 600 }, false],
    ['what nobody asked', {}, { client_id: 'other' }, { acr: 'pwd', auth_time: 1 }, true],
  ]
  for (const [title, authorizationParams, asked, claims, ok] of rows) {
    const plugin = await startPluginApp(t, { clients, provider: { scope: 'openid', authorizationParams } })
    Object.assign(plugin.provider.claims, claims)
    const login = plugin.login(asked as Record<string, string>)
    if (ok) t.match(await login, { token_type: 'Bearer' }, title)
    else await t.rejects(login, /no tokens: 502/, title)
  }
})

t.test('our address comes from publicUrl and from no header (CVE-2026-3635, A-24)', async (t) => {
  const { location } = await plugin.authorize(
    {},
    {
      host: 'evil.example',
      'x-forwarded-host': 'evil.example',
      'x-forwarded-proto': 'http',
      forwarded: 'host=evil.example',
    },
  )
  t.equal(new URL(location).searchParams.get('redirect_uri'), `${PUBLIC_URL}/oauth2/callback`)
  t.notMatch(location, 'evil')
})

t.test('without openid there is no nonce (OIDC §3.1.2.1, A-17)', async (t) => {
  const plugin = await startPluginApp(t)
  const { location } = await plugin.authorize()
  t.equal(new URL(location).searchParams.get('nonce'), null)
})

t.test("provider.pkce relay passes the app's challenge on, none sends none (A-16)", async (t) => {
  for (const [pkce, challenge] of [
    ['relay', CHALLENGE],
    ['none', null],
  ] as const) {
    const plugin = await startPluginApp(t, { provider: { pkce } })
    const { location } = await plugin.authorize()
    t.equal(new URL(location).searchParams.get('code_challenge'), challenge)
    t.equal(new URL(location).searchParams.get('code_challenge_method'), challenge && 'S256')
  }
})

t.test('a provider with PAR gets the request by the back door (RFC 9126 §5, A-25)', async (t) => {
  const plugin = await startPluginApp(
    t,
    {},
    { metadata: (issuer) => ({ pushed_authorization_request_endpoint: `${issuer}/par` }) },
  )
  const { location } = await plugin.authorize()
  t.same(Object.fromEntries(new URL(location).searchParams), {
    client_id: 'gateway',
    request_uri: 'urn:example:par',
  })
  t.match(plugin.provider.requests.at(-1)?.form.get('state'), /^pks_/)

  plugin.provider.behave.par = (_request, response) => response.writeHead(500).end()
  const told = toldToApp(t, (await plugin.authorize()).response)
  t.equal(told.get('error'), 'temporarily_unavailable')
  t.ok(plugin.events.some(({ event }) => event === 'provider.error'))
})

t.test('provider not ready: the app is told, nothing is stored (RFC 6749 §4.1.2.1)', async (t) => {
  const plugin = await startPluginApp(t, { provider: { issuer: 'http://127.0.0.1:1' } })
  const told = toldToApp(t, (await plugin.authorize()).response)
  t.equal(told.get('error'), 'temporarily_unavailable')
  t.equal(told.get('state'), 'app-state')
  t.equal(plugin.store.calls.create, undefined)
  refusedLocally(t, (await plugin.authorize({ client_id: 'nope' })).response)
})
