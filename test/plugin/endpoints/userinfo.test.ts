import t, { type Test } from 'tap'
import { loggedIn } from '../../support/logged-in.ts'
import { REDIRECT_URI, startPluginApp } from '../../support/plugin-app.ts'
import { revoke } from '../../support/revoke-requests.ts'
import { json } from '../../support/stub-provider.ts'

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
