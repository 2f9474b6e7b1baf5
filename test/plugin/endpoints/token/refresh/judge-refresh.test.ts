import { once } from 'node:events'
import { request } from 'node:http'
import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { parseHandle } from '../../../../../plugin/secrets/handles.ts'
import { eventsOf, loggedIn } from '../../../../support/logged-in.ts'
import {
  newPair,
  type PluginApp,
  REDIRECT_URI,
  startPluginApp,
  type Tokens,
} from '../../../../support/plugin-app.ts'
import { FORM, listen } from '../../../../support/plugin-over-http.ts'
import { NEAR_EXPIRY, refreshes, refused, tokensOf } from '../../../../support/refresh-requests.ts'
import { until } from '../../../../support/wait.ts'

const ids = { clientId: 'api' }
const secretOf = { clientSecret: 'a-secret-of-the-api' }
const resourceServer = { client_id: 'api', client_secret: 'a-secret-of-the-api' }

type Options = Parameters<typeof startPluginApp>[1]

t.test(
  'reuse of an older generation ends the grant, here and at the provider (RFC 9700 §4.14.2, D-04)',
  async (t) => {
    const plugin = await loggedIn(t)
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    await used(plugin, next.access_token)
    plugin.store.advance(20)
    refused(t, await plugin.refresh(plugin.tokens.refresh_token), 400, 'invalid_grant')
    t.equal((await plugin.call(next.access_token)).statusCode, 401)
    t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 401)
    refused(t, await plugin.refresh(next.refresh_token), 400, 'invalid_grant')
    t.match(plugin.events.slice(2, 4), [
      { event: 'refresh.reuse', reason: 'refresh_reused', clientId: 'app', grant: /^[0-9a-f]{8}$/ },
      { event: 'session.ended', reason: 'refresh_reused' },
    ])
    await until(() => plugin.provider.count('/revoke') === 1)
    t.equal(plugin.provider.requests.at(-1)!.form.get('token'), 'provider-refresh-1')
  },
)

t.test('a lost answer is given again for as long as nobody has presented it (D-05)', async (t) => {
  for (const seconds of [16, 3600, 86_400]) {
    t.test(`after ${seconds} s: the same tokens, and the session goes on`, async (t) => {
      const plugin = await loggedIn(t)
      const lost = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
      plugin.store.advance(seconds)
      const again = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
      t.equal(again.access_token, lost.access_token)
      t.equal(again.refresh_token, lost.refresh_token)
      t.ok(Math.abs(again.expires_in - Math.max(0, 600 - seconds)) <= 1, String(again.expires_in))
      t.equal((await plugin.refresh(again.refresh_token)).statusCode, 200)
      t.notOk(eventsOf(plugin).includes('refresh.reuse'))
    })
  }

  t.test('when the provider was asked, too', async (t) => {
    const plugin = await loggedIn(t)
    plugin.store.advance(NEAR_EXPIRY)
    const lost = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    plugin.store.advance(NEAR_EXPIRY)
    const again = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    t.equal(again.refresh_token, lost.refresh_token)
    t.equal(refreshes(plugin), 1)
  })

  const presentations: Record<string, (plugin: PluginApp, token: string) => Promise<unknown>> = {
    'a protected route': (plugin, token) => plugin.call(token),
    userinfo: ({ app }, token) =>
      app.inject({ url: '/oauth2/userinfo', headers: { authorization: `Bearer ${token}` } }),
    introspection: ({ post }, token) => post('introspect', { ...resourceServer, token }),
    'a protected route, expired': (plugin, token) => {
      plugin.store.advance(601)
      return plugin.call(token)
    },
  }
  for (const [place, show] of Object.entries(presentations)) {
    t.test(`the access token was presented at ${place}: reuse after the grace, not within it`, async (t) => {
      const plugin = await loggedIn(t, { resourceServers: [{ ...ids, ...secretOf }] })
      const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
      await used(plugin, next.access_token, show)
      if (place.endsWith('expired')) return endsAt(t, plugin)
      t.equal(tokensOf(await plugin.refresh(plugin.tokens.refresh_token)).refresh_token, next.refresh_token)
      plugin.store.advance(16)
      await endsAt(t, plugin)
    })
  }

  t.test('the access token from before the rotation tells nothing', async (t) => {
    const plugin = await loggedIn(t)
    const lost = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    plugin.store.advance(20)
    t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 200)
    t.equal(tokensOf(await plugin.refresh(plugin.tokens.refresh_token)).refresh_token, lost.refresh_token)
  })

  t.test('a presentation that could not be written is written at the next one', async (t) => {
    const plugin = await loggedIn(t)
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    plugin.store.fail('replace', 1)
    t.equal((await plugin.call(next.access_token)).statusCode, 200, 'nobody waits for it')
    plugin.store.heal()
    plugin.store.advance(6)
    await used(plugin, next.access_token)
    plugin.store.advance(16)
    await endsAt(t, plugin)
  })

  t.test('an old one that its app has given up meanwhile is no reuse', async (t) => {
    const plugin = await loggedIn(t)
    const port = await listen(plugin)
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    await used(plugin, next.access_token)
    plugin.store.advance(20)
    const held = plugin.store.hold('read')
    const closed = once(plugin.app.server, 'connection').then(([socket]) => once(socket, 'close'))
    const late = request({ port, host: '127.0.0.1', path: '/oauth2/token', method: 'POST', headers: FORM })
    late.on('error', () => {})
    late.end(`grant_type=refresh_token&client_id=app&refresh_token=${plugin.tokens.refresh_token}`)
    await held.reached
    late.destroy()
    await closed
    held.release()
    t.equal((await plugin.refresh(next.refresh_token)).statusCode, 200)
    t.notOk(eventsOf(plugin).includes('refresh.reuse'))
  })

  async function endsAt(t: Test, plugin: PluginApp & { tokens: Tokens }): Promise<void> {
    refused(t, await plugin.refresh(plugin.tokens.refresh_token), 400, 'invalid_grant')
    t.ok(eventsOf(plugin).includes('refresh.reuse'))
  }
})

