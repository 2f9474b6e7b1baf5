import { request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import t from 'tap'
import type { Session } from '../../../plugin/session/session.ts'
import { INVALID_TOKEN, loggedIn, REALM } from '../../support/logged-in.ts'
import { startPluginApp } from '../../support/plugin-app.ts'
import { json } from '../../support/stub-provider.ts'

t.test('the challenge says what was wrong, and no more (RFC 6750 §3, H-05, H-06)', async (t) => {
  const plugin = await loggedIn(t)
  const { access_token } = plugin.tokens
  const narrow = await plugin.login({ scope: 'orders.write' })
  const malformed = `${REALM}, error="invalid_request", error_description="Send exactly one Authorization header with one bearer token."`
  const inQuery = `${REALM}, error="invalid_request", error_description="Access tokens are not accepted in the URL."`
  const scope = `${REALM}, error="insufficient_scope", error_description="The access token lacks a required scope.", scope="orders.read"`
  const rows: [string, string, Record<string, string>, number, string, string][] = [
    ['no credentials', '/protected', {}, 401, REALM, 'token_absent'],
    ['garbage', '/protected', { authorization: 'Bearer garbage' }, 401, INVALID_TOKEN, 'token_unknown'],
    [
      'a well-formed guess',
      '/protected',
      { authorization: `Bearer pka_${'A'.repeat(64)}` },
      401,
      INVALID_TOKEN,
      'token_unknown',
    ],
    [
      'a right selector with a wrong secret',
      '/protected',
      { authorization: `Bearer ${access_token.slice(0, 26)}${'A'.repeat(42)}` },
      401,
      INVALID_TOKEN,
      'token_unknown',
    ],
    [
      'too little scope',
      '/protected',
      { authorization: `Bearer ${narrow.access_token}` },
      403,
      scope,
      'scope_insufficient',
    ],
    [
      'two tokens in one header',
      '/protected',
      { authorization: `Bearer ${access_token} ${access_token}` },
      400,
      malformed,
      'token_malformed',
    ],
    [
      'no token after the scheme',
      '/protected',
      { authorization: 'Bearer ' },
      400,
      malformed,
      'token_malformed',
    ],
    ['a token in the query', `/protected?access_token=${access_token}`, {}, 400, inQuery, 'token_in_query'],
    [
      'an encoded name in the query (P-16)',
      `/protected?x&%61ccess_token=${access_token}`,
      { authorization: `Bearer ${access_token}` },
      400,
      inQuery,
      'token_in_query',
    ],
  ]
  for (const [name, url, headers, status, challenge, reason] of rows) {
    t.test(`${name} -> ${status}`, async (t) => {
      const response = await plugin.app.inject({ url, headers })
      t.equal(response.statusCode, status)
      t.equal(response.headers['www-authenticate'], challenge)
      t.equal(response.headers['cache-control'], 'no-store')
      t.match(plugin.events.at(-1), { event: 'forward.denied', reason }, 'J-04')
      t.notOk(response.body.includes(access_token))
    })
  }

  t.test('a scheme in any case -> 200', async (t) => {
    const response = await plugin.app.inject({
      url: '/protected',
      headers: { authorization: `bEARER ${access_token}` },
    })
    t.equal(response.statusCode, 200)
    t.equal(response.headers['cache-control'], 'no-store')
  })

  t.test('two Authorization headers -> 400, by what was on the wire (P-3)', async (t) => {
    await plugin.app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = plugin.app.server.address() as AddressInfo
    const status = await new Promise((resolve, reject) => {
      const authorization = [`Bearer ${access_token}`, 'Bearer x'] as unknown as string
      httpRequest({ host: '127.0.0.1', port, path: '/protected', headers: { authorization } })
        .on('response', (response) => resolve(response.resume().statusCode))
        .on('error', reject)
        .end()
    })
    t.equal(status, 400)
  })
})

t.test(
  'no credential from before the activation passes, and none from after the end (issue: no forwarding before success)',
  async (t) => {
    const plugin = await startPluginApp(t)
    const authorized = await plugin.authorize()
    const { code } = await plugin.code()
    const expired = await plugin.login()
    const revoked = await plugin.login()
    await plugin.post('revoke', { client_id: 'app', token: revoked.access_token })
    const failing = await plugin.code()
    plugin.store.fail('replace', 2)
    await plugin.redeem(failing.code)
    const lost = plugin.store.written.findLast((text) => text.includes('"status":"active"'))!
    const neverCommitted = (JSON.parse(lost) as { accessTokens: [{ hash: string }] }).accessTokens[0].hash
    plugin.store.advance(601)

    const credentials: Record<string, string> = {
      'our state': authorized.state,
      'our state as an access token': authorized.state.replace('pks_', 'pka_'),
      'our code': code,
      'our code as an access token': code.replace('pkc_', 'pka_'),
      "the provider's code": 'provider-code',
      'a provider token that was issued here': 'provider-access-1',
      'a provider token obtained elsewhere': 'elsewhere',
      'a refresh token': expired.refresh_token,
      'an expired access token': expired.access_token,
      'a revoked access token': revoked.access_token,
      'the hash of a handle that was never committed': neverCommitted,
    }
    for (const [name, credential] of Object.entries(credentials)) {
      t.test(`${name} -> 401`, async (t) => {
        const response = await plugin.call(credential)
        t.equal(response.statusCode, 401)
        t.equal(response.headers['www-authenticate'], INVALID_TOKEN)
      })
    }
  },
)

t.test('an access token ends at its expiry, to the second, warm or cold (G-06, H-04)', async (t) => {
  const plugin = await loggedIn(t)
  plugin.store.advance(599 - 3)
  t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 200)
  plugin.store.advance(4)
  t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 401)
})

