import t from 'tap'
import { refusedLocally, startManyClients, toldToApp } from '../../../support/authorize-requests.ts'
import { CHALLENGE, PUBLIC_URL, startPluginApp } from '../../../support/plugin-app.ts'

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
