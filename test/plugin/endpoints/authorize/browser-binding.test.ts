import t from 'tap'
import { refusedLocally, startManyClients, validQuery } from '../../../support/authorize-requests.ts'
import { startPluginApp } from '../../../support/plugin-app.ts'

const { plugin, get, transactions } = await startManyClients(t)

t.test('the browser gets a host-bound cookie for each login (RFC 9700 §4.7, A-18)', async (t) => {
  const { response, state } = await plugin.authorize()
  const selector = Buffer.from(state.slice(4), 'base64url').toString('base64url', 0, 16)
  const line = String(response.headers['set-cookie'])
  const [pair = '', ...attributes] = line.split('; ')
  t.match(pair, new RegExp(`^__Host-pkce-${selector}=[\\w-]{43}$`))
  t.same(attributes.map((attribute) => attribute.toLowerCase()).sort(), [
    'httponly',
    'max-age=600',
    'path=/',
    'samesite=lax',
    'secure',
  ])
})

t.test('five logins in one browser, the oldest goes first, other cookies stay (A-18)', async (t) => {
  const names = Array.from({ length: 5 }, (_, index) => `__Host-pkce-${String(index).repeat(22)}`)
  const header = ['session=keep', ...names.map((name) => `${name}=v`), 'theme=dark', 'pkce-legacy=1'].join(
    '; ',
  )
  const cookies = [(await get(validQuery, { cookie: header })).headers['set-cookie'] ?? []].flat()
  t.equal(cookies.length, 2)
  t.match(cookies[0], new RegExp(`^${names[0]}=; .*Max-Age=0`))
  const four = header.replace(`${names[0]}=v; `, '')
  t.equal([(await get(validQuery, { cookie: four })).headers['set-cookie'] ?? []].flat().length, 1)
})

t.test('a cookie name that we never made is neither an error nor repeated (A-18, A-23)', async (t) => {
  const strange = Array.from({ length: 9 }, (_, index) => `__Host-pkce-${index}(evil)@<b>=1`).join('; ')
  const response = await get(validQuery, { cookie: `${strange}; =; ;;; a=%zz; __Host-pkce-=1` })
  t.equal(response.statusCode, 302)
  t.equal([response.headers['set-cookie'] ?? []].flat().length, 1)
  t.notMatch(JSON.stringify(response.headers), 'evil')
})

t.test('a prefetch begins nothing (A-26)', async (t) => {
  const before = transactions()
  for (const headers of [
    { 'sec-purpose': 'prefetch' },
    { 'sec-purpose': 'prefetch;prerender' },
    { purpose: 'prefetch' },
    { purpose: 'Prefetch' },
    { 'sec-purpose': 'x', purpose: 'prefetch' },
  ]) {
    refusedLocally(t, await get(validQuery, headers as unknown as Record<string, string>), 503)
  }
  t.equal(transactions(), before)
})

t.test(
  'loopback http: the cookie has another name and no Secure, which a browser would refuse (A-18)',
  async (t) => {
    const plugin = await startPluginApp(t, { publicUrl: 'http://127.0.0.1:3000' })
    const { response } = await plugin.authorize()
    t.match(
      String(response.headers['set-cookie']),
      /^pkce-[\w-]{22}=[\w-]{43}; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax$/,
    )
  },
)