t.test('the session that a route sees', async (t) => {
  t.test('has what the route needs, cannot be changed, and hides its credential', async (t) => {
    let session: Session | undefined
    const plugin = await loggedIn(t, { provider: { scope: 'openid' } }, (app) => {
      app.get('/me', { onRequest: app.pkce.requireSession() }, async (request) => {
        session = request.pkceSession
        return session
      })
    })
    const headers = { authorization: `Bearer ${plugin.tokens.access_token}` }
    const response = await plugin.app.inject({ url: '/me', headers })
    t.match(response.json(), {
      subject: 'alice',
      clientId: 'app',
      scope: ['orders.read', 'orders.write'],
      claims: { sub: 'alice' },
    })
    t.notMatch(response.body, 'provider-access')
    t.equal(session?.providerAuthorization, 'Bearer provider-access-1')
    t.throws(() => Object.assign(session!, { subject: 'mallory' }), TypeError)
    t.throws(() => Object.assign(session!.claims, { sub: 'mallory' }), TypeError)
    t.throws(() => (session!.scope as string[]).push('admin'), TypeError)
  })

  t.test('is not there on a route without requireSession: reading it throws', async (t) => {
    const plugin = await loggedIn(t, {}, (app) => {
      app.get('/open', async (request) => request.pkceSession)
    })
    const headers = { authorization: `Bearer ${plugin.tokens.access_token}` }
    const response = await plugin.app.inject({ url: '/open', headers })
    t.equal(response.statusCode, 500)
    t.match(response.body, 'request.pkceSession was read on a route without app.pkce.requireSession')
  })

  t.test('the Authorization value has the registered spelling, whatever the provider writes', async (t) => {
    const plugin = await startPluginApp(t)
    plugin.provider.behave.token = (_request, response) =>
      json(response, 200, { access_token: 'a', token_type: 'bEARER', expires_in: 3600 })
    const { access_token } = await plugin.login()
    t.match((await plugin.call(access_token)).json(), { authorization: 'Bearer a' })
  })
})
