import t from 'tap'
import { loggedIn } from '../../../support/logged-in.ts'
import { type PluginApp, REDIRECT_URI, startPluginApp } from '../../../support/plugin-app.ts'
import { NEAR_EXPIRY, say, tokensOf } from '../../../support/refresh-requests.ts'
import { type Behaviour, startStubProvider } from '../../../support/stub-provider.ts'
import { refused } from '../../../support/token-requests.ts'

const withClaims = [{ clientId: 'app', redirectUris: [REDIRECT_URI], claims: ['email', 'name'] }]

/** The warnings in the log, each with what belongs to it. */
function warnings(plugin: PluginApp): Record<string, unknown>[] {
  const lines = plugin.log().trim().split('\n')
  return lines.map((line) => JSON.parse(line)).filter(({ level }) => level === 40)
}

async function claimsOf(plugin: PluginApp, accessToken: string): Promise<unknown> {
  const headers = { authorization: `Bearer ${accessToken}` }
  return (await plugin.app.inject({ url: '/oauth2/userinfo', headers })).json()
}

t.test('where an id_token has said who it is, a userinfo that fails costs its claims (F-17)', async (t) => {
  const rows: [string, Behaviour][] = [
    ['401', say(401, { error: 'invalid_token' })],
    ['403 without a body', (_request, response) => response.writeHead(403).end()],
    ['503', say(503, {})],
    ['a page', (_request, response) => response.writeHead(200, { 'content-type': 'text/html' }).end('<p>')],
    ['a closed connection', (_request, response) => response.destroy()],
    ['claims of nobody', say(200, { email: 'nobody@example.com' })],
  ]
  for (const [name, behaviour] of rows) {
    t.test(`${name} -> 200, the claims of the id_token, one warning`, async (t) => {
      const plugin = await startPluginApp(t, { clients: withClaims, provider: { scope: 'openid' } })
      plugin.provider.claims = { name: 'Alice' }
      plugin.provider.behave.userinfo = behaviour
      const { access_token } = await plugin.login()
      t.same(await claimsOf(plugin, access_token), { sub: 'alice', name: 'Alice' })
      const [warning, ...more] = warnings(plugin).filter(({ msg }) =>
        /^userinfo of the provider/.test(String(msg)),
      )
      t.match(warning, { msg: /the login goes on without its claims/, err: { cause: { message: String } } })
      t.same(more, [])
      t.notMatch(plugin.log(), /provider-access|nobody@example/)
    })
  }
})

t.test('without an id_token, userinfo is required (F-17)', async (t) => {
  const provider = await startStubProvider()
  t.teardown(() => provider.close())
  const endpoints = {
    authorizationEndpoint: `${provider.issuer}/authorize`,
    tokenEndpoint: `${provider.issuer}/token`,
    userinfoEndpoint: `${provider.issuer}/userinfo`,
  }
  const plugin = await startPluginApp(t, { clients: withClaims, provider: endpoints }, { provider })
  for (const [behaviour, status, error] of [
    [say(401, { error: 'invalid_token' }), 502, 'server_error'],
    [say(503, {}), 503, 'temporarily_unavailable'],
  ] as const) {
    provider.behave.userinfo = behaviour
    const { code } = await plugin.code()
    refused(t, await plugin.redeem(code), status, error)
  }
})

t.test('GitHub: a number of userinfo is the subject, the same at the next login (F-17)', async (t) => {
  const provider = await startStubProvider()
  t.teardown(() => provider.close())
  const github = {
    authorizationEndpoint: `${provider.issuer}/authorize`,
    tokenEndpoint: `${provider.issuer}/token`,
    userinfoEndpoint: `${provider.issuer}/userinfo`,
    scope: 'read:user',
    subjectClaim: 'id',
  }
  const clients = [{ clientId: 'app', redirectUris: [REDIRECT_URI], claims: ['login', 'email'] }]
  const plugin = await startPluginApp(t, { clients, provider: github }, { provider })
  provider.behave.userinfo = say(200, { id: 583231, login: 'octocat', email: null })
  for (const login of ['first', 'second']) {
    const { access_token } = await plugin.login()
    t.same(await claimsOf(plugin, access_token), { sub: '583231', login: 'octocat' }, login)
  }
  t.equal((await plugin.app.pkce.sessionsOf('583231')).length, 2)
  const named = provider.requests.filter(({ path }) => path === '/userinfo')
  t.ok(named.every(({ headers }) => headers['user-agent'] === 'fastify-pkce'))
  t.same(
    warnings(plugin)
      .map(({ msg }) => msg)
      .filter((msg) => /subject/.test(String(msg))),
    [],
  )
})

t.test('scopes that were passed on: what the provider has answered', async (t) => {
  const answering = (scope: unknown) =>
    say(200, { access_token: 'a', refresh_token: 'r', token_type: 'Bearer', expires_in: 3600, scope })
  const clients = [
    {
      clientId: 'app',
      redirectUris: [REDIRECT_URI],
      scopes: ['orders.read', 'repo', 'read:user', 'x,y'],
      providerScopes: ['repo', 'read:user', 'x,y'],
    },
  ]

  for (const [scope, expected] of [
    [['repo', 'read:user'], 'orders.read repo read:user'],
    ['repo,read:user', 'orders.read repo read:user'],
    ['api,repo', 'orders.read repo'],
    [['api', 'repo,read:user'], 'orders.read repo read:user'],
    ['repo x,y', 'orders.read repo x,y'],
    ['repo repo,other', 'orders.read repo'],
    [null, 'orders.read repo read:user x,y'],
  ] as const) {
    t.test(`${JSON.stringify(scope)} -> ${expected} (F-15, F-16)`, async (t) => {
      const plugin = await startPluginApp(t, { clients })
      plugin.provider.behave.token = answering(scope)
      t.equal((await plugin.login()).scope, expected)
      t.notOk(warnings(plugin).some(({ asked }) => asked))
    })
  }

  t.test('none of them at a login -> a warning with what was asked and answered (F-15)', async (t) => {
    const plugin = await startPluginApp(t, { clients })
    plugin.provider.behave.token = answering(`repository ${'x'.repeat(300)}`)
    t.equal((await plugin.login()).scope, 'orders.read')
    const lost = warnings(plugin).filter(({ asked }) => asked)
    t.match(lost, [{ clientId: 'app', asked: 'repo read:user x,y', answered: /^repository x{189}$/ }])
    t.equal(lost.length, 1)
  })

  t.test('none of them at a refresh -> the same, once (F-15)', async (t) => {
    const plugin = await loggedIn(t, { clients })
    plugin.provider.behave.token = answering([])
    let { refresh_token } = plugin.tokens
    for (const round of [1, 2]) {
      plugin.store.advance(NEAR_EXPIRY)
      const next = tokensOf(await plugin.refresh(refresh_token))
      t.equal(next.scope, 'orders.read', `round ${round}`)
      refresh_token = next.refresh_token
    }
    t.match(
      warnings(plugin).filter(({ asked }) => asked),
      [{ asked: 'repo read:user x,y', answered: '' }],
    )
  })
})
