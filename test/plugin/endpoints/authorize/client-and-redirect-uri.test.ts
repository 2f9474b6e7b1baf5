import t from 'tap'
import { refusedLocally, startManyClients, validQuery } from '../../../support/authorize-requests.ts'
import { startPluginApp } from '../../../support/plugin-app.ts'

const { plugin, app, get, transactions } = await startManyClients(t)

t.test('GET alone begins a login; every other method is 405 (RFC 6749 §3.1, A-01)', async (t) => {
  const before = transactions()
  for (const method of ['HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'] as const) {
    const response = await app.inject({ method: method as 'GET', url: `/oauth2/authorize?${validQuery}` })
    refusedLocally(t, response, 405, method)
    t.equal(response.headers.allow, 'GET')
    t.equal(response.headers['cache-control'], 'no-store')
  }
  t.equal(transactions(), before, 'nothing stored')
  t.equal((await get(validQuery)).statusCode, 302)
})

t.test('a client that is not known is told here, not by a redirect (RFC 6749 §4.1.2.1, A-02)', async (t) => {
  const before = transactions()
  for (const client_id of [
    'nope',
    'disabled',
    '',
    'app ',
    'App',
    'x'.repeat(257),
    'app\u0000',
    'äpp',
    '__proto__',
    'constructor',
  ]) {
    refusedLocally(t, (await plugin.authorize({ client_id })).response, 400, client_id.slice(0, 20))
  }
  refusedLocally(t, (await plugin.authorize({ client_id: undefined })).response)
  refusedLocally(t, await get(`${validQuery}&client_id=app`), 400, 'twice')
  t.equal(transactions(), before)
  t.equal(
    (await plugin.authorize({ client_id: 'x'.repeat(256) })).response.statusCode,
    302,
    '256 are allowed',
  )
})

t.test(
  'a redirect URI is compared byte for byte, before anything else (RFC 9700 §2.1, A-03, A-05)',
  async (t) => {
    for (const redirect_uri of [
      'https://app.example.com/callback/',
      'https://app.example.com/callback?',
      'https://app.example.com/callback#',
      'https://app.example.com/callback?x=1',
      'https://app.example.com:443/callback',
      'https://APP.example.com/callback',
      'HTTPS://app.example.com/callback',
      'http://app.example.com/callback',
      'https://app.example.com/call%62ack',
      'https://app.example.com/cb/encoded/%C3%A9',
      'https://app.example.com/cb%2fencoded/%C3%A9',
      'https://app.example.com/cb%2Fencoded/é',
      'https://app.example.com/callback/../evil',
      'https://app.example.com/callback/..;/x',
      'https://app.example.com/callback\\@evil.example',
      'https://app.example.com@evil.example/callback',
      'https://evil.example/callback',
      ' https://app.example.com/callback',
      'com.example.app:/CB?x=1',
      'com.example.app://cb?x=1',
      'javascript:alert(1)',
      '',
    ]) {
      refusedLocally(t, (await plugin.authorize({ redirect_uri })).response, 400, redirect_uri)
    }
    refusedLocally(t, (await plugin.authorize({ redirect_uri: undefined, response_type: 'token' })).response)
    refusedLocally(
      t,
      (
        await plugin.authorize({
          redirect_uri: 'https://evil.example',
          response_type: 'x',
          state: '\u0007',
        })
      ).response,
    )
  },
)

t.test('a loopback literal matches any port and nothing else (RFC 8252 §7.3, A-04)', async (t) => {
  for (const redirect_uri of [
    'http://127.0.0.1:49152/callback',
    'http://127.0.0.1:1/callback',
    'http://127.0.0.1:65535/callback',
    'http://127.0.0.1/callback',
    'http://[::1]:9/callback?y=1',
  ]) {
    t.equal((await plugin.authorize({ redirect_uri })).response.statusCode, 302, redirect_uri)
  }
  for (const redirect_uri of [
    'http://127.1:1/callback',
    'http://2130706433:1/callback',
    'http://0x7f.0.0.1:1/callback',
    'http://127.0.0.1.:1/callback',
    'http://user@127.0.0.1:1/callback',
    'http://127.0.0.1:1@evil.example/callback',
    'http://127.0.0.1:0/callback',
    'http://127.0.0.1:01/callback',
    'http://127.0.0.1:99999/callback',
    'http://127.0.0.1:65536/callback',
    'http://127.0.0.1:/callback',
    'http://127.0.0.1:1/callback/',
    'http://127.0.0.1:1/callback?y=1',
    'http://localhost:1/callback',
    'https://127.0.0.1:1/callback',
    'http://[::1]:1/callback',
    'http://[0:0:0:0:0:0:0:1]:1/callback?y=1',
  ]) {
    refusedLocally(t, (await plugin.authorize({ redirect_uri })).response, 400, redirect_uri)
  }
})

t.test(
  'localhost is a loopback host of its own, two slashes are a scheme of their own (A-04, A-06)',
  async (t) => {
    const { authorize } = await startPluginApp(t, {
      clients: [{ clientId: 'app', redirectUris: ['http://localhost', 'com.example.app://cb'] }],
    })
    for (const redirect_uri of ['http://localhost:5173', 'http://localhost:1/', 'com.example.app://cb']) {
      t.equal((await authorize({ redirect_uri })).response.statusCode, 302, redirect_uri)
    }
    for (const redirect_uri of [
      'http://127.0.0.1:5173',
      'http://[::1]:5173/',
      'http://localhost:5173/cb',
      'http://LOCALHOST:5173/',
      'com.example.app:/cb',
    ]) {
      refusedLocally(t, (await authorize({ redirect_uri })).response, 400, redirect_uri)
    }
  },
)

t.test(
  'each refusal is an audit event with its reason, and no redirect follows an unproved URI (J-04)',
  async (t) => {
    plugin.events.length = 0
    await get('client_id=nope')
    await plugin.authorize({ scope: 'admin' })
    t.match(plugin.events, [
      { event: 'authorize.refused', reason: 'authorize_client_unknown' },
      { event: 'authorize.refused', reason: 'scope_not_allowed', clientId: 'app' },
    ])
  },
)
