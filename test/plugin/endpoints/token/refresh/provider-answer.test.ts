import t, { type Test } from 'tap'
import { type PluginApp, REDIRECT_URI, startPluginApp } from '../../../../support/plugin-app.ts'
import { NEAR_EXPIRY, refreshes, refused, say, tokensOf } from '../../../../support/refresh-requests.ts'
import { json } from '../../../../support/stub-provider.ts'
import { until } from '../../../../support/wait.ts'

const clients = [{ clientId: 'app', redirectUris: [REDIRECT_URI], claims: ['email'] }]

/** A session with claims, at a provider that forgets a refresh token once it was used, and lines of the log. */
async function signedIn(t: Test) {
  const plugin = await startPluginApp(t, { clients, provider: { scope: 'openid' } })
  plugin.provider.claims = { email: 'old@example.com' }
  const tokens = await plugin.login()
  plugin.provider.claims = { email: 'new@example.com' }
  plugin.store.advance(NEAR_EXPIRY)
  return { plugin, tokens, emailOf: (accessToken: string) => emailOf(plugin, accessToken) }
}

async function emailOf({ app }: PluginApp, accessToken: string): Promise<unknown> {
  const headers = { authorization: `Bearer ${accessToken}` }
  const response = await app.inject({ url: '/oauth2/userinfo', headers })
  return (response.json() as { email: unknown }).email
}

/** The provider's refresh tokens, as they were presented. */
const presented = ({ provider }: PluginApp) =>
  provider.requests.filter(({ path }) => path === '/token').map(({ form }) => form.get('refresh_token'))

t.test('an id_token that cannot be verified costs the claims, never the tokens (D-11, D-14)', async (t) => {
  const rows: Record<string, (plugin: PluginApp) => unknown> = {
    'a new signing key, and the key set out of reach': async ({ provider }) => {
      await provider.rotateKey()
      provider.behave.jwks = say(503, {})
    },
    'a new signing key, just after the last fetch, and a stale key set': async ({ provider }) => {
      const { jwks } = provider.behave
      const stale: unknown[] = []
      await jwks(
        {} as never,
        { writeHead() {}, end: (body: string) => stale.push(JSON.parse(body)) } as never,
      )
      await provider.rotateKey()
      provider.behave.jwks = say(200, stale[0])
    },
    'another key under the same kid': ({ provider }) => provider.rotateKey('stub'),
    "the provider's clock 90 s ahead": ({ provider }) => {
      provider.claims = { email: 'new@example.com', iat: Math.floor(Date.now() / 1000) + 90 }
    },
    'no JWT': ({ provider }) => {
      const { token } = provider.behave
      provider.behave.token = (request, response) => {
        const end = response.end.bind(response)
        response.end = ((body: string) =>
          end(JSON.stringify({ ...JSON.parse(body), id_token: 'x' }))) as typeof response.end
        return token(request, response)
      }
    },
    'at_hash of something else': ({ provider }) => {
      provider.claims = { email: 'new@example.com', at_hash: 'AAAAAAAAAAAAAAAAAAAAAA' }
    },
  }
  for (const [name, misbehave] of Object.entries(rows)) {
    t.test(`${name} -> 200, and the next refresh works`, async (t) => {
      const { plugin, tokens, emailOf } = await signedIn(t)
      await misbehave(plugin)
      const next = tokensOf(await plugin.refresh(tokens.refresh_token))
      t.equal(await emailOf(next.access_token), 'old@example.com')
      plugin.store.advance(NEAR_EXPIRY)
      t.equal((await plugin.refresh(next.refresh_token)).statusCode, 200)
      t.same(presented(plugin).slice(1), ['provider-refresh-1', 'provider-refresh-2'])
      t.equal(plugin.provider.count('/revoke'), 0)
      t.notOk(plugin.events.some(({ event }) => event === 'session.ended'))
    })
  }

  t.test('a key set that hangs keeps the app waiting for 2 s', async (t) => {
    const { plugin, tokens } = await signedIn(t)
    await plugin.provider.rotateKey()
    plugin.provider.behave.jwks = () => {}
    const startedAt = performance.now()
    t.equal((await plugin.refresh(tokens.refresh_token)).statusCode, 200)
    t.ok(performance.now() - startedAt < 4000)
  })
})

