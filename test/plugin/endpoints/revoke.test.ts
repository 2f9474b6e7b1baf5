import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { eventsOf, loggedIn } from '../../support/logged-in.ts'
import {
  newPair,
  type PluginApp,
  REDIRECT_URI,
  startPluginApp,
  type Tokens,
} from '../../support/plugin-app.ts'
import { revokedAtProvider, SHARED, startSharingApp } from '../../support/relayed-tokens.ts'
import { refused, revoke } from '../../support/revoke-requests.ts'
import { json } from '../../support/stub-provider.ts'
import { until } from '../../support/wait.ts'

function emptyObject(t: Test, response: LightMyRequestResponse): void {
  t.equal(response.statusCode, 200)
  t.equal(response.body, '{}')
  t.match(response.headers['content-type'], /^application\/json/)
  t.equal(response.headers['cache-control'], 'no-store')
}

t.test(
  'a live token of the client ends its whole grant, here first (RFC 7009 §2.1, E-01, E-03)',
  async (t) => {
    const rows: [
      string,
      (plugin: PluginApp & { tokens: Tokens }) => Promise<string> | string,
      Record<string, string>?,
    ][] = [
      ['the refresh token', ({ tokens }) => tokens.refresh_token],
      ['the access token', ({ tokens }) => tokens.access_token],
      ['with a wrong hint', ({ tokens }) => tokens.refresh_token, { token_type_hint: 'access_token' }],
      ['with an unknown hint', ({ tokens }) => tokens.access_token, { token_type_hint: 'urn:x' }],
      [
        'a refresh token that was rotated away: whoever lost an answer can log out',
        async (plugin) => {
          await plugin.refresh(plugin.tokens.refresh_token)
          return plugin.tokens.refresh_token
        },
      ],
      [
        'an access token from before a rotation',
        async (plugin) => {
          await plugin.refresh(plugin.tokens.refresh_token)
          return plugin.tokens.access_token
        },
      ],
    ]
    for (const [name, pick, form] of rows) {
      t.test(`${name} -> 200 {}`, async (t) => {
        const plugin = await loggedIn(t)
        await plugin.call(plugin.tokens.access_token)
        const token = await pick(plugin)
        emptyObject(t, await revoke(plugin, token, form))
        t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 401, 'at once, warm cache or not')
        refused(t, await plugin.refresh(plugin.tokens.refresh_token), 400, 'invalid_grant')
        t.match(
          plugin.events.find(({ event }) => event === 'session.ended'),
          { reason: 'revoked', clientId: 'app' },
        )
        await until(() => revokedAtProvider(plugin).length === 1)
        t.same(revokedAtProvider(plugin), ['provider-refresh-1'])
        emptyObject(t, await revoke(plugin, token))
        t.same(revokedAtProvider(plugin), ['provider-refresh-1'], 'once')
      })
    }

    t.test('a relayed access token finds its grant', async (t) => {
      const plugin = await loggedIn(t, { tokens: 'relay' })
      emptyObject(t, await revoke(plugin, 'provider-access-1'))
      t.equal((await plugin.call('provider-access-1')).statusCode, 401)
      refused(t, await plugin.refresh(plugin.tokens.refresh_token), 400, 'invalid_grant')
    })

    t.test('without a refresh token of the provider its access token is revoked there', async (t) => {
      const plugin = await startPluginApp(t)
      plugin.provider.behave.token = (_request, response) =>
        json(response, 200, { access_token: 'alone', token_type: 'Bearer', expires_in: 60 })
      const { access_token } = await plugin.login()
      emptyObject(t, await revoke(plugin, access_token))
      await until(() => revokedAtProvider(plugin).length === 1)
      t.same(revokedAtProvider(plugin), ['alone'])
    })
  },
)

