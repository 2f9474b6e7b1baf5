/** What one provider does and the others do not, through a whole gateway (M-01). */
import t from 'tap'
import { Browser, redirectOf } from '../../support/browser.ts'
import { type PresetGateway, startPresetGateway } from '../../support/providers/gateway.ts'
import { until } from '../../support/wait.ts'

/** The gateway's address. */
const origin = ({ stub }: PresetGateway) => new URL(stub.redirectUri).origin

/** A login that has come to the provider, in a browser of its own. */
async function begin(stack: PresetGateway) {
  const browser = new Browser({ publicUrl: origin(stack) })
  const attempt = stack.app.begin()
  const provider = new URL(await browser.begin(attempt.url))
  return { browser, attempt, provider, state: provider.searchParams.get('state')! }
}

t.test('google: a refresh token comes at the first consent, and then because it is asked for', async (t) => {
  const preset = await startPresetGateway(t, 'google')
  for (const _login of [1, 2]) {
    const { refresh_token } = await preset.app.login()
    preset.store.advance(86_400)
    t.equal((await preset.app.refresh(refresh_token)).status, 200)
  }
  const own = { authorizationParams: { access_type: 'offline', prompt: 'select_account' } }
  const { app, log } = await startPresetGateway(t, 'google', own)
  await app.login()
  t.notMatch(log(), 'has given no refresh token')
  await app.login()
  t.match(log(), 'has given no refresh token, although offline access was asked for')
})

t.test('google: offline_access ends on its page, as it knows no such scope', async (t) => {
  const { app } = await startPresetGateway(t, 'google', { scope: 'openid offline_access' })
  await t.rejects(app.code(), /accounts\.google\.com.* answered 400: invalid_scope/)
})

t.test('apple: the name is told at the first login, and the answer is posted (M-03, B-01)', async (t) => {
  const { app } = await startPresetGateway(t, 'apple')
  const claimsOf = async () => (await app.call((await app.login()).access_token, '/oauth2/userinfo')).json
  t.match(await claimsOf(), { name: 'alice Example', email: 'alice@privaterelay.example' })
  const second = await claimsOf()
  t.notHas(second, { name: '' })
  t.match(second, { email: 'alice@privaterelay.example' })
})

t.test('entra: whoever is of another tenant is refused (F-14)', async (t) => {
  const { app, log } = await startPresetGateway(t, 'entra', {
    tenants: ['bbbbbbbb-0000-4000-8000-000000000002'],
  })
  t.equal((await app.redeem(await app.code())).json.error, 'server_error')
  t.match(log(), 'of a tenant that is not in provider.tenants')
})

t.test('entra: an app of one tenant names it as the issuer', async (t) => {
  const issuer = 'https://login.microsoftonline.com/9188040d-6c67-4c5b-b112-36a304b66dad/v2.0'
  const { app, subject } = await startPresetGateway(t, 'microsoft-personal', { preset: 'entra', issuer })
  t.equal(await subject((await app.login()).access_token), 'alice')
})

t.test('keycloak: a key that signs the moment it exists is found within its second (F-13)', async (t) => {
  const { app, stub } = await startPresetGateway(t, 'keycloak')
  await app.login()
  await stub.rotateKey()
  // Keys were read just now, and are not read twice in a second.
  await until(async () => (await app.redeem(await app.code())).status === 200)
  t.equal(stub.at('jwks').length, 2)
  t.ok(stub.at('par').length > 0, 'requests are pushed')
  t.same([...stub.at('authorization')[0]!.query.keys()].sort(), ['client_id', 'request_uri'])
})

t.test('gitlab: refreshes at the same time do not use one refresh token twice (D-09)', async (t) => {
  const { app, stub, store } = await startPresetGateway(t, 'gitlab')
  const { refresh_token } = await app.login()
  store.advance(86_400)
  const [one, two] = await Promise.all([app.refresh(refresh_token), app.refresh(refresh_token)])
  const [answer] = [one, two].filter(({ status }) => status === 200)
  store.advance(86_400)
  t.equal((await app.refresh(answer!.json.refresh_token as string)).status, 200, 'the family lives')
  const used = stub.at('token').map(({ form }) => form.get('refresh_token'))
  t.equal(new Set(used).size, used.length)
})

t.test('github-app: an empty scope is not sent', async (t) => {
  const { provider } = await begin(await startPresetGateway(t, 'github-app'))
  t.notOk(provider.searchParams.has('scope'))
})

t.test('facebook: userinfo is asked for its fields, and the number of an error is in the log', async (t) => {
  const stack = await startPresetGateway(t, 'facebook')
  await stack.app.login()
  t.equal(stack.stub.at('userinfo')[0]!.query.get('fields'), 'id,name,email')

  const { browser, attempt, state } = await begin(stack)
  const answer = await browser.open(`${stack.stub.redirectUri}?code=another&state=${state}`)
  const code = redirectOf(answer)!.searchParams.get('code')!
  t.equal((await stack.app.redeem({ ...attempt, code })).json.error, 'server_error')
  t.match(stack.log(), '"cause":"status 400, error 100 36009"')
})

t.test('slack: a code that it refuses under status 200 is refused to the app', async (t) => {
  const stack = await startPresetGateway(t, 'slack')
  const { browser, attempt, state } = await begin(stack)
  const answer = await browser.open(`${stack.stub.redirectUri}?code=another&state=${state}`)
  const code = redirectOf(answer)!.searchParams.get('code')!
  t.equal((await stack.app.redeem({ ...attempt, code })).json.error, 'invalid_grant')
})

t.test(
  'linkedin: nothing is sent that it refuses, and the cookie binds what is left (A-18, B-04)',
  async (t) => {
    const stack = await startPresetGateway(t, 'linkedin')
    const { browser, provider, state } = await begin(stack)
    t.strictSame(
      ['code_challenge', 'code_challenge_method', 'nonce'].filter((name) => provider.searchParams.has(name)),
      [],
    )
    t.match(stack.log(), 'provider.pkce is none')
    const stranger = new Browser({ publicUrl: origin(stack) })
    t.equal((await stranger.open(`${stack.stub.redirectUri}?code=c&state=${state}`)).status, 400)
    t.equal(
      (await browser.open(`${stack.stub.redirectUri}?code=c&state=${state}`)).status,
      400,
      'and it is over',
    )
    t.equal(stack.stub.at('token').length, 0)
  },
)

t.test('linkedin: both of its words for a cancel are one to the app (B-08)', async (t) => {
  const stack = await startPresetGateway(t, 'linkedin')
  for (const word of ['user_cancelled_login', 'user_cancelled_authorize']) {
    const { browser, state } = await begin(stack)
    const answer = await browser.open(`${stack.stub.redirectUri}?error=${word}&state=${state}`)
    t.equal(redirectOf(answer)!.searchParams.get('error'), 'access_denied')
  }
})