t.test('what can be verified brings its claims (H-04, D-14)', async (t) => {
  for (const [name, claims] of Object.entries({
    'a sound one': {},
    'at_hash: null': { at_hash: null },
    'a nonce that nobody sent': { nonce: 'x' },
  })) {
    t.test(name, async (t) => {
      const { plugin, tokens, emailOf } = await signedIn(t)
      Object.assign(plugin.provider.claims, claims)
      const next = tokensOf(await plugin.refresh(tokens.refresh_token))
      t.equal(await emailOf(next.access_token), 'new@example.com')
    })
  }

  t.test('the same claims again are not written again', async (t) => {
    const { plugin, tokens } = await signedIn(t)
    plugin.provider.claims = { email: 'old@example.com' }
    const writes = plugin.store.calls.replace ?? 0
    await plugin.refresh(tokens.refresh_token)
    t.equal((plugin.store.calls.replace ?? 0) - writes, 2, 'the lease and the rotation')
  })

  t.test('a store that fails at the claims -> 200 with the old ones', async (t) => {
    const { plugin, tokens, emailOf } = await signedIn(t)
    plugin.store.fail('replace', 3)
    const next = tokensOf(await plugin.refresh(tokens.refresh_token))
    plugin.store.heal()
    t.equal(await emailOf(next.access_token), 'old@example.com')
  })
})

t.test('a proved other iss, sub or aud ends the session, whoever signed it (D-14)', async (t) => {
  for (const claims of [{ sub: 'mallory' }, { iss: 'https://other.example' }, { aud: 'other' }]) {
    t.test(JSON.stringify(claims), async (t) => {
      const { plugin, tokens } = await signedIn(t)
      await plugin.provider.rotateKey()
      plugin.provider.behave.jwks = say(503, {})
      plugin.provider.claims = claims
      refused(t, await plugin.refresh(tokens.refresh_token), 400, 'invalid_grant')
      t.match(plugin.events.at(-1), { event: 'session.ended', reason: 'provider_subject_mismatch' })
      await until(() => plugin.provider.count('/revoke') === 1)
    })
  }
})

t.test('a subject of our own is compared with nobody (D-14)', async (t) => {
  const plugin = await startPluginApp(t)
  const tokens = await plugin.login()
  plugin.store.advance(NEAR_EXPIRY)
  plugin.provider.behave.token = async (_request, response) =>
    json(response, 200, { access_token: 'a', id_token: await plugin.provider.idToken() })
  t.equal((await plugin.refresh(tokens.refresh_token)).statusCode, 200)
})

t.test('an answer without a usable access token keeps its refresh token (D-11, F-15)', async (t) => {
  for (const [member, value] of Object.entries({ access_token: null, token_type: 'mac', scope: { a: 1 } })) {
    for (const mode of ['', 'fail', 'loseAnswer'] as const) {
      t.test(`${member} ${JSON.stringify(value)}, store: ${mode || 'sound'} -> 502, then 200`, async (t) => {
        const { plugin, tokens } = await signedIn(t)
        const { token } = plugin.provider.behave
        const sound = { access_token: 'a', token_type: 'Bearer', refresh_token: 'only-this' }
        plugin.provider.behave.token = say(200, { ...sound, [member]: value })
        if (mode) plugin.store[mode]('replace', 2)
        refused(t, await plugin.refresh(tokens.refresh_token), 502, 'server_error')
        plugin.store.heal()
        plugin.provider.behave.token = token
        t.equal((await plugin.refresh(tokens.refresh_token)).statusCode, 200)
        t.equal(presented(plugin).at(-1), 'only-this')
        t.equal(plugin.provider.count('/revoke'), 0)
        t.equal(refreshes(plugin), 2)
      })
    }
  }
})
