import t, { type Test } from 'tap'
import { type Authorized, type PluginApp, REDIRECT_URI, startPluginApp } from '../../../support/plugin-app.ts'
import { json } from '../../../support/stub-provider.ts'

/** form_post: the provider's answer comes as a form that the browser posts from its site (B-01, M-03). */
const clients = [{ clientId: 'app', redirectUris: [REDIRECT_URI], claims: ['name', 'email'] }]
const withForm = { clients, provider: { scope: 'openid', responseMode: 'form_post' as const } }
const FORM = 'application/x-www-form-urlencoded'

/** Posts the provider's answer; undefined values are left out. */
function postCallback(
  { app }: PluginApp,
  { state, cookie }: Pick<Authorized, 'state' | 'cookie'>,
  more: Record<string, string | undefined> = {},
  headers: Record<string, string> = {},
) {
  const form = new URLSearchParams()
  const parameters = { state, ...('error' in more ? {} : { code: 'provider-code' }), ...more }
  for (const [name, value] of Object.entries(parameters)) if (value !== undefined) form.append(name, value)
  return app.inject({
    ...{ method: 'POST', url: '/oauth2/callback', payload: form.toString() },
    headers: {
      'content-type': FORM,
      origin: 'https://appleid.apple.com',
      ...(cookie && { cookie }),
      ...headers,
    },
  })
}

const codeIn = (location: unknown) => new URL(String(location)).searchParams.get('code')!

async function claimsAfter(t: Test, plugin: PluginApp, user?: string) {
  const authorized = await plugin.authorize()
  const { headers } = await postCallback(plugin, authorized, { user })
  const answer = await plugin.redeem(codeIn(headers.location))
  t.equal(answer.statusCode, 200)
  const authorization = `Bearer ${answer.json().access_token}`
  return (await plugin.app.inject({ url: '/oauth2/userinfo', headers: { authorization } })).json()
}

t.test(
  'form_post is asked for, and its cookie comes along with a post of another site (B-01, A-18)',
  async (t) => {
    const plugin = await startPluginApp(t, withForm)
    const authorized = await plugin.authorize()
    t.equal(new URL(authorized.location).searchParams.get('response_mode'), 'form_post')
    t.match(authorized.response.headers['set-cookie'], /^__Host-pkce-.*; HttpOnly; Secure; SameSite=None/)

    const response = await postCallback(plugin, authorized, { iss: plugin.provider.issuer })
    // 303 and not 302: no browser may post the provider's code on to the app (RFC 9700 §4.12).
    t.equal(response.statusCode, 303)
    t.match(response.headers['set-cookie'], /^__Host-pkce-[\w-]{22}=; Max-Age=0.*Secure; SameSite=None/)
    t.equal(response.headers['cache-control'], 'no-store')
    t.equal((await plugin.redeem(codeIn(response.headers.location))).statusCode, 200)
    const { form } = plugin.provider.requests.find(({ path }) => path === '/token')!
    t.equal(form.get('code'), 'provider-code')
    t.equal((await postCallback(plugin, authorized)).statusCode, 400, 'once')
  },
)

t.test('what is not that form touches nothing, and the login still works (B-01, B-03, B-06)', async (t) => {
  const plugin = await startPluginApp(t, withForm)
  const authorized = await plugin.authorize()
  const { state, cookie } = authorized
  const query = new URLSearchParams({ state, code: 'provider-code' })
  const get = await plugin.callback(authorized)
  t.equal(get.statusCode, 405)
  t.equal(get.headers.allow, 'POST')
  const post = (url: string, payload: string, headers: Record<string, string> = {}) =>
    plugin.app.inject({
      ...{ method: 'POST', url, payload },
      headers: { 'content-type': FORM, cookie, ...headers },
    })
  for (const [response, status] of [
    [await post(`/oauth2/callback?${query}`, ''), 400],
    [await post('/oauth2/callback?code=x', query.toString()), 400],
    [await post('/oauth2/callback', query.toString(), { 'content-type': 'text/plain' }), 400],
    [await post('/oauth2/callback', `${query}&code=another`), 400],
    [await post('/oauth2/callback', `${query}&error=access_denied`), 400],
    [await post('/oauth2/callback', query.toString(), { 'sec-purpose': 'prefetch' }), 503],
    [await post('/oauth2/callback', `${query}&x=${'x'.repeat(17_000)}`), 413],
    [await post('/oauth2/callback', new URLSearchParams({ code: 'c' }).toString()), 400],
  ] as const) {
    t.equal(response.statusCode, status)
    t.equal(response.headers.location, undefined)
    t.match(response.headers['content-type'], 'text/html')
  }
  t.equal((await postCallback(plugin, authorized)).statusCode, 303)
})

