import t from 'tap'
import { PUBLIC_URL, REDIRECT_URI, startPluginApp, WELL_KNOWN } from '../../../support/plugin-app.ts'

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

t.test('metadata', async (t) => {
  const plugin = await startPluginApp(t)
  const { app } = plugin

  for (const url of WELL_KNOWN) {
    await t.test(`${url} says what there is and nothing else (RFC 8414 §2, RFC 9207 §3, E-13)`, async (t) => {
      const response = await app.inject({
        url,
        headers: { host: 'evil.example', 'x-forwarded-host': 'evil' },
      })
      t.equal(response.statusCode, 200)
      t.match(response.headers['content-type'], 'application/json')
      t.same(response.json(), {
        issuer: PUBLIC_URL,
        authorization_endpoint: `${PUBLIC_URL}/oauth2/authorize`,
        pushed_authorization_request_endpoint: `${PUBLIC_URL}/oauth2/par`,
        token_endpoint: `${PUBLIC_URL}/oauth2/token`,
        revocation_endpoint: `${PUBLIC_URL}/oauth2/revoke`,
        userinfo_endpoint: `${PUBLIC_URL}/oauth2/userinfo`,
        jwks_uri: `${PUBLIC_URL}/oauth2/jwks`,
        response_types_supported: ['code'],
        response_modes_supported: ['query'],
        grant_types_supported: ['authorization_code', 'refresh_token'],
        subject_types_supported: ['public'],
        id_token_signing_alg_values_supported: ['RS256'],
        token_endpoint_auth_methods_supported: ['none'],
        revocation_endpoint_auth_methods_supported: ['none'],
        code_challenge_methods_supported: ['S256'],
        authorization_response_iss_parameter_supported: true,
        scopes_supported: ['orders.read', 'orders.write'],
      })
      t.notMatch(response.body, 'plain')
    })
  }

  await t.test('every endpoint in it exists, and jwks is a set without keys (RFC 7517 §5)', async (t) => {
    const metadata = (await app.inject(WELL_KNOWN[0]!)).json() as Record<string, unknown>
    for (const [name, value] of Object.entries(metadata)) {
      if (!/_endpoint$|_uri$/.test(name)) continue
      const response = await app.inject(new URL(String(value)).pathname)
      t.not(response.statusCode, 404, name)
    }
    t.same((await app.inject('/oauth2/jwks')).json(), { keys: [] })
  })

  await t.test('there is no logout: apps call revoke (E-07)', async (t) => {
    for (const url of [
      '/oauth2/logout',
      '/oauth2',
      '/oauth2/',
      '/oauth2/token/',
      '/oauth2//token',
      '/OAUTH2/token',
    ]) {
      t.equal((await app.inject(url)).statusCode, 404, url)
    }
  })

  await t.test(
    'every route refuses the methods that it does not have, and does nothing (RFC 9110 §15.5.6)',
    async (t) => {
      const endpoints: [string, string[]][] = [
        ['/oauth2/authorize', ['GET']],
        ['/oauth2/par', ['POST']],
        ['/oauth2/callback', ['GET']],
        ['/oauth2/token', ['POST']],
        ['/oauth2/revoke', ['POST']],
        ['/oauth2/introspect', ['POST']],
        ['/oauth2/userinfo', ['GET', 'POST']],
        ['/oauth2/jwks', ['GET']],
        ...WELL_KNOWN.map((url): [string, string[]] => [url, ['GET']]),
      ]
      plugin.store.countCalls()
      for (const [url, methods] of endpoints) {
        for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE']) {
          if (methods.includes(method)) continue
          const response = await app.inject({
            method: method as 'GET',
            url,
            headers: { ...FORM, accept: 'application/json' },
            ...(method !== 'HEAD' && method !== 'TRACE' && { payload: 'grant_type=refresh_token' }),
          })
          t.equal(response.statusCode, 405, `${method} ${url}`)
          t.equal(response.headers.allow, methods.join(', '))
          t.equal(response.headers['cache-control'], 'no-store')
          if (method !== 'HEAD') t.equal(response.json().error, 'invalid_request')
        }
      }
      t.equal(plugin.store.countCalls(), 0)
    },
  )
})

t.test('metadata follows the configuration (E-13, E-04)', async (t) => {
  const plugin = await startPluginApp(t, {
    routePrefix: '/auth/v2',
    resourceServers: [{ clientId: 'api', clientSecret: 'secret' }],
    clients: [
      {
        clientId: 'web',
        redirectUris: [REDIRECT_URI],
        authentication: 'client_secret_basic',
        clientSecret: 's',
        scopes: ['a'],
      },
      { clientId: 'off', redirectUris: [REDIRECT_URI], enabled: false, scopes: ['secret-scope'] },
    ],
  })
  const metadata = (await plugin.app.inject(WELL_KNOWN[1]!)).json()
  t.match(metadata, {
    authorization_endpoint: `${PUBLIC_URL}/auth/v2/authorize`,
    introspection_endpoint: `${PUBLIC_URL}/auth/v2/introspect`,
    introspection_endpoint_auth_methods_supported: ['client_secret_basic', 'client_secret_post'],
    token_endpoint_auth_methods_supported: ['none', 'client_secret_basic'],
  })
  t.same(metadata.scopes_supported, ['a'])
  t.equal((await plugin.app.inject('/auth/v2/jwks')).statusCode, 200)
  t.equal((await plugin.app.inject('/oauth2/jwks')).statusCode, 404)
})