/** Presents an access token, and waits until that has been noted. */
async function used(
  plugin: PluginApp,
  token: string,
  show = (plugin: PluginApp, token: string): Promise<unknown> => plugin.call(token),
): Promise<void> {
  const written = plugin.store.written.length
  await show(plugin, token)
  await until(() => plugin.store.written.slice(written).some((record) => !record.includes('"unpresented"')))
}

t.test('what does not prove the family has no effect (D-01, D-04)', async (t) => {
  const rows: [
    string,
    (plugin: PluginApp & { tokens: Tokens }) => Promise<LightMyRequestResponse>,
    string,
  ][] = [
    [
      'a random secret',
      ({ refresh, tokens }) => refresh(tokens.refresh_token.slice(0, 26) + newPair().verifier.slice(0, 42)),
      'invalid_grant',
    ],
    [
      'another client (D-01)',
      ({ refresh, tokens }) => refresh(tokens.refresh_token, { client_id: 'other' }),
      'invalid_grant',
    ],
    ['garbage', ({ refresh }) => refresh('garbage'), 'invalid_grant'],
    ['no refresh_token', ({ refresh }) => refresh(''), 'invalid_request'],
    ['513 characters', ({ refresh }) => refresh('x'.repeat(513)), 'invalid_request'],
    [
      'a wider scope (D-13)',
      ({ refresh, tokens }) => refresh(tokens.refresh_token, { scope: 'admin' }),
      'invalid_scope',
    ],
  ]
  for (const [name, attempt, error] of rows) {
    t.test(`${name} -> 400 ${error}, and the owner's next refresh is good`, async (t) => {
      const plugin = await loggedIn(t)
      refused(t, await attempt(plugin), 400, error)
      t.same(eventsOf(plugin), ['session.activated'])
      t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 200)
      t.equal((await plugin.refresh(plugin.tokens.refresh_token)).statusCode, 200)
      t.equal(plugin.provider.count('/revoke'), 0)
    })
  }

  t.test('another client, with an old generation: not even reuse', async (t) => {
    const plugin = await loggedIn(t)
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    plugin.store.advance(20)
    refused(
      t,
      await plugin.refresh(plugin.tokens.refresh_token, { client_id: 'other' }),
      400,
      'invalid_grant',
    )
    t.equal((await plugin.refresh(next.refresh_token)).statusCode, 200)
  })

  t.test('a confidential client without its secret -> 401 (D-01)', async (t) => {
    const clients = [
      { clientId: 'app', redirectUris: [REDIRECT_URI] },
      {
        clientId: 'backend',
        redirectUris: [REDIRECT_URI],
        authentication: 'client_secret_post' as const,
        clientSecret: 'backend-secret',
      },
    ]
    const plugin = await startPluginApp(t, { clients })
    const { code } = await plugin.code({ client_id: 'backend' })
    const form = { client_id: 'backend', client_secret: 'backend-secret' }
    const { refresh_token } = tokensOf(await plugin.redeem(code, form))
    refused(t, await plugin.refresh(refresh_token, { client_id: 'backend' }), 401, 'invalid_client')
    t.equal((await plugin.refresh(refresh_token, form)).statusCode, 200)
  })
})