for (const [title, cookieOf] of [
  ['without the cookie', () => ''],
  ["with another browser's cookie", (other: Authorized) => other.cookie],
] as const) {
  t.test(`${title} -> 400, nothing is redeemed, and the login is over (B-04)`, async (t) => {
    const plugin = await startPluginApp(t, withForm)
    const [mine, other] = [await plugin.authorize(), await plugin.authorize()]
    const response = await postCallback(plugin, { ...mine, cookie: cookieOf(other) })
    t.equal(response.statusCode, 400)
    t.equal(response.headers.location, undefined)
    t.equal((await postCallback(plugin, mine)).statusCode, 400)
    t.equal(plugin.provider.count('/token'), 0)
    t.match(
      plugin.events.map(({ event }) => event),
      ['callback.browser_mismatch'],
    )
  })
}

t.test('a cancel reaches the app, with state and without (B-08)', async (t) => {
  const plugin = await startPluginApp(t, withForm)
  for (const state of ['', undefined]) {
    const authorized = await plugin.authorize()
    const error = 'user_cancelled_authorize'
    const response = await postCallback(plugin, authorized, {
      error,
      ...(state === '' && { state: undefined }),
    })
    t.equal(response.statusCode, 303)
    t.equal(new URL(String(response.headers.location)).searchParams.get('error'), 'access_denied')
  }
})

t.test(
  "Apple's user of the first login gives claims that the id_token lacks, and no identity (M-03)",
  async (t) => {
    const plugin = await startPluginApp(t, withForm)
    const user = JSON.stringify({
      name: { firstName: 'Zoë', lastName: 'Ångström' },
      email: 'zoe@example.com',
      sub: 'mallory',
    })
    t.same(await claimsAfter(t, plugin, user), {
      sub: 'alice',
      name: 'Zoë Ångström',
      email: 'zoe@example.com',
    })
    t.notMatch(
      plugin.log() + plugin.store.touched.slice(0, 3).join(),
      /ngstr|zoe@/,
      'neither logged nor readable',
    )
    t.same(await claimsAfter(t, plugin), { sub: 'alice' }, 'the second login')
    plugin.provider.claims = { email: 'proved@example.com', name: 'Proved' }
    t.same(await claimsAfter(t, plugin, user), { sub: 'alice', name: 'Proved', email: 'proved@example.com' })
  },
)

t.test('a user that is none costs its claims and no login (M-03)', async (t) => {
  const plugin = await startPluginApp(t, withForm)
  for (const [user, claims] of [
    ['{"name":{"firstName":"A"},"email":7}', { name: 'A' }],
    ['{"name":{"firstName":"","lastName":"B"}}', { name: 'B' }],
    ['{"name":"A B","email":"a@b.example"}', { email: 'a@b.example' }],
    ['{"name":{"firstName":"A\\nB","lastName":"C"},"email":"a b"}', {}],
    [`{"name":{"firstName":"${'x'.repeat(300)}"}}`, {}],
    ['{"name":', {}],
    ['[]', {}],
    ['null', {}],
    ['', {}],
  ] as const) {
    t.same(await claimsAfter(t, plugin, user), { sub: 'alice', ...claims }, user)
  }
})

t.test('without form_post there is no POST, and a user in the query is nobody (B-01, M-03)', async (t) => {
  const plugin = await startPluginApp(t, { clients, provider: { scope: 'openid' } })
  const authorized = await plugin.authorize()
  t.equal(new URL(authorized.location).searchParams.has('response_mode'), false)
  t.equal((await postCallback(plugin, authorized)).statusCode, 405)
  const { headers } = await plugin.callback(authorized, { user: '{"email":"zoe@example.com"}' })
  const { access_token } = (await plugin.redeem(codeIn(headers.location))).json()
  const userinfo = { url: '/oauth2/userinfo', headers: { authorization: `Bearer ${access_token}` } }
  t.same((await plugin.app.inject(userinfo)).json(), { sub: 'alice' })
})

t.test('where the provider tells nobody who signs in, neither does user (M-03, F-17)', async (t) => {
  const plugin = await startPluginApp(t, {
    ...withForm,
    provider: { scope: 'api', responseMode: 'form_post' },
  })
  plugin.provider.behave.token = (_request, response) =>
    json(response, 200, { access_token: 'a', token_type: 'Bearer' })
  t.match(await claimsAfter(t, plugin, '{"email":"zoe@example.com"}'), { sub: /^grant:/ })
})
