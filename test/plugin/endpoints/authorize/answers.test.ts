import t from 'tap'
import { refusedLocally, startManyClients, validQuery } from '../../../support/authorize-requests.ts'
import { REDIRECT_URI, startPluginApp } from '../../../support/plugin-app.ts'

const { plugin, app, get } = await startManyClients(t)

t.test('redirects carry no cache, no referrer and no CORS (RFC 9700 §4.2, O2.1, A-22)', async (t) => {
  for (const origin of ['https://evil.example', 'https://spa.example.com', 'null']) {
    for (const query of [validQuery, `${validQuery}&scope=admin`, 'client_id=nope']) {
      const { headers } = await get(query, { origin })
      t.equal(headers['cache-control'], 'no-store')
      t.equal(headers['referrer-policy'], 'no-referrer')
      t.equal(headers['x-content-type-options'], 'nosniff')
      t.same(
        Object.keys(headers).filter((name) => name.startsWith('access-control')),
        [],
      )
    }
    const preflight = await app.inject({
      method: 'OPTIONS',
      url: '/oauth2/authorize',
      headers: { origin, 'access-control-request-method': 'GET' },
    })
    t.equal(preflight.statusCode, 405)
    t.same(
      Object.keys(preflight.headers).filter((name) => name.startsWith('access-control')),
      [],
    )
  }
})

t.test('an error page is static: nothing of the request is in it (CWE-79, A-23)', async (t) => {
  const evil = '"><script>evil</script>'
  const headers = {
    'user-agent': evil,
    referer: evil,
    cookie: `evil=${evil}`,
    accept: 'text/html',
    'x-evil': evil,
  }
  const quoted = encodeURIComponent(evil)
  for (const query of [
    `client_id=${quoted}`,
    `client_id=app&redirect_uri=${quoted}`,
    `${quoted}=1&${quoted}=2`,
    quoted,
  ]) {
    const response = await get(query, headers)
    refusedLocally(t, response)
    t.match(response.headers['content-type'], 'text/html; charset=utf-8')
    t.notMatch(response.body, /evil|<script|<form|<a /)
    const policy = String(response.headers['content-security-policy'])
    for (const directive of ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"])
      t.match(policy, directive)
  }
})

t.test('errors are JSON for a client that accepts nothing else', async (t) => {
  for (const [accept, type] of [
    ['application/json', 'application/json'],
    ['application/json, text/html;q=0.1', 'text/html'],
    ['text/html,application/xhtml+xml,*/*;q=0.8', 'text/html'],
    ['*/*', 'text/html'],
    ['image/png', 'text/html'],
  ] as const) {
    const response = await get('client_id=nope', { accept })
    t.match(response.headers['content-type'], type, accept)
  }
  t.same((await get('client_id=nope', { accept: 'application/json' })).json(), {
    error: 'invalid_request',
    error_description: 'The client is not known here.',
  })
})

t.test(
  'Location keeps the bytes of a registered URI: query, escapes and all (RFC 6749 §3.1.2, B-11)',
  async (t) => {
    for (const [redirect_uri, start] of [
      ['https://app.example.com/cb?tenant=a%20b&x=1', 'https://app.example.com/cb?tenant=a%20b&x=1&error='],
      ['https://app.example.com/cb%2Fencoded/%C3%A9', 'https://app.example.com/cb%2Fencoded/%C3%A9?error='],
      ['http://[::1]:9/callback?y=1', 'http://[::1]:9/callback?y=1&error='],
      ['com.example.app:/cb?x=1', 'com.example.app:/cb?x=1&error='],
    ] as const) {
      const { response } = await plugin.authorize({ redirect_uri, scope: 'admin' })
      t.ok(String(response.headers.location).startsWith(start), String(response.headers.location))
    }
  },
)

t.test(
  'who claims an https URI goes straight on; all others pass a page or a prompt (RFC 8252 §8.6, A-21)',
  async (t) => {
    const redirectUris = [REDIRECT_URI, 'com.example.app:/cb', 'http://127.0.0.1/callback']
    const plugin = await startPluginApp(t, {
      clients: [
        { clientId: 'app', redirectUris },
        { clientId: 'page', redirectUris, interaction: 'page' },
        { clientId: 'prompt', redirectUris, interaction: 'prompt' },
        { clientId: 'none', redirectUris, interaction: 'none' },
      ],
    })
    for (const [client_id, redirect_uri, status, prompt] of [
      ['app', REDIRECT_URI, 302, null],
      ['app', 'com.example.app:/cb', 200, null],
      ['app', 'http://127.0.0.1:5555/callback', 200, null],
      ['page', REDIRECT_URI, 200, null],
      ['prompt', 'com.example.app:/cb', 302, 'consent'],
      ['none', 'com.example.app:/cb', 302, null],
    ] as const) {
      const authorized = await plugin.authorize({ client_id, redirect_uri })
      t.equal(new URL(authorized.location).searchParams.get('prompt'), prompt)
      const response = await plugin.callback(authorized)
      t.equal(response.statusCode, status, `${client_id} ${redirect_uri}`)
      if (status === 200) {
        t.match(response.headers['content-type'], 'text/html')
        t.equal(response.headers.location, undefined)
        t.equal(response.body.match(/<a /g)?.length, 1)
        t.match(response.body, `href="${redirect_uri}?code=pkc_`)
      }
      const refused = await plugin.authorize({ client_id, redirect_uri, scope: 'admin' })
      t.equal(refused.response.statusCode, status, 'errors take the same way')
    }
    t.match(plugin.log(), /client none: interaction is none/, 'a warning at start')
    t.notMatch(plugin.log(), /client (app|page|prompt): interaction/)
  },
)
