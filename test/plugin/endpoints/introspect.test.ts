import t from 'tap'
import { loggedIn } from '../../support/logged-in.ts'
import type { PluginApp, Tokens } from '../../support/plugin-app.ts'
import { refused, revoke } from '../../support/revoke-requests.ts'

const resourceServers = [{ clientId: 'orders', clientSecret: 'orders-secret' }]
const basic = (id: string, secret: string) => ({
  authorization: `Basic ${Buffer.from(`${id}:${secret}`).toString('base64')}`,
})
const introspect = (plugin: PluginApp, token: string, headers = basic('orders', 'orders-secret')) =>
  plugin.post('introspect', { token }, headers)

t.test(
  'introspection speaks of live access tokens, to registered resource servers only (RFC 7662, E-04)',
  async (t) => {
    t.test('a live access token', async (t) => {
      const plugin = await loggedIn(t, { resourceServers, provider: { scope: 'openid' } })
      const response = await introspect(plugin, plugin.tokens.access_token)
      t.equal(response.statusCode, 200)
      t.equal(response.headers['cache-control'], 'no-store')
      const { exp, ...rest } = response.json() as { exp: number }
      t.same(rest, {
        active: true,
        iss: 'https://api.example.com',
        client_id: 'app',
        sub: 'alice',
        scope: 'orders.read orders.write',
        token_type: 'Bearer',
      })
      t.ok(Math.abs(exp - (Date.now() / 1000 + 600)) < 5)
      t.notMatch(response.body, /provider-|pk[acrs]_/)
    })

    t.test('client_secret_post works too', async (t) => {
      const plugin = await loggedIn(t, { resourceServers })
      const form = { token: plugin.tokens.access_token, client_id: 'orders', client_secret: 'orders-secret' }
      t.match((await plugin.post('introspect', form)).json(), { active: true })
    })

    t.test('what introspection does not read is ignored, what it reads comes once (C-05)', async (t) => {
      const plugin = await loggedIn(t, { resourceServers })
      const send = (more: string) =>
        plugin.app.inject({
          method: 'POST',
          url: '/oauth2/introspect',
          headers: { 'content-type': 'application/x-www-form-urlencoded' },
          payload: `token=${plugin.tokens.access_token}&client_id=orders&client_secret=orders-secret&${more}`,
        })
      t.match((await send('token_type_hint=a&token_type_hint=b&x=%zz&f%FCr=%00')).json(), { active: true })
      t.equal((await send('token=')).statusCode, 400)
      t.equal((await send('%63lient_id=orders')).statusCode, 400)
    })

    const inactive: [string, (plugin: PluginApp & { tokens: Tokens }) => Promise<string> | string][] = [
      ['garbage', () => 'garbage'],
      ['an unknown token', () => `pka_${'A'.repeat(64)}`],
      ['a refresh token', ({ tokens }) => tokens.refresh_token],
      ['a code', async ({ code }) => (await code()).code],
      ['a token of the provider', () => 'provider-access-1'],
      ['a wrong secret', ({ tokens }) => `${tokens.access_token.slice(0, 26)}${'A'.repeat(42)}`],
      [
        'an expired token',
        ({ store, tokens }) => {
          store.advance(601)
          return tokens.access_token
        },
      ],
      [
        'a token of an ended session, at once (E-05)',
        async (plugin) => {
          await introspect(plugin, plugin.tokens.access_token)
          await revoke(plugin, plugin.tokens.refresh_token)
          return plugin.tokens.access_token
        },
      ],
    ]
    for (const [name, pick] of inactive) {
      t.test(`${name} -> exactly {"active":false}`, async (t) => {
        const plugin = await loggedIn(t, { resourceServers })
        const response = await introspect(plugin, await pick(plugin))
        t.equal(response.statusCode, 200)
        t.equal(response.body, '{"active":false}')
      })
    }

    const callers: [string, Record<string, string>, Record<string, string>][] = [
      ['nobody', {}, {}],
      ['a wrong secret', {}, basic('orders', 'wrong')],
      ['an unknown server', {}, basic('nobody', 'orders-secret')],
      ['an empty secret', {}, basic('orders', '')],
      ['a client of ours', { client_id: 'app' }, {}],
      ['a bearer token', {}, { authorization: 'Bearer x' }],
    ]
    for (const [name, form, headers] of callers) {
      t.test(`${name} -> 401 and a challenge, before the token is looked at`, async (t) => {
        const plugin = await loggedIn(t, { resourceServers })
        plugin.store.countCalls()
        const response = await plugin.post(
          'introspect',
          { token: plugin.tokens.access_token, ...form },
          headers,
        )
        refused(t, response, 401, 'invalid_client')
        t.match(response.headers['www-authenticate'], /^Basic realm="/)
        t.equal(plugin.store.countCalls(), 0)
        t.equal(plugin.events.at(-1)!.event, 'client.auth_failed')
      })
    }

    t.test('no token -> 400; GET -> 405; a resource server is no client', async (t) => {
      const plugin = await loggedIn(t, { resourceServers })
      refused(
        t,
        await plugin.post('introspect', {}, basic('orders', 'orders-secret')),
        400,
        'invalid_request',
      )
      t.equal((await plugin.app.inject({ url: '/oauth2/introspect' })).statusCode, 405)
      const form = { client_id: 'orders', client_secret: 'orders-secret' }
      refused(t, await plugin.refresh(plugin.tokens.refresh_token, form), 401, 'invalid_client')
    })

    t.test('without resource servers nobody may', async (t) => {
      const plugin = await loggedIn(t)
      refused(t, await introspect(plugin, plugin.tokens.access_token), 401, 'invalid_client')
    })

    t.test('an outage is a 503, never inactive (G-08)', async (t) => {
      const plugin = await loggedIn(t, { resourceServers })
      plugin.store.fail()
      refused(t, await introspect(plugin, plugin.tokens.access_token), 503, 'temporarily_unavailable')
    })
  },
)