t.test(
  'a provider token behind two logins lives until both are over (RFC 7009 §2.1, E-03, D-11)',
  async (t) => {
    t.test("another client's grant is not this client's to end, nor is its token (E-02)", async (t) => {
      const plugin = await startSharingApp(t)
      const first = await plugin.login()
      const second = await plugin.login({ client_id: 'other' })
      emptyObject(t, await revoke(plugin, SHARED, { client_id: 'other' }))
      const refresh = await plugin.refresh(second.refresh_token, { client_id: 'other' })
      refused(t, refresh, 400, 'invalid_grant')
      t.equal((await plugin.call(SHARED)).statusCode, 200)
      t.equal((await plugin.refresh(first.refresh_token)).statusCode, 200)
      await plugin.app.close()
      t.same(revokedAtProvider(plugin), [])
    })

    t.test('the token itself ends all grants of the client, and is revoked', async (t) => {
      const plugin = await startSharingApp(t)
      const logins = [await plugin.login(), await plugin.login()]
      emptyObject(t, await revoke(plugin, SHARED))
      t.equal((await plugin.call(SHARED)).statusCode, 401)
      for (const { refresh_token } of logins) {
        refused(t, await plugin.refresh(refresh_token), 400, 'invalid_grant')
      }
      await plugin.app.close()
      t.same(new Set(revokedAtProvider(plugin)), new Set(['refresh-1', 'refresh-2']))
    })

    t.test('a refresh token ends its own grant; the provider is told at the last one', async (t) => {
      const plugin = await startSharingApp(t)
      const logins = [await plugin.login(), await plugin.login()]
      emptyObject(t, await revoke(plugin, logins[0]!.refresh_token))
      t.equal((await plugin.call(SHARED)).statusCode, 200)
      t.equal((await plugin.refresh(logins[0]!.refresh_token)).statusCode, 400)
      emptyObject(t, await revoke(plugin, logins[1]!.refresh_token))
      t.equal((await plugin.call(SHARED)).statusCode, 401)
      await plugin.app.close()
      t.same(revokedAtProvider(plugin), ['refresh-2'])
    })

    t.test('a login under way counts as one: its token is not revoked under its hands', async (t) => {
      const plugin = await startSharingApp(t)
      const first = await plugin.login()
      const { code } = await plugin.code()
      const listed = plugin.store.hold('readIndex')
      const second = plugin.redeem(code)
      await listed.reached
      emptyObject(t, await revoke(plugin, first.refresh_token))
      listed.release()
      t.equal((await second).statusCode, 200)
      t.equal((await plugin.call(SHARED)).statusCode, 200)
      await plugin.app.close()
      t.same(revokedAtProvider(plugin), [])
    })

    t.test('a store that cannot tell -> the token is revoked: whoever logs out is logged out', async (t) => {
      const plugin = await startSharingApp(t)
      const first = await plugin.login()
      plugin.store.fail('readIndex', 1)
      emptyObject(t, await revoke(plugin, first.refresh_token))
      await plugin.app.close()
      t.same(revokedAtProvider(plugin), ['refresh-1'])
    })
  },
)

t.test('any other token is answered alike, and nothing happens (RFC 7009 §2.2, E-01, E-02)', async (t) => {
  const rows: [string, (tokens: Tokens) => string, Record<string, string>?][] = [
    ['garbage', () => 'garbage'],
    ['an unknown access token', () => `pka_${'A'.repeat(64)}`],
    ['an unknown refresh token', () => `pkr_${'A'.repeat(64)}`],
    ["another client's refresh token (E-02)", ({ refresh_token }) => refresh_token, { client_id: 'other' }],
    ["another client's access token (E-02)", ({ access_token }) => access_token, { client_id: 'other' }],
    [
      'a right selector with a wrong secret',
      ({ access_token }) => access_token.slice(0, 26) + newPair().verifier.slice(0, 42),
    ],
    [
      'a right selector with a wrong family',
      ({ refresh_token }) => refresh_token.slice(0, 26) + newPair().verifier.slice(0, 42),
    ],
    ['an access token as a refresh token', ({ access_token }) => access_token.replace('pka_', 'pkr_')],
    ['a token of the provider', () => 'provider-access-1'],
    ['8 KiB', () => 'x'.repeat(8192)],
  ]
  for (const [name, pick, form] of rows) {
    t.test(`${name} -> 200 {}, and the session goes on`, async (t) => {
      const plugin = await loggedIn(t)
      emptyObject(t, await revoke(plugin, pick(plugin.tokens), form))
      t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 200)
      t.equal((await plugin.refresh(plugin.tokens.refresh_token)).statusCode, 200)
      t.same(revokedAtProvider(plugin), [])
      t.notOk(eventsOf(plugin).includes('session.ended'))
    })
  }
})

