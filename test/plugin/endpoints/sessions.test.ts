import type { InjectOptions } from 'fastify'
import t from 'tap'
import { eventsOf } from '../../support/logged-in.ts'
import { type PluginApp, REDIRECT_URI, startPluginApp } from '../../support/plugin-app.ts'

const ORIGIN = 'https://app.example.com'
const clients = [
  {
    ...{ clientId: 'app', name: 'Example', redirectUris: [REDIRECT_URI], scopes: ['orders.read'] },
    allowedOrigins: [ORIGIN],
  },
  { clientId: 'other', name: 'Other', redirectUris: [REDIRECT_URI], scopes: [] },
]
const options = { provider: { scope: 'openid' }, clients }

const list = (plugin: PluginApp, token: string, headers = {}) =>
  plugin.app.inject({ url: '/oauth2/sessions', headers: { authorization: `Bearer ${token}`, ...headers } })

const end = (plugin: PluginApp, token: string, id: string) =>
  plugin.app.inject({
    ...{ method: 'DELETE', url: `/oauth2/sessions/${id}` },
    headers: { authorization: `Bearer ${token}` },
  })

interface Listed {
  id: string
  client_id: string
  client_name: string
  created_at: number
  last_refresh_at?: number
  current: boolean
}
const sessionsIn = (response: { json(): unknown }) => (response.json() as { sessions: Listed[] }).sessions

t.test('an app lists the sessions of its user, and ends one of them (S-02)', async (t) => {
  const plugin = await startPluginApp(t, options)
  const phone = await plugin.login()
  plugin.store.advance(10)
  const tablet = await plugin.login({ client_id: 'other', scope: '' })
  plugin.provider.claims = { sub: 'bob' }
  const bobs = await plugin.login()

  const answer = await list(plugin, phone.access_token)
  t.equal(answer.statusCode, 200)
  t.match(answer.headers['cache-control'], 'no-store')
  const [newest, oldest, ...more] = sessionsIn(answer)
  t.same(more, [])
  t.match(newest, { client_id: 'other', client_name: 'Other', current: false })
  t.match(oldest, { client_id: 'app', client_name: 'Example', current: true })
  const between = newest!.created_at - oldest!.created_at
  t.ok(between >= 10 && between < 70, 'in seconds')
  t.same(Object.keys(oldest!), ['id', 'client_id', 'client_name', 'created_at', 'current'])
  t.notMatch(answer.body, /provider-|sealed|key|pk[acrs]_/)
  for (const { current, id } of sessionsIn(await list(plugin, tablet.access_token))) {
    t.equal(current, id === newest!.id)
  }

  plugin.store.advance(100)
  const renewed = (await plugin.refresh(phone.refresh_token)).json()
  const after = sessionsIn(await list(plugin, renewed.access_token)).find(({ current }) => current)!
  const until = after.last_refresh_at! - after.created_at
  t.ok(until >= 110 && until < 170)

  await t.test('ids are not handles', async (t) => {
    for (const token of [newest!.id, `pka_${newest!.id}`, `pka_${newest!.id}${'A'.repeat(42)}`]) {
      t.equal((await list(plugin, token)).statusCode, 401)
      t.equal((await end(plugin, token, newest!.id)).statusCode, 401)
    }
  })

  await t.test('another person’s, and what is none: 404, and nothing ends', async (t) => {
    const [bobsId] = sessionsIn(await list(plugin, bobs.access_token)).map(({ id }) => id)
    const { authorized } = await plugin.code()
    const underWay = JSON.parse(plugin.store.written.at(-1)!).id as string
    t.ok(authorized.state)
    const answers = await Promise.all(
      [bobsId!, underWay, 'A'.repeat(22), 'x', '__proto__', renewed.access_token].map((id) =>
        end(plugin, renewed.access_token, id),
      ),
    )
    for (const { statusCode, body } of answers) {
      t.equal(statusCode, 404)
      t.equal(body, answers[0]!.body, 'one answer for all')
    }
    t.equal((await list(plugin, bobs.access_token)).statusCode, 200)
    t.notOk(eventsOf(plugin).includes('session.ended'))
  })

  const ended = await end(plugin, renewed.access_token, newest!.id)
  t.equal(ended.statusCode, 200)
  t.same(ended.json(), {})
  t.equal((await list(plugin, tablet.access_token)).statusCode, 401)
  t.equal((await plugin.refresh(tablet.refresh_token, { client_id: 'other' })).statusCode, 400)
  t.match(
    plugin.events.find(({ event }) => event === 'session.ended'),
    {
      ...{ clientId: 'other', grantId: newest!.id, subject: 'alice', reason: 'revoked', requestId: String },
    },
  )
  t.equal((await end(plugin, renewed.access_token, newest!.id)).statusCode, 404, 'once')
  t.equal(sessionsIn(await list(plugin, renewed.access_token)).length, 1)
  t.equal((await end(plugin, renewed.access_token, oldest!.id)).statusCode, 200, 'its own, too')
  t.equal((await list(plugin, renewed.access_token)).statusCode, 401)
})

