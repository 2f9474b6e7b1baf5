import t from 'tap'
import {
  AGENT,
  agentOptions,
  described,
  loginAgent,
  openConsent,
  register,
  startAgentApp,
} from '../../../support/agents.ts'
import { CHALLENGE } from '../../../support/plugin-app.ts'

t.test('registered clients are found at once, and are as they were (N-03)', async (t) => {
  let asked = 0
  const clientId = 'https://registered.example.com/client'
  const clients = [{ clientId, redirectUris: ['https://app.example.com/callback'], scopes: ['orders.write'] }]
  const plugin = await startAgentApp(t, { clients }, async () => {
    asked += 1
    return described()
  })
  const { response } = await plugin.authorize({ client_id: clientId })
  t.equal(response.statusCode, 302, 'a registered address is registered: no page')
  t.equal(asked, 0)
})

t.test(
  'revocation, userinfo, introspection and the list of sessions know them (N-03, N-04, S-02)',
  async (t) => {
    const resourceServers = [{ clientId: 'api', clientSecret: 'api-secret' }]
    const plugin = await startAgentApp(t, { resourceServers, provider: { scope: 'openid' } })
    const { client_id } = (await register(plugin)).json()
    const byDocument = (await loginAgent(plugin, AGENT)).json()
    const byRegistration = (await loginAgent(plugin, client_id)).json()
    const bearer = { authorization: `Bearer ${byDocument.access_token}` }

    const { sessions } = (await plugin.app.inject({ url: '/oauth2/sessions', headers: bearer })).json()
    t.same(
      sessions
        .map(({ client_id: id, client_name, client_registered }: Record<string, unknown>) => [
          id,
          client_name,
          client_registered,
        ])
        .sort(),
      [
        [client_id, 'Example Agent', false],
        [AGENT, 'agent.example.com', false],
      ].sort(),
    )
    const userinfo = await plugin.app.inject({ url: '/oauth2/userinfo', headers: bearer })
    t.same(Object.keys(userinfo.json()), ['sub'], 'no claim but who it is')
    const introspected = await plugin.post('introspect', {
      token: byDocument.access_token,
      client_id: 'api',
      client_secret: 'api-secret',
    })
    t.match(introspected.json(), { active: true, client_id: AGENT, scope: 'orders.read' })

    const foreign = await plugin.post('revoke', { client_id: AGENT, token: byRegistration.access_token })
    t.equal(foreign.statusCode, 200)
    t.equal(
      (await plugin.call(byRegistration.access_token)).statusCode,
      200,
      "another client's is left alone",
    )
    await plugin.post('revoke', { client_id: AGENT, token: byDocument.refresh_token })
    t.equal((await plugin.call(byDocument.access_token)).statusCode, 401)
    t.equal((await plugin.call(byRegistration.access_token)).statusCode, 200)
  },
)

t.test('a code or a refresh token of one is nothing to another (C-12, D-12, N-04)', async (t) => {
  const plugin = await startAgentApp(t)
  const one = (await register(plugin)).json().client_id
  const other = (await register(plugin)).json().client_id
  const { refresh_token } = (await loginAgent(plugin, one)).json()
  for (const client_id of [other, AGENT, 'app']) {
    const refused = await plugin.refresh(refresh_token, { client_id })
    t.equal(refused.json().error, 'invalid_grant', client_id)
  }
  t.equal((await plugin.refresh(refresh_token, { client_id: one })).statusCode, 200)
  const secret = await plugin.refresh(refresh_token, { client_id: one, client_secret: 'x' })
  t.equal(secret.json().error, 'invalid_client', 'it is public')
})

t.test('limits count by address, however many names there are (A-20, J-05, N-03)', async (t) => {
  const fetched = async (url: URL) => described({ client_id: url.href })
  const rateLimit = { authorize: { max: 5, windowMs: 60_000 } }
  const plugin = await startAgentApp(t, { rateLimit }, fetched)
  const statuses: number[] = []
  for (let n = 0; n < 8; n++) {
    statuses.push((await openConsent(plugin, `https://${n}.example.com/agent`)).response.statusCode)
  }
  t.same(statuses, [200, 200, 200, 200, 200, 429, 429, 429])
})

t.test('the log has the host of an address, and listeners all of it (J-03, N-03)', async (t) => {
  const address = 'https://agent.example.com/a?token=hunter2'
  const plugin = await startAgentApp(t, {}, async () => described({ client_id: address }))
  t.equal((await loginAgent(plugin, address)).statusCode, 200)
  t.match(plugin.log(), '"clientId":"https://agent.example.com/…"')
  t.notMatch(plugin.log(), 'hunter2')
  t.match(plugin.events.at(-1), { event: 'session.activated', clientId: address })
})

t.test('what the operator turns off ends for those who were let in (N-03, N-04)', async (t) => {
  const secrets = ['A'.repeat(43)]
  const before = await startAgentApp(t, { secrets })
  const { client_id } = (await register(before)).json()
  const byDocument = (await loginAgent(before, AGENT)).json()
  const byRegistration = (await loginAgent(before, client_id)).json()
  for (const [agents, expected] of [
    [agentOptions.agents, [200, 200]],
    [{ ...agentOptions.agents, registration: false }, [200, 401]],
    [{ ...agentOptions.agents, metadataDocuments: false }, [401, 200]],
    [{ ...agentOptions.agents, allowedHosts: ['other.example.com'] }, [401, 200]],
    [{ ...agentOptions.agents, scopes: [] }, [403, 403]],
    [{}, [401, 401]],
  ] as const) {
    const after = await startAgentApp(t, {
      secrets,
      store: before.store,
      agents,
      provider: { issuer: before.provider.issuer },
    } as never)
    const statuses = [
      (await after.call(byDocument.access_token)).statusCode,
      (await after.call(byRegistration.access_token)).statusCode,
    ]
    t.same(statuses, expected, JSON.stringify(agents))
  }
})

t.test('metadata says what is let in (N-03, N-04, RFC 8414)', async (t) => {
  const metadataOf = async (agents: object | undefined) => {
    const plugin = await startAgentApp(t, { agents } as never)
    return (await plugin.app.inject('/.well-known/oauth-authorization-server')).json()
  }
  const off = await metadataOf({ scopes: ['orders.read'], allowedOrigins: ['https://a.example'] })
  t.equal(off.registration_endpoint, undefined)
  t.equal(off.client_id_metadata_document_supported, undefined)
  const on = await metadataOf({ ...agentOptions.agents, scopes: ['orders.read'] })
  t.match(on, {
    registration_endpoint: 'https://api.example.com/oauth2/register',
    client_id_metadata_document_supported: true,
    token_endpoint_auth_methods_supported: ['none'],
    scopes_supported: ['orders.read', 'orders.write'],
  })
})

t.test('with everything off, there is nobody but who is registered (N-03, N-04)', async (t) => {
  let asked = 0
  const plugin = await startAgentApp(t, { agents: {} }, async () => {
    asked += 1
    return described()
  })
  const query = new URLSearchParams({
    client_id: AGENT,
    redirect_uri: 'http://127.0.0.1/callback',
    response_type: 'code',
    code_challenge: CHALLENGE,
    code_challenge_method: 'S256',
  })
  const page = await plugin.app.inject(`/oauth2/authorize?${query}`)
  t.equal(page.statusCode, 400)
  t.equal(asked, 0)
  t.equal((await plugin.post('consent', {})).statusCode, 404)
  t.equal(
    (await plugin.post('token', { grant_type: 'refresh_token', client_id: AGENT, refresh_token: 'x' }))
      .statusCode,
    401,
  )
})
