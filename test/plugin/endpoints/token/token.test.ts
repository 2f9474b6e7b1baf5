import { request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { LightMyRequestResponse } from 'fastify'
import t from 'tap'
import { eventsOf } from '../../../support/logged-in.ts'
import { type PluginApp, REDIRECT_URI, startPluginApp, VERIFIER } from '../../../support/plugin-app.ts'
import { refused, stillGood } from '../../../support/token-requests.ts'

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }

const fields = (code: string, overrides: Record<string, string> = {}) => ({
  grant_type: 'authorization_code',
  client_id: 'app',
  code,
  redirect_uri: REDIRECT_URI,
  code_verifier: VERIFIER,
  ...overrides,
})
const body = (code: string, overrides: Record<string, string> = {}) =>
  new URLSearchParams(fields(code, overrides)).toString()

/** POST to the token endpoint of anything, as it is. */
function send(
  { app }: PluginApp,
  payload: string | Buffer | undefined,
  headers: Record<string, string> = FORM,
  url = '/oauth2/token',
): Promise<LightMyRequestResponse> {
  return app.inject({ method: 'POST', url, headers, ...(payload !== undefined && { payload }) })
}

t.test('Appendix A, step 1: only POST', async (t) => {
  const plugin = await startPluginApp(t)
  for (const method of ['GET', 'HEAD', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const) {
    t.test(`${method} -> 405 and Allow, the code untouched (RFC 6749 §3.2, C-01)`, async (t) => {
      const { code } = await plugin.code()
      const response = await plugin.app.inject({ method, url: `/oauth2/token?${body(code)}` })
      t.equal(response.statusCode, 405)
      t.equal(response.headers.allow, 'POST')
      t.equal(response.headers['cache-control'], 'no-store')
      await stillGood(t, plugin, code)
    })
  }
})

t.test(
  'Appendix A, step 2: a burst -> 429 and Retry-After before the store is asked (J-05, J-07)',
  async (t) => {
    const plugin = await startPluginApp(t, {
      rateLimit: { token: { max: 2, windowMs: 60_000 }, authorize: { max: 100, windowMs: 60_000 } },
    })
    const { code } = await plugin.code()
    await plugin.redeem(`pkc_${'A'.repeat(64)}`)
    await plugin.redeem(`pkc_${'A'.repeat(64)}`)
    plugin.store.countCalls()
    const response = await plugin.redeem(code)
    refused(t, response, 429, 'temporarily_unavailable')
    t.match(response.headers['retry-after'], /^[1-9][0-9]*$/)
    t.equal(plugin.store.countCalls(), 0)
    t.equal(plugin.provider.count('/token'), 0)
  },
)

t.test('Appendix A, step 3: what is no form is refused unread, and the code stays usable', async (t) => {
  const rows: [
    string,
    (code: string) => Parameters<typeof send> extends [unknown, ...infer R] ? R : never,
    number,
  ][] = [
    ['JSON', (code) => [JSON.stringify(fields(code)), { 'content-type': 'application/json' }], 400],
    ['text/plain', (code) => [body(code), { 'content-type': 'text/plain' }], 400],
    ['no media type', (code) => [Buffer.from(body(code)), {}], 400],
    ['multipart', (code) => [body(code), { 'content-type': 'multipart/form-data; boundary=x' }], 400],
    [
      'another charset',
      (code) => [body(code), { 'content-type': `${FORM['content-type']}; charset=utf-16` }],
      400,
    ],
    [
      'a list of media types',
      (code) => [body(code), { 'content-type': `${FORM['content-type']}, text/plain` }],
      400,
    ],
    [
      'garbage after the media type',
      (code) => [body(code), { 'content-type': `${FORM['content-type']} x` }],
      400,
    ],
    [
      'a tab before the media type parameter',
      (code) => [body(code), { 'content-type': `${FORM['content-type']}\t;a=b` }],
      400,
    ],
    ['Content-Encoding (C-03)', (code) => [body(code), { ...FORM, 'content-encoding': 'gzip' }], 415],
    ['17 KiB (C-03)', (code) => [`${body(code)}&x=${'x'.repeat(17 * 1024)}`], 413],
    [
      '33 parameters (C-03)',
      (code) => [`${body(code)}&${Array.from({ length: 28 }, (_, i) => `x${i}=1`).join('&')}`],
      400,
    ],
    ['a broken escape (C-04)', (code) => [`${body(code)}&scope=%zz`], 400],
    ['invalid UTF-8 (C-04)', (code) => [`${body(code)}&scope=%c0%af`], 400],
    ['NUL (C-04)', (code) => [`${body(code)}&scope=%00`], 400],
    [
      'a line feed at the end of the verifier (C-04)',
      (code) => [`${body(code, { code_verifier: `${VERIFIER}\n` })}`],
      400,
    ],
    ['a repeated name (C-05)', (code) => [`${body(code)}&code=${code}`], 400],
    ['a repeated name, empty and encoded (C-05)', (code) => [`${body(code)}&%63ode=`], 400],
    ['parameters in the URL (C-01)', (code) => [body(code), FORM, `/oauth2/token?code=${code}`], 400],
    ['an empty body', () => [''], 400],
    ['no body', () => [undefined], 400],
  ]
  const plugin = await startPluginApp(t)
  for (const [name, make, status] of rows) {
    t.test(`${name} -> ${status} invalid_request (C-02)`, async (t) => {
      const { code } = await plugin.code()
      plugin.store.countCalls()
      refused(t, await send(plugin, ...make(code)), status, 'invalid_request')
      t.equal(plugin.store.countCalls(), 0, 'the store was not asked')
      await stillGood(t, plugin, code)
    })
  }

  const ignored = [
    '__proto__=x&constructor=y&resource=https%3A%2F%2Fz&nonce=n',
    'resource=https%3A%2F%2Fa&resource=https%3A%2F%2Fb',
    '__proto__=x&__proto__=y',
    'token=a&token=b',
    'x=%zz&y=f%FCr&f%FCr=1&%=1&z=%00',
  ]
  for (const extra of ignored) {
    t.test(`what is not read is ignored: ${extra} (RFC 6749 §3.2, RFC 8707 §2, C-05)`, async (t) => {
      const { code } = await plugin.code()
      const login = await send(plugin, `${body(code)}&${extra}`)
      t.equal(login.statusCode, 200)
      const { refresh_token } = login.json() as { refresh_token: string }
      const refresh = await send(
        plugin,
        `grant_type=refresh_token&client_id=app&refresh_token=${refresh_token}&${extra}`,
      )
      t.equal(refresh.statusCode, 200)
    })
  }

  t.test('a charset of UTF-8, and the media type in capitals, are fine (C-02)', async (t) => {
    const plugin = await startPluginApp(t)
    const { code } = await plugin.code()
    const contentType = 'Application/X-WWW-Form-Urlencoded; Charset="UTF-8"'
    t.equal((await send(plugin, body(code), { 'content-type': contentType })).statusCode, 200)
  })
})

t.test('Appendix A, steps 4 to 7: refused before the grant is touched', async (t) => {
  const rows: [string, Record<string, string>, number, string][] = [
    ['4: no grant_type (C-06)', { grant_type: '' }, 400, 'invalid_request'],
    ['4: grant_type=password (C-06)', { grant_type: 'password' }, 400, 'unsupported_grant_type'],
    ['4: grant_type of a prototype (C-06)', { grant_type: 'constructor' }, 400, 'unsupported_grant_type'],
    ['5: no client (C-07)', { client_id: '' }, 401, 'invalid_client'],
    ['5: an unknown client (C-07)', { client_id: 'nobody' }, 401, 'invalid_client'],
    ['5: a client named like a prototype (C-07)', { client_id: '__proto__' }, 401, 'invalid_client'],
    ['5: a secret of a public client (C-07)', { client_secret: 'x' }, 401, 'invalid_client'],
    ['6: no verifier (C-08)', { code_verifier: '' }, 400, 'invalid_request'],
    ['6: a verifier of 42 characters (C-08)', { code_verifier: 'a'.repeat(42) }, 400, 'invalid_request'],
    ['6: a verifier of 129 characters (C-08)', { code_verifier: 'a'.repeat(129) }, 400, 'invalid_request'],
    ['6: a verifier with + (C-08)', { code_verifier: `${VERIFIER.slice(1)}+` }, 400, 'invalid_request'],
    ['6: a verifier with = (C-08)', { code_verifier: `${VERIFIER}=` }, 400, 'invalid_request'],
    ['6: a verifier with š (C-08)', { code_verifier: `${VERIFIER.slice(1)}š` }, 400, 'invalid_request'],
    ['6: no code', { code: '' }, 400, 'invalid_request'],
    ['6: a code of 513 characters', { code: 'x'.repeat(513) }, 400, 'invalid_request'],
    ['7: a scope that the client may not have (C-11)', { scope: 'admin' }, 400, 'invalid_scope'],
    ['7: a malformed scope (C-11)', { scope: 'orders.read"' }, 400, 'invalid_scope'],
  ]
  const plugin = await startPluginApp(t)
  for (const [name, overrides, status, error] of rows) {
    t.test(`${name} -> ${status} ${error}, the code untouched`, async (t) => {
      const { code } = await plugin.code()
      plugin.store.countCalls()
      const heard = plugin.events.length
      const response = await plugin.redeem(code, overrides)
      refused(t, response, status, error)
      t.match(response.headers['www-authenticate'] ?? '', status === 401 ? /^Basic realm="/ : /^$/)
      t.equal(plugin.store.countCalls(), 0, 'the store was not asked')
      t.same(eventsOf(plugin).slice(heard), status === 401 ? ['client.auth_failed'] : [], 'J-04')
      await stillGood(t, plugin, code)
    })
  }

  t.test('the order of the steps: the earliest fault is the one that is told', async (t) => {
    const plugin = await startPluginApp(t)
    const everythingWrong = { client_id: 'nobody', code: '', code_verifier: 'x', scope: 'admin' }
    refused(
      t,
      await plugin.redeem('x', { ...everythingWrong, grant_type: 'x' }),
      400,
      'unsupported_grant_type',
    )
    refused(t, await plugin.redeem('x', everythingWrong), 401, 'invalid_client')
    refused(t, await plugin.redeem('x', { ...everythingWrong, client_id: 'app' }), 400, 'invalid_request')
    refused(t, await plugin.redeem('x', { scope: 'admin' }), 400, 'invalid_scope')
    refused(t, await plugin.redeem('x'), 400, 'invalid_grant')
  })
})

t.test('confidential clients authenticate by their registered method and no other (C-07)', async (t) => {
  const clients = [
    { clientId: 'basic', authentication: 'client_secret_basic' as const, clientSecret: 'a:b%c+d' },
    { clientId: 'post', authentication: 'client_secret_post' as const, clientSecret: 'post-secret' },
    { clientId: 'app' },
  ].map((client) => ({ redirectUris: [REDIRECT_URI], ...client }))
  const basic = (id: string, secret: string) => ({
    authorization: `Basic ${Buffer.from(`${encodeURIComponent(id)}:${encodeURIComponent(secret)}`).toString('base64')}`,
  })
  const rows: [string, string, Record<string, string | undefined>, Record<string, string>, number][] = [
    ['Basic', 'basic', { client_id: undefined }, basic('basic', 'a:b%c+d'), 200],
    ['Basic, and the same client_id in the body', 'basic', {}, basic('basic', 'a:b%c+d'), 200],
    ['Basic, another client_id in the body', 'basic', { client_id: 'app' }, basic('basic', 'a:b%c+d'), 400],
    ['Basic, a wrong secret', 'basic', {}, basic('basic', 'a:b%c d'), 401],
    ['Basic and a secret in the body', 'basic', { client_secret: 'x' }, basic('basic', 'a:b%c+d'), 400],
    ['Basic that is no base64', 'basic', {}, { authorization: 'Basic !!!' }, 401],
    [
      'Basic without a colon',
      'basic',
      {},
      { authorization: `Basic ${Buffer.from('basic').toString('base64')}` },
      401,
    ],
    [
      'Basic with a broken escape',
      'basic',
      {},
      { authorization: `Basic ${Buffer.from('basic:%zz').toString('base64')}` },
      401,
    ],
    ['Basic with an empty password', 'basic', {}, basic('basic', ''), 401],
    ['a secret in the body instead of Basic', 'basic', { client_secret: 'a:b%c+d' }, {}, 401],
    ['no secret', 'basic', {}, {}, 401],
    ['post', 'post', { client_secret: 'post-secret' }, {}, 200],
    ['post, a wrong secret', 'post', { client_secret: 'post-secreT' }, {}, 401],
    ['post, by Basic', 'post', {}, basic('post', 'post-secret'), 401],
    ['public, an empty secret in the body', 'app', { client_secret: '' }, {}, 200],
    ['public, Basic with an empty password', 'app', { client_id: undefined }, basic('app', ''), 200],
    ['a bearer token for authentication', 'app', {}, { authorization: 'Bearer x' }, 401],
  ]
  const plugin = await startPluginApp(t, { clients })
  for (const [name, clientId, form, headers, status] of rows) {
    t.test(`${name} -> ${status}`, async (t) => {
      const { code } = await plugin.code({ client_id: clientId })
      const present = { ...fields(code), client_id: clientId, ...form }
      const response = await plugin.post('token', present, headers)
      t.equal(response.statusCode, status, response.body)
      if (status === 401) refused(t, response, 401, 'invalid_client')
      if (status === 401) t.match(response.headers['www-authenticate'], /^Basic realm="/)
      if (status === 400) refused(t, response, 400, 'invalid_request')
    })
  }

  t.test('two Authorization headers -> 400, by what was on the wire (P-3)', async (t) => {
    const plugin = await startPluginApp(t, { clients })
    const { code } = await plugin.code({ client_id: 'basic' })
    await plugin.app.listen({ host: '127.0.0.1', port: 0 })
    const { port } = plugin.app.server.address() as AddressInfo
    const status = await new Promise((resolve, reject) => {
      const authorization = [basic('basic', 'a:b%c+d').authorization, basic('app', '').authorization]
      const headers = { ...FORM, authorization } as unknown as Record<string, string>
      const request = httpRequest({ host: '127.0.0.1', port, path: '/oauth2/token', method: 'POST', headers })
      request.on('response', (response) => resolve(response.resume().statusCode)).on('error', reject)
      request.end(body(code, { client_id: 'basic' }))
    })
    t.equal(status, 400)
    t.same(eventsOf(plugin), ['client.auth_failed'])
  })

  t.test('a disabled client -> 401 (C-13)', async (t) => {
    const disabled = clients.map((client) => ({ ...client, enabled: client.clientId !== 'app' }))
    const plugin = await startPluginApp(t, { clients: disabled })
    refused(t, await plugin.redeem('x'), 401, 'invalid_client')
  })
})

t.test('an evil Origin gets no permission, an OPTIONS no answer (C-22)', async (t) => {
  const plugin = await startPluginApp(t)
  const { code } = await plugin.code()
  const response = await plugin.post('token', fields(code), { origin: 'https://evil.example' })
  t.equal(response.statusCode, 200)
  t.notOk(Object.keys(response.headers).some((name) => name.startsWith('access-control-')))
})
