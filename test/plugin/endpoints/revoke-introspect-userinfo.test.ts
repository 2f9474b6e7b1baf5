import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import {
  newPair,
  type PluginApp,
  REDIRECT_URI,
  startPluginApp,
  type Tokens,
} from '../../support/plugin-app.ts'
import { json } from '../../support/stub-provider.ts'
import { until } from '../../support/wait.ts'

type Options = Parameters<typeof startPluginApp>[1]

async function loggedIn(t: Test, options?: Options): Promise<PluginApp & { tokens: Tokens }> {
  const plugin = await startPluginApp(t, options)
  return { ...plugin, tokens: await plugin.login() }
}

const revoke = (plugin: PluginApp, token: string, form: Record<string, string> = {}) =>
  plugin.post('revoke', { client_id: 'app', token, ...form })
const eventsOf = (plugin: PluginApp) => plugin.events.map(({ event }) => event)
const revokedAtProvider = (plugin: PluginApp) =>
  plugin.provider.requests.filter(({ path }) => path === '/revoke').map(({ form }) => form.get('token'))

function refused(t: Test, response: LightMyRequestResponse, status: number, error: string): void {
  t.equal(response.statusCode, status, response.body)
  t.equal((response.json() as { error: string }).error, error)
  t.equal(response.headers['cache-control'], 'no-store')
}

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

    t.test(
      'a relayed access token that the provider gave to two clients: each ends its own grant',
      async (t) => {
        const plugin = await startPluginApp(t, { tokens: 'relay' })
        plugin.provider.behave.token = (_request, response) =>
          json(response, 200, {
            access_token: 'same',
            refresh_token: 'r',
            token_type: 'Bearer',
            expires_in: 3600,
          })
        const first = await plugin.login()
        const second = await plugin.login({ client_id: 'other' })
        emptyObject(t, await plugin.post('revoke', { token: 'same', client_id: 'other' }))
        const refresh = await plugin.refresh(second.refresh_token, { client_id: 'other' })
        refused(t, refresh, 400, 'invalid_grant')
        t.equal((await plugin.refresh(first.refresh_token)).statusCode, 200)
      },
    )

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

t.test('userinfo shows sub and the claims of the client, never tokens (OIDC Core §5.3, E-06)', async (t) => {
  const clients = [{ clientId: 'app', redirectUris: [REDIRECT_URI], claims: ['email', 'address', 'absent'] }]
  const options = { clients, provider: { scope: 'openid' } }
  async function withClaims(t: Test) {
    const plugin = await startPluginApp(t, options)
    plugin.provider.claims = {
      email: 'a@example.com',
      address: { country: 'DE' },
      secret_claim: 'x',
      sid: 's',
    }
    const tokens = await plugin.login()
    return { ...plugin, tokens, headers: { authorization: `Bearer ${tokens.access_token}` } }
  }

  for (const method of ['GET', 'POST'] as const) {
    t.test(`${method}`, async (t) => {
      const { app, headers } = await withClaims(t)
      const response = await app.inject({ method, url: '/oauth2/userinfo', headers })
      t.equal(response.statusCode, 200)
      t.same(response.json(), { sub: 'alice', email: 'a@example.com', address: { country: 'DE' } })
      t.equal(response.headers['cache-control'], 'no-store')
      t.notMatch(response.body, /eyJ|provider-|pk[acrs]_/)
    })
  }

  t.test('without a session -> 401 and the challenge; a token in the body is none', async (t) => {
    const plugin = await withClaims(t)
    const none = await plugin.app.inject({ url: '/oauth2/userinfo' })
    t.equal(none.statusCode, 401)
    t.equal(none.headers['www-authenticate'], 'Bearer realm="https://api.example.com"')
    const inBody = await plugin.post('userinfo', { access_token: plugin.tokens.access_token })
    t.equal(inBody.statusCode, 401)
    t.equal(
      (await plugin.app.inject({ method: 'HEAD', url: '/oauth2/userinfo', headers: plugin.headers }))
        .statusCode,
      405,
    )
  })

  t.test('after the end of the session -> 401 at once (E-05)', async (t) => {
    const plugin = await withClaims(t)
    await plugin.app.inject({ url: '/oauth2/userinfo', headers: plugin.headers })
    await revoke(plugin, plugin.tokens.refresh_token)
    const response = await plugin.app.inject({ url: '/oauth2/userinfo', headers: plugin.headers })
    t.equal(response.statusCode, 401)
    t.match(response.headers['www-authenticate'], /error="invalid_token"/)
  })

  t.test(
    'claims that the id_token lacks come from the userinfo of the provider, and only the allowed ones',
    async (t) => {
      const plugin = await startPluginApp(t, options)
      plugin.provider.behave.userinfo = (_request, response) =>
        json(response, 200, { sub: 'alice', email: 'info@example.com', phone_number: '1' })
      const { access_token } = await plugin.login()
      const headers = { authorization: `Bearer ${access_token}` }
      const response = await plugin.app.inject({ url: '/oauth2/userinfo', headers })
      t.same(response.json(), { sub: 'alice', email: 'info@example.com' })
      t.equal(plugin.provider.requests.at(-1)!.headers.authorization, 'Bearer provider-access-1')
    },
  )

  t.test('a provider that tells no identity: each grant has a subject of its own', async (t) => {
    const plugin = await loggedIn(t)
    const [one, two] = [plugin.tokens, await plugin.login()].map(async ({ access_token }) => {
      const headers = { authorization: `Bearer ${access_token}` }
      return ((await plugin.app.inject({ url: '/oauth2/userinfo', headers })).json() as { sub: string }).sub
    })
    t.match(await one, /^grant:/)
    t.not(await one, await two)
  })
})