t.test('a person of whom the provider tells nothing has one session, and sees no other (S-02)', async (t) => {
  const plugin = await startPluginApp(t, { clients })
  const [mine, others] = [await plugin.login(), await plugin.login()]
  const seen = sessionsIn(await list(plugin, mine.access_token))
  t.match(seen, [{ current: true }])
  t.equal((await end(plugin, others.access_token, seen[0]!.id)).statusCode, 404)
})

t.test('who asks without a session, with another method, or from a page (S-02, C-22)', async (t) => {
  const plugin = await startPluginApp(t, options)
  const { access_token } = await plugin.login()
  const ask = (request: InjectOptions) => plugin.app.inject(request)
  const bare = await ask({ url: '/oauth2/sessions' })
  t.equal(bare.statusCode, 401)
  t.match(bare.headers['www-authenticate'], 'Bearer')
  t.equal((await ask({ method: 'DELETE', url: '/oauth2/sessions/x' })).statusCode, 401)
  const authorization = `Bearer ${access_token}`
  for (const [method, url, allow] of [
    ['DELETE', '/oauth2/sessions', 'GET'],
    ['POST', '/oauth2/sessions', 'GET'],
    ['GET', '/oauth2/sessions/x', 'DELETE'],
  ] as const) {
    const refused = await ask({ method, url, headers: { authorization } })
    t.equal(refused.statusCode, 405)
    t.equal(refused.headers.allow, allow)
  }
  const preflight = await ask({
    ...{ method: 'OPTIONS', url: '/oauth2/sessions/x' },
    headers: { origin: ORIGIN, 'access-control-request-method': 'DELETE' },
  })
  t.equal(preflight.statusCode, 204)
  t.match(preflight.headers, {
    'access-control-allow-origin': ORIGIN,
    'access-control-allow-methods': 'GET, DELETE',
  })
  for (const [origin, allowed] of [
    [ORIGIN, ORIGIN],
    ['https://evil.example', undefined],
  ] as const) {
    const { headers } = await list(plugin, access_token, { origin })
    t.equal(headers['access-control-allow-origin'], allowed)
  }
})

t.test('a store that is away: 503, and nothing is said to have ended (S-02, G-08)', async (t) => {
  const plugin = await startPluginApp(t, options)
  const { access_token } = await plugin.login()
  const [{ id }] = sessionsIn(await list(plugin, access_token)) as [Listed]
  plugin.store.fail('readIndex')
  t.equal((await list(plugin, access_token)).statusCode, 503)
  plugin.store.heal()
  plugin.store.fail('replace')
  t.equal((await end(plugin, access_token, id)).statusCode, 503)
  plugin.store.heal()
  t.equal((await list(plugin, access_token)).statusCode, 200)
})
