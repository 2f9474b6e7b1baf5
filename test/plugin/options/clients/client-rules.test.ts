import t from 'tap'
import { least, oneProblem, problemsOf, withClient } from '../../../support/plugin-options.ts'

t.test('redirect URIs are linted by an allow-list (RFC 8252 §7, O2.1, A-06)', async (t) => {
  for (const uri of [
    'https://app.example.com/cb',
    'https://app.example.com',
    'https://app.example.com:8443/cb?x=1',
    'http://127.0.0.1/cb',
    'http://127.0.0.1:8080/cb',
    'http://[::1]/cb',
    'http://localhost/cb',
    'http://localhost:8080',
    'http://127.0.0.1',
    'com.example.app:/cb',
    'com.example.app://cb',
    'com.example.app:/',
    'com.example-app.x+y:/cb?x=1',
  ]) {
    t.same(problemsOf(withClient({ redirectUris: [uri] })), [], uri)
  }
  for (const uri of [
    'myapp:/cb',
    'myapp://cb',
    'com.example.app:///cb',
    'com.example.app://u@cb',
    'com.example.app:cb',
    'Com.Example.App:/cb',
    'java\nscript:alert(1)',
    'javascript:alert(1)',
    'java.script:alert(1)',
    'data:text/html,x',
    'file:///etc/passwd',
    'blob:https://x',
    'intent://x#Intent;end',
    'urn:ietf:wg:oauth:2.0:oob',
    'http://app.example.com/cb',
    'http://localhost.example.com/cb',
    'http://localhost:99999/cb',
    'http://127.1/cb',
    'http://127.0.0.1:99999/cb',
    'https://user:pw@app.example.com/cb',
    'https://app.example.com@evil.example/cb',
    'https:/app.example.com/cb',
    'https:app.example.com',
    'https://app.example.com/cb#x',
    'https://app.example.com/cb#',
    'https://*.example.com/cb',
    'https://app.example.com/*',
    'https://app.example.com/a b',
    'https://app.example.com\\@evil.example',
    'https://app.example.com/cb?code=x',
    'https://app.example.com/cb?st%61te=x',
    'https://app.example.com/%zz',
    'https://app.example.com/ä',
    'https://',
    ' https://app.example.com/cb',
    '//app.example.com/cb',
    '/cb',
    '',
  ]) {
    oneProblem(
      t,
      withClient({ redirectUris: [uri] }),
      'clients[0].redirectUris[0]',
      undefined,
      JSON.stringify(uri),
    )
  }
})

t.test('clients: what contradicts itself', async (t) => {
  oneProblem(t, withClient({ clientSecret: 'x' }), 'clients[0].clientSecret', 'authentication is none')
  oneProblem(
    t,
    withClient({ authentication: 'client_secret_post' }),
    'clients[0].clientSecret',
    'is required',
  )
  oneProblem(t, withClient({ scopes: ['a'], providerScopes: ['b'] }), 'clients[0].providerScopes[0]')
  oneProblem(t, withClient({ scopes: ['quoted"'] }), 'clients[0].scopes[0]', 'RFC 6749 §3.3')
  oneProblem(t, withClient({ passThrough: ['state'] }), 'clients[0].passThrough[0]', 'login_hint')
  for (const origin of [
    '*',
    'null',
    'https://spa.example.com/',
    'https://spa.example.com:443',
    'https://SPA.example.com',
    'http://spa.example.com',
    'http://localhost',
    'https://*.example.com',
    'https://a:99999',
  ]) {
    oneProblem(t, withClient({ allowedOrigins: [origin] }), 'clients[0].allowedOrigins[0]', undefined, origin)
  }
  for (const origin of [
    'https://spa.example.com',
    'https://spa.example.com:8443',
    'http://localhost:5173',
    'http://127.0.0.1:5173',
    'http://[::1]:5173',
  ]) {
    t.same(problemsOf(withClient({ allowedOrigins: [origin] })), [], origin)
  }
  const servers = [{ clientId: 'app', clientSecret: 'x' }]
  oneProblem(t, { ...least(), resourceServers: servers }, 'resourceServers[0].clientId', 'is taken')
})

t.test(
  'dpop is one of three, and not for relayed tokens, which work elsewhere without a proof (O-01)',
  async (t) => {
    for (const dpop of ['off', 'allowed', 'required']) t.same(problemsOf(withClient({ dpop })), [])
    oneProblem(t, withClient({ dpop: 'on' }), 'clients[0].dpop')
    oneProblem(
      t,
      { ...withClient({ dpop: 'allowed' }), tokens: 'relay' },
      'clients[0].dpop',
      /tokens is relay/,
    )
    t.same(problemsOf({ ...withClient({ dpop: 'off' }), tokens: 'relay' }), [])
  },
)