t.test('what is no revocation request is refused as one (E-01)', async (t) => {
  const plugin = await loggedIn(t)
  refused(t, await plugin.post('revoke', { client_id: 'app' }), 400, 'invalid_request')
  refused(t, await plugin.post('revoke', { token: plugin.tokens.access_token }), 401, 'invalid_client')
  refused(t, await revoke(plugin, plugin.tokens.access_token, { client_id: 'nobody' }), 401, 'invalid_client')
  refused(t, await revoke(plugin, 'x'.repeat(8193)), 400, 'invalid_request')
  const get = await plugin.app.inject({ url: `/oauth2/revoke?token=${plugin.tokens.access_token}` })
  t.equal(get.statusCode, 405)
  t.equal(get.headers.allow, 'POST')
  t.equal((await plugin.app.inject({ url: '/oauth2/logout' })).statusCode, 404, 'E-07')
  t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 200)
})

t.test('what revocation does not read is ignored, what it reads comes once (C-05)', async (t) => {
  const plugin = await loggedIn(t)
  const send = (payload: string) =>
    plugin.app.inject({
      method: 'POST',
      url: '/oauth2/revoke',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      payload,
    })
  const body = `client_id=app&token=${plugin.tokens.access_token}`
  refused(t, await send(`${body}&token=`), 400, 'invalid_request')
  refused(t, await send(`${body}&client_secret=%zz`), 400, 'invalid_request')
  t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 200)
  const response = await send(`${body}&token_type_hint=a&token_type_hint=b&code=1&code=2&x=%zz&f%FCr=%00`)
  t.equal(response.statusCode, 200)
  t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 401)
})

t.test('a confidential client revokes with its secret only (RFC 7009 §2.1)', async (t) => {
  const clients = [
    {
      clientId: 'app',
      redirectUris: [REDIRECT_URI],
      authentication: 'client_secret_post' as const,
      clientSecret: 'its-secret',
    },
  ]
  const plugin = await startPluginApp(t, { clients })
  const { code } = await plugin.code()
  const tokens = (await plugin.redeem(code, { client_secret: 'its-secret' })).json() as Tokens
  refused(t, await revoke(plugin, tokens.refresh_token), 401, 'invalid_client')
  t.equal((await plugin.refresh(tokens.refresh_token, { client_secret: 'its-secret' })).statusCode, 200)
})

t.test('a provider that is down does not hold up a logout (E-03)', async (t) => {
  const plugin = await loggedIn(t)
  plugin.provider.behave.revoke = () => {}
  emptyObject(t, await revoke(plugin, plugin.tokens.refresh_token))
  t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 401)
  await until(() => plugin.provider.count('/revoke') === 1)
  // What the stub owes is let go, so that the app can close without waiting for it.
  await plugin.provider.close()
})

t.test('a store that is down is a 503, and the session is not lost from sight (G-08)', async (t) => {
  const plugin = await loggedIn(t)
  for (const operation of ['read', 'replace'] as const) {
    plugin.store.fail(operation, 1)
    refused(t, await revoke(plugin, plugin.tokens.refresh_token), 503, 'temporarily_unavailable')
  }
  t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 200)
  emptyObject(t, await revoke(plugin, plugin.tokens.refresh_token))
  t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 401)
})