t.test('idle and absolute lifetimes are enforced here (D-12)', async (t) => {
  const DAY = 86_400
  t.test('30 days without a refresh -> invalid_grant', async (t) => {
    const plugin = await loggedIn(t)
    plugin.store.advance(30 * DAY)
    refused(t, await plugin.refresh(plugin.tokens.refresh_token), 400, 'invalid_grant')
    t.equal(refreshes(plugin), 0)
  })
  t.test('day 91 of a session in use -> invalid_grant, and never a token beyond the end', async (t) => {
    const plugin = await loggedIn(t)
    let { refresh_token } = plugin.tokens
    for (let day = 0; day < 87; day += 29) {
      plugin.store.advance(29 * DAY)
      ;({ refresh_token } = tokensOf(await plugin.refresh(refresh_token)))
    }
    plugin.store.advance(3 * DAY - 100)
    const last = tokensOf(await plugin.refresh(refresh_token))
    t.ok(last.expires_in <= 100, String(last.expires_in))
    plugin.store.advance(101)
    refused(t, await plugin.refresh(last.refresh_token), 400, 'invalid_grant')
    t.equal((await plugin.call(last.access_token)).statusCode, 401)
  })
})

t.test(
  'provider tokens that do not open: refused at once, every time, and no lease is taken (G-05)',
  async (t) => {
    const plugin = await loggedIn(t)
    const refreshToken = plugin.tokens.refresh_token
    const key = `grant:${parseHandle('refresh', refreshToken)?.selector}`
    const stored = await plugin.store.read(key)
    if (!stored) throw new Error('the grant is there')
    const grant = { ...JSON.parse(stored.value), sealed: 'A'.repeat(64) }
    await plugin.store.replace(key, stored.version, JSON.stringify(grant), 7_200_000)
    plugin.store.advance(NEAR_EXPIRY)
    refused(t, await plugin.refresh(refreshToken), 400, 'invalid_grant')
    refused(t, await plugin.refresh(refreshToken), 400, 'invalid_grant')
    t.equal(refreshes(plugin), 0)
  },
)

t.test('another registry at the next start counts at once: less scope, no client (H-04)', async (t) => {
  const secrets = [Buffer.alloc(32, 1).toString('base64url')]
  const plugin = await loggedIn(t, { secrets })
  const client = { clientId: 'app', redirectUris: [REDIRECT_URI] }
  const restart = (clients: NonNullable<Options>['clients']) =>
    startPluginApp(t, { secrets, store: plugin.store, clients: clients! }, { provider: plugin.provider })

  const narrower = await restart([{ ...client, scopes: ['orders.write'] }])
  t.equal((await narrower.call(plugin.tokens.access_token)).statusCode, 403)
  const next = tokensOf(await narrower.refresh(plugin.tokens.refresh_token))
  t.equal(next.scope, 'orders.write')

  const disabled = await restart([{ ...client, enabled: false }])
  t.equal((await disabled.call(next.access_token)).statusCode, 401)
  refused(t, await disabled.refresh(next.refresh_token), 401, 'invalid_client')
  const other = await restart([{ ...client, clientId: 'another' }])
  t.equal((await other.call(next.access_token)).statusCode, 401)
})

t.test(
  'another provider at the next start: old grants are absent, and their tokens are not its business',
  async (t) => {
    const secrets = [Buffer.alloc(32, 1).toString('base64url')]
    const plugin = await loggedIn(t, { secrets })
    const { code } = await plugin.code()
    const moved = await startPluginApp(t, { secrets, store: plugin.store })
    refused(t, await moved.redeem(code), 400, 'invalid_grant')
    refused(t, await moved.refresh(plugin.tokens.refresh_token), 400, 'invalid_grant')
    t.equal((await moved.call(plugin.tokens.access_token)).statusCode, 401)
    t.equal(
      (await moved.post('revoke', { client_id: 'app', token: plugin.tokens.refresh_token })).statusCode,
      200,
    )
    t.equal(moved.provider.count('/token') + moved.provider.count('/revoke'), 0)
  },
)
