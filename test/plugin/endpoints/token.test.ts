import { request as httpRequest } from 'node:http'
import type { AddressInfo } from 'node:net'
import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { codeChallengeS256 } from '../../../plugin/oauth/pkce.ts'
import {
  CHALLENGE,
  newPair,
  type PluginApp,
  REDIRECT_URI,
  startPluginApp,
  VERIFIER,
} from '../../support/plugin-app.ts'
import { type Behaviour, json } from '../../support/stub-provider.ts'
import { deferred, until } from '../../support/wait.ts'

const FORM = { 'content-type': 'application/x-www-form-urlencoded' }
const INVALID_GRANT = {
  error: 'invalid_grant',
  error_description: 'The grant is invalid, expired, revoked or was issued to another client.',
}

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

function refused(t: Test, response: LightMyRequestResponse, status: number, error: string): void {
  t.equal(response.statusCode, status, response.body)
  t.equal((response.json() as { error: string }).error, error)
  t.equal(response.headers['cache-control'], 'no-store')
  t.equal(response.headers.pragma, 'no-cache')
  t.equal(response.headers['x-content-type-options'], 'nosniff')
  t.match(response.headers['content-type'], /^application\/json/)
  t.notOk(response.headers['set-cookie'])
}

/** The code has not been touched: its owner can redeem it, and the provider has not been asked before that. */
async function stillGood(t: Test, plugin: PluginApp, code: string): Promise<void> {
  const record = JSON.parse(plugin.store.written.at(-1)!) as { status: string }
  t.equal(record.status, 'authorized', 'nothing was written')
  t.equal((await plugin.redeem(code)).statusCode, 200, 'the code is still good')
}

/** The code is gone, and no further request reaches the provider. */
async function burnt(t: Test, plugin: PluginApp, code: string, calls = 0): Promise<void> {
  const again = await plugin.redeem(code)
  t.equal(again.statusCode, 400)
  t.same(again.json(), INVALID_GRANT)
  t.equal(plugin.provider.count('/token'), calls)
}

const eventsOf = (plugin: PluginApp) => plugin.events.map(({ event }) => event)

t.test('the vector of RFC 7636 Appendix B, end to end (C-08, C-09, C-19)', async (t) => {
  const plugin = await startPluginApp(t)
  const { code, authorized } = await plugin.code({ code_challenge: CHALLENGE })
  const response = await plugin.redeem(code, { code_verifier: VERIFIER })

  t.equal(response.statusCode, 200)
  t.match(response.json(), {
    access_token: /^pka_[A-Za-z0-9_-]{64}$/,
    refresh_token: /^pkr_[A-Za-z0-9_-]{64}$/,
    token_type: 'Bearer',
    scope: 'orders.read orders.write',
  })
  const { expires_in } = response.json() as { expires_in: number }
  t.ok(Number.isInteger(expires_in) && expires_in >= 598 && expires_in <= 600, String(expires_in))
  t.equal(response.headers['cache-control'], 'no-store')
  t.equal(response.headers.pragma, 'no-cache')
  t.equal(response.headers['x-content-type-options'], 'nosniff')
  t.match(response.headers['content-type'], /^application\/json/)
  t.notOk(response.headers['set-cookie'], 'no cookies (C-22)')

  const exchange = plugin.provider.requests.find(({ path }) => path === '/token')!
  t.equal(exchange.form.get('grant_type'), 'authorization_code')
  t.equal(exchange.form.get('code'), 'provider-code')
  t.equal(exchange.form.get('redirect_uri'), 'https://api.example.com/oauth2/callback', 'our own (C-16)')
  t.match(exchange.headers.authorization, /^Basic /, 'as the one confidential client')
  const ours = exchange.form.get('code_verifier')!
  t.not(ours, VERIFIER, "never the app's")
  t.equal(codeChallengeS256(ours), authorized.challenge, 'the pair of the transaction')
  t.same(eventsOf(plugin), ['session.activated'])
})

t.test('relay PKCE: the proved verifier goes on to the provider, a wrong one does not (C-16)', async (t) => {
  const plugin = await startPluginApp(t, { provider: { pkce: 'relay' } })
  const { code, authorized } = await plugin.code()
  t.equal(authorized.challenge, CHALLENGE)
  t.equal((await plugin.redeem(code)).statusCode, 200)
  t.equal(plugin.provider.requests.at(-1)!.form.get('code_verifier'), VERIFIER)

  const second = await plugin.code()
  await plugin.redeem(second.code, { code_verifier: newPair().verifier })
  t.equal(plugin.provider.count('/token'), 1)
})

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
    ['a broken escape (C-04)', (code) => [`${body(code)}&x=%zz`], 400],
    ['invalid UTF-8 (C-04)', (code) => [`${body(code)}&x=%c0%af`], 400],
    ['NUL (C-04)', (code) => [`${body(code)}&x=%00`], 400],
    [
      'a line feed at the end of the verifier (C-04)',
      (code) => [`${body(code, { code_verifier: `${VERIFIER}\n` })}`],
      400,
    ],
    ['a repeated name (C-05)', (code) => [`${body(code)}&code=${code}`], 400],
    ['a repeated name, empty and encoded (C-05)', (code) => [`${body(code)}&%63ode=`], 400],
    ['a repeated unknown name (C-05)', (code) => [`${body(code)}&x=1&x=2`], 400],
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

  t.test('`__proto__` and unknown parameters are ignored (C-05)', async (t) => {
    const plugin = await startPluginApp(t)
    const { code } = await plugin.code()
    const response = await send(
      plugin,
      `${body(code)}&__proto__=x&constructor=y&resource=https%3A%2F%2Fz&nonce=n`,
    )
    t.equal(response.statusCode, 200)
  })

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
    ['6: no redirect_uri', { redirect_uri: '' }, 400, 'invalid_request'],
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

t.test(
  'Appendix A, steps 8 and 9: six ways to be wrong, one answer (RFC 6749 §10.10, C-12, C-13, C-20)',
  async (t) => {
    const variants: [
      string,
      (plugin: PluginApp, code: string) => Promise<LightMyRequestResponse>,
      string[],
    ][] = [
      ['unknown', (plugin) => plugin.redeem(`pkc_${'x'.repeat(64)}`), []],
      [
        'expired',
        (plugin, code) => {
          plugin.store.advance(60)
          return plugin.redeem(code)
        },
        [],
      ],
      [
        'used',
        async (plugin, code) => {
          await plugin.redeem(code)
          return plugin.redeem(code)
        },
        ['session.activated', 'code.replay', 'session.ended'],
      ],
      ['of another client', (plugin, code) => plugin.redeem(code, { client_id: 'other' }), ['code.mismatch']],
      [
        'with another redirect_uri',
        (plugin, code) => plugin.redeem(code, { redirect_uri: `${REDIRECT_URI}/` }),
        ['code.mismatch'],
      ],
      [
        'with a wrong verifier',
        (plugin, code) => plugin.redeem(code, { code_verifier: newPair().verifier }),
        ['code.verifier_mismatch'],
      ],
    ]
    const answers = new Set<string>()
    for (const [name, attempt, events] of variants) {
      await t.test(`a code ${name} -> 400 invalid_grant, burnt, audited (J-04)`, async (t) => {
        const plugin = await startPluginApp(t)
        const { code } = await plugin.code()
        const response = await attempt(plugin, code)
        refused(t, response, 400, 'invalid_grant')
        const { date: _, ...headers } = response.headers
        answers.add(JSON.stringify([response.statusCode, headers, response.body]))
        t.same(eventsOf(plugin), events)
        if (name !== 'unknown') await burnt(t, plugin, code, name === 'used' ? 1 : 0)
      })
    }
    t.equal(answers.size, 1, 'status, headers and body are identical')

    t.test('a string that is no handle at all gets the same answer', async (t) => {
      const plugin = await startPluginApp(t)
      t.same((await plugin.redeem('garbage')).json(), INVALID_GRANT)
      t.same((await plugin.redeem('pkc_"; DROP TABLE grants')).json(), INVALID_GRANT)
    })

    t.test('the port of a loopback redirect is part of the binding (RFC 8252 §7.3, C-13)', async (t) => {
      const clients = [
        { clientId: 'app', redirectUris: ['http://127.0.0.1/cb'], interaction: 'none' as const },
      ]
      const plugin = await startPluginApp(t, { clients })
      const { code } = await plugin.code({ redirect_uri: 'http://127.0.0.1:5001/cb' })
      const response = await plugin.redeem(code, { redirect_uri: 'http://127.0.0.1:5002/cb' })
      t.same(response.json(), INVALID_GRANT)
      const second = await plugin.code({ redirect_uri: 'http://127.0.0.1:5001/cb' })
      t.equal(
        (await plugin.redeem(second.code, { redirect_uri: 'http://127.0.0.1:5001/cb' })).statusCode,
        200,
      )
    })

    t.test('one second before its end a code is good: no leeway, and no haste (G-06)', async (t) => {
      const plugin = await startPluginApp(t)
      const { code } = await plugin.code()
      plugin.store.advance(59)
      t.equal((await plugin.redeem(code)).statusCode, 200)
    })

    t.test(
      'the challenge presented as a plain verifier -> invalid_grant (RFC 7636 §7.2, C-10)',
      async (t) => {
        const plugin = await startPluginApp(t)
        const { code } = await plugin.code()
        const response = await plugin.redeem(code, {
          code_verifier: CHALLENGE,
          code_challenge_method: 'plain',
        })
        refused(t, response, 400, 'invalid_grant')
        await burnt(t, plugin, code)
      },
    )
  },
)

t.test('a right selector with a wrong secret has no effect (C-12, C-24)', async (t) => {
  const plugin = await startPluginApp(t)
  const { code } = await plugin.code()
  const guess = `${code.slice(0, -1)}${code.endsWith('A') ? 'B' : 'A'}`
  refused(t, await plugin.redeem(guess), 400, 'invalid_grant')
  refused(t, await plugin.redeem(guess, { code_verifier: newPair().verifier }), 400, 'invalid_grant')
  t.same(eventsOf(plugin), [])
  await stillGood(t, plugin, code)
})

t.test('one type of handle never works as another (C-24)', async (t) => {
  const plugin = await startPluginApp(t)
  const begun = await plugin.authorize()
  refused(t, await plugin.redeem(begun.state), 400, 'invalid_grant')
  refused(t, await plugin.redeem(begun.state.replace('pks_', 'pkc_')), 400, 'invalid_grant')
  const answer = await plugin.callback(begun)
  t.equal(answer.statusCode, 302, 'the transaction was not touched')

  const tokens = await plugin.login()
  for (const bearer of [tokens.refresh_token, tokens.refresh_token.replace('pkr_', 'pka_'), begun.state]) {
    t.equal((await plugin.call(bearer)).statusCode, 401)
  }
  for (const token of [tokens.access_token, tokens.access_token.replace('pka_', 'pkr_')]) {
    refused(t, await plugin.refresh(token), 400, 'invalid_grant')
  }
  t.equal((await plugin.call(tokens.access_token)).statusCode, 200)
  t.equal((await plugin.refresh(tokens.refresh_token)).statusCode, 200)
})

t.test(
  '100 parallel redemptions of one code: exactly one 200 and one provider call (C-12, G-07)',
  async (t) => {
    const plugin = await startPluginApp(t)
    const { code } = await plugin.code()
    plugin.store.gather('read', 100)
    const answers = await Promise.all(Array.from({ length: 100 }, () => plugin.redeem(code)))
    const good = answers.filter(({ statusCode }) => statusCode === 200)
    t.equal(good.length, 1)
    t.ok(answers.every(({ statusCode }) => statusCode === 200 || statusCode === 400))
    t.equal(plugin.provider.count('/token'), 1)
    t.equal(eventsOf(plugin).filter((event) => event === 'code.duplicate').length, 99)
    const { access_token } = good[0]!.json() as { access_token: string }
    t.equal((await plugin.call(access_token)).statusCode, 200)
  },
)

t.test('100 parallel redemptions, one of them right: nobody gets past a wrong verifier (C-12)', async (t) => {
  const plugin = await startPluginApp(t)
  const { code } = await plugin.code()
  const wrong = newPair().verifier
  plugin.store.gather('read', 100)
  const answers = await Promise.all(
    Array.from({ length: 100 }, (_, index) =>
      plugin.redeem(code, index === 50 ? {} : { code_verifier: wrong }),
    ),
  )
  t.ok(answers.filter(({ statusCode }) => statusCode === 200).length <= 1)
  t.ok(plugin.provider.count('/token') <= 1)
})

t.test('a duplicate while the exchange runs is refused, audited, and changes nothing (C-15)', async (t) => {
  const plugin = await startPluginApp(t)
  const answerNow = deferred()
  const { token } = plugin.provider.behave
  plugin.provider.behave.token = async (request, response) => {
    await answerNow.promise
    return token(request, response)
  }
  const { code } = await plugin.code()
  const first = plugin.redeem(code)
  await until(() => plugin.provider.count('/token') === 1)

  refused(t, await plugin.redeem(code), 400, 'invalid_grant')
  t.same(eventsOf(plugin), ['code.duplicate'])
  refused(t, await plugin.redeem(code, { code_verifier: newPair().verifier }), 400, 'invalid_grant')
  refused(t, await plugin.redeem(code, { client_id: 'other' }), 400, 'invalid_grant')
  t.same(eventsOf(plugin), ['code.duplicate'], 'what proves nothing is not even a duplicate')

  answerNow.resolve()
  const response = await first
  t.equal(response.statusCode, 200)
  t.equal(plugin.provider.count('/token'), 1)
  const { access_token } = response.json() as { access_token: string }
  t.equal((await plugin.call(access_token)).statusCode, 200)
})

t.test(
  'a replay that proves everything ends the session, here and at the provider (RFC 6749 §4.1.2, C-14)',
  async (t) => {
    const plugin = await startPluginApp(t)
    const { code } = await plugin.code()
    const tokens = (await plugin.redeem(code)).json() as { access_token: string; refresh_token: string }
    t.equal((await plugin.call(tokens.access_token)).statusCode, 200)

    refused(t, await plugin.redeem(code), 400, 'invalid_grant')
    t.equal((await plugin.call(tokens.access_token)).statusCode, 401)
    refused(t, await plugin.refresh(tokens.refresh_token), 400, 'invalid_grant')
    t.match(plugin.events.slice(1, 3), [
      { event: 'code.replay', reason: 'code_replayed', clientId: 'app', grant: /^[0-9a-f]{8}$/ },
      { event: 'session.ended', reason: 'code_replayed' },
    ])
    await until(() => plugin.provider.count('/revoke') === 1)
    t.equal(plugin.provider.requests.at(-1)!.form.get('token'), 'provider-refresh-1')
  },
)

t.test('a replay that proves less is no way to log others out (C-14)', async (t) => {
  const rows: [string, Record<string, string>][] = [
    ['a wrong verifier', { code_verifier: newPair().verifier }],
    ['another redirect_uri', { redirect_uri: `${REDIRECT_URI}?x` }],
    ['another client', { client_id: 'other' }],
  ]
  for (const [name, overrides] of rows) {
    t.test(`${name} -> 400, and the session goes on`, async (t) => {
      const plugin = await startPluginApp(t)
      const { code } = await plugin.code()
      const { access_token } = (await plugin.redeem(code)).json() as { access_token: string }
      refused(t, await plugin.redeem(code, overrides), 400, 'invalid_grant')
      t.equal((await plugin.call(access_token)).statusCode, 200)
      t.equal(plugin.provider.count('/revoke'), 0)
      t.same(eventsOf(plugin), ['session.activated'])
    })
  }

  t.test('a wrong secret with the right selector -> 400, and the session goes on', async (t) => {
    const plugin = await startPluginApp(t)
    const { code } = await plugin.code()
    const { access_token } = (await plugin.redeem(code)).json() as { access_token: string }
    refused(t, await plugin.redeem(`${code.slice(0, 26)}${'A'.repeat(42)}`), 400, 'invalid_grant')
    t.equal((await plugin.call(access_token)).statusCode, 200)
  })

  t.test('after the tombstone the code is unknown, and the session goes on', async (t) => {
    const plugin = await startPluginApp(t)
    const { code } = await plugin.code()
    const { refresh_token } = (await plugin.redeem(code)).json() as { refresh_token: string }
    plugin.store.advance(3601)
    refused(t, await plugin.redeem(code), 400, 'invalid_grant')
    t.equal((await plugin.refresh(refresh_token)).statusCode, 200)
  })
})

t.test(
  'Appendix A, step 10: the provider fails; the code is burnt, nothing is retried, nothing is told (C-17)',
  async (t) => {
    const say =
      (status: number, answer: unknown): Behaviour =>
      (_request, response) =>
        json(response, status, answer)
    const text =
      (status: number, type: string, content: string): Behaviour =>
      (_request, response) =>
        response.writeHead(status, { 'content-type': type }).end(content)
    const drip: Behaviour = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' })
      const timer = setInterval(() => response.write(' '), 20)
      response.on('close', () => clearInterval(timer))
    }
    const leaked = 'provider-says-too-much'
    const rows: [string, Behaviour, number, string][] = [
      ['hangs', () => {}, 503, 'temporarily_unavailable'],
      ['drips', drip, 503, 'temporarily_unavailable'],
      ['resets the connection', (_request, response) => response.destroy(), 503, 'temporarily_unavailable'],
      ['answers 500', say(500, { error: leaked }), 503, 'temporarily_unavailable'],
      ['answers 503', text(503, 'text/html', leaked), 503, 'temporarily_unavailable'],
      ['answers 429', say(429, {}), 503, 'temporarily_unavailable'],
      [
        'answers invalid_grant',
        say(400, { error: 'invalid_grant', error_description: leaked }),
        400,
        'invalid_grant',
      ],
      [
        'answers invalid_client',
        say(401, { error: 'invalid_client', error_description: leaked }),
        502,
        'server_error',
      ],
      ['answers unauthorized_client', say(400, { error: 'unauthorized_client' }), 502, 'server_error'],
      ['answers HTML', text(200, 'text/html', `<p>${leaked}`), 502, 'server_error'],
      [
        'answers half of a JSON text',
        text(200, 'application/json', '{"access_token":"x'),
        502,
        'server_error',
      ],
      ['answers an array', say(200, []), 502, 'server_error'],
      ['answers without a token', say(200, { token_type: 'Bearer' }), 502, 'server_error'],
      ['answers 200 KiB', say(200, { access_token: 'x'.repeat(200_000) }), 502, 'server_error'],
      [
        'redirects',
        (_request, response) => response.writeHead(307, { location: '/token' }).end(),
        502,
        'server_error',
      ],
    ]
    for (const [name, behaviour, status, error] of rows) {
      t.test(`the provider ${name} -> ${status} ${error}, one request`, async (t) => {
        const isLate = name === 'hangs' || name === 'drips'
        const plugin = await startPluginApp(t, isLate ? { provider: { timeouts: { totalMs: 1000 } } } : {})
        plugin.provider.behave.token = behaviour
        const { code } = await plugin.code()
        const response = await plugin.redeem(code)
        refused(t, response, status, error)
        t.equal(response.headers['retry-after'], status === 503 ? '5' : undefined)
        t.notMatch(response.body, leaked)
        t.notMatch(plugin.log(), leaked)
        await burnt(t, plugin, code, 1)
        t.equal(plugin.events[0]?.event, 'provider.error', 'J-04')
        t.notOk(eventsOf(plugin).includes('session.activated'))
      })
    }
  },
)

t.test(
  'Appendix A, step 11: tokens that are refused here are taken back at the provider (F-15)',
  async (t) => {
    const issued = { access_token: 'refused-access', refresh_token: 'refused-refresh', token_type: 'Bearer' }
    t.test('a token type that we cannot use -> 502', async (t) => {
      const plugin = await startPluginApp(t)
      plugin.provider.behave.token = (_request, response) =>
        json(response, 200, { ...issued, token_type: 'mac' })
      const { code } = await plugin.code()
      refused(t, await plugin.redeem(code), 502, 'server_error')
      await burnt(t, plugin, code, 1)
      await until(() => plugin.provider.count('/revoke') === 1)
      t.equal(plugin.provider.requests.at(-1)!.form.get('token'), 'refused-refresh')
    })

    t.test('an id_token of another login -> 502', async (t) => {
      const plugin = await startPluginApp(t, { provider: { scope: 'openid' } })
      plugin.provider.behave.token = async (_request, response) =>
        json(response, 200, {
          ...issued,
          id_token: await plugin.provider.idToken({ nonce: 'of-another-login' }),
        })
      const { code } = await plugin.code()
      refused(t, await plugin.redeem(code), 502, 'server_error')
      await burnt(t, plugin, code, 1)
      await until(() => plugin.provider.count('/revoke') === 1)
    })

    t.test('userinfo of somebody else -> 502 (F-17)', async (t) => {
      const clients = [{ clientId: 'app', redirectUris: [REDIRECT_URI], claims: ['email'] }]
      const plugin = await startPluginApp(t, { clients, provider: { scope: 'openid' } })
      plugin.provider.behave.userinfo = (_request, response) =>
        json(response, 200, { sub: 'mallory', email: 'm@x' })
      const { code } = await plugin.code()
      refused(t, await plugin.redeem(code), 502, 'server_error')
      await until(() => plugin.provider.count('/revoke') === 1)
    })
  },
)

t.test('Appendix A, step 12: no commit, no handle; the provider is asked to forget (C-18)', async (t) => {
  const rows: [string, (plugin: PluginApp) => void][] = [
    ['the commit fails', ({ store }) => store.fail('replace', 1)],
    ['the commit is done and its answer lost', ({ store }) => store.loseAnswer('replace', 1)],
    ['the index fails', ({ store }) => store.fail('addToIndex', 1)],
    ['the store dies', ({ store }) => store.fail()],
  ]
  for (const [name, breakStore] of rows) {
    t.test(`${name} between the provider's answer and the 200 -> 503`, async (t) => {
      const plugin = await startPluginApp(t, { provider: { scope: 'openid' } })
      const { token } = plugin.provider.behave
      plugin.provider.behave.token = (request, response) => {
        breakStore(plugin)
        return token(request, response)
      }
      const { code } = await plugin.code()
      const response = await plugin.redeem(code)
      refused(t, response, 503, 'temporarily_unavailable')
      t.equal(response.headers['retry-after'], '5')
      t.notMatch(response.body, /pk[ar]_/)
      await until(() => plugin.provider.count('/revoke') === 1)
      t.equal(plugin.provider.requests.at(-1)!.form.get('token'), 'provider-refresh-1')
      t.ok(eventsOf(plugin).includes('store.unavailable'), 'J-04')
      t.notOk(eventsOf(plugin).includes('session.activated'))

      plugin.store.heal()
      t.same(await plugin.app.pkce.sessionsOf('alice'), [], 'no session is left behind')
      await burnt(t, plugin, code, 1)
    })
  }
})

t.test('the store is down before the exchange -> 503, and the provider is not asked (G-08)', async (t) => {
  t.test('at the read: the code survives the outage', async (t) => {
    const plugin = await startPluginApp(t)
    const { code } = await plugin.code()
    plugin.store.fail('read', 1)
    refused(t, await plugin.redeem(code), 503, 'temporarily_unavailable')
    t.same(eventsOf(plugin), ['store.unavailable'])
    await stillGood(t, plugin, code)
  })
  t.test('at the claim, not written: the code survives the outage', async (t) => {
    const plugin = await startPluginApp(t)
    const { code } = await plugin.code()
    plugin.store.fail('replace', 1)
    refused(t, await plugin.redeem(code), 503, 'temporarily_unavailable')
    t.equal(plugin.provider.count('/token'), 0)
    t.equal((await plugin.redeem(code)).statusCode, 200)
  })
  t.test('at the claim, written, answer lost: the code is burnt', async (t) => {
    const plugin = await startPluginApp(t)
    const { code } = await plugin.code()
    plugin.store.loseAnswer('replace', 1)
    refused(t, await plugin.redeem(code), 503, 'temporarily_unavailable')
    await burnt(t, plugin, code, 0)
  })
  t.test('at the end of a grant with a wrong verifier: refused either way, and never redeemed', async (t) => {
    const plugin = await startPluginApp(t)
    const { code } = await plugin.code()
    plugin.store.fail('replace', 1)
    const response = await plugin.redeem(code, { code_verifier: newPair().verifier })
    refused(t, response, 503, 'temporarily_unavailable')
    t.equal(plugin.provider.count('/token'), 0)
  })
})

t.test('a logout by subject during the activation wins (G-10)', async (t) => {
  const plugin = await startPluginApp(t, { provider: { scope: 'openid' } })
  const { code } = await plugin.code()
  const indexed = plugin.store.hold('addToIndex')
  const redeemed = plugin.redeem(code)
  await indexed.reached
  t.equal(await plugin.app.pkce.endSession({ subject: 'alice' }), 1)
  indexed.release()
  refused(t, await redeemed, 400, 'invalid_grant')
  await until(() => plugin.provider.count('/revoke') === 1)
  t.same(await plugin.app.pkce.sessionsOf('alice'), [])
})

t.test('records that are not complete are absent (C-23, G-15)', async (t) => {
  const rows: [string, (record: Record<string, unknown>) => unknown][] = [
    ['without a challenge', ({ codeChallenge: _, ...rest }) => rest],
    ['with a challenge that is null', (record) => ({ ...record, codeChallenge: null })],
    ['of an unknown version', (record) => ({ ...record, v: 2 })],
    ['of an unknown status', (record) => ({ ...record, status: 'constructor' })],
    ['of another grant', (record) => ({ ...record, id: 'AAAAAAAAAAAAAAAAAAAAAA' })],
    ['with a field too many', (record) => ({ ...record, admin: true })],
    ['that is no record', () => []],
  ]
  for (const [name, edit] of rows) {
    t.test(`a record ${name} -> 400 invalid_grant, not 500`, async (t) => {
      const plugin = await startPluginApp(t)
      const { code } = await plugin.code()
      const record = JSON.parse(plugin.store.written.at(-1)!) as Record<string, unknown> & { id: string }
      const key = `grant:${record.id}`
      const { version } = (await plugin.store.read(key))!
      await plugin.store.replace(key, version, JSON.stringify(edit(record)), 60_000)
      refused(t, await plugin.redeem(code), 400, 'invalid_grant')
      t.equal(plugin.provider.count('/token'), 0)
    })
  }
})

t.test('no secret of a whole login, good and bad, is in the log at trace level (J-01)', async (t) => {
  const plugin = await startPluginApp(t, { provider: { scope: 'openid' } })
  const { code, authorized } = await plugin.code()
  const nonce = new URL(authorized.location).searchParams.get('nonce')!
  const idToken = await plugin.provider.idToken({ nonce })
  plugin.provider.behave.token = (_request, response) =>
    json(response, 200, { access_token: 'secret-access', refresh_token: 'secret-refresh', id_token: idToken })
  const tokens = (await plugin.redeem(code)).json() as { access_token: string; refresh_token: string }
  await plugin.call(tokens.access_token)
  const rotated = (await plugin.refresh(tokens.refresh_token)).json() as {
    access_token: string
    refresh_token: string
  }
  await plugin.redeem(code, { client_secret: 'presented-secret' })
  await plugin.redeem(code)
  plugin.store.fail()
  await plugin.redeem(code)
  await plugin.call(rotated.access_token)
  plugin.store.heal()
  await plugin.redeem((await plugin.code()).code)

  const secrets = {
    code,
    state: authorized.state,
    cookie: authorized.cookie.split('=')[1]!,
    nonce,
    verifier: VERIFIER,
    idToken,
    providerCode: 'provider-code',
    clientSecret: 'gateway-secret',
    presented: 'presented-secret',
    basic: Buffer.from('gateway:gateway-secret').toString('base64'),
    access: tokens.access_token,
    refresh: tokens.refresh_token,
    nextAccess: rotated.access_token,
    nextRefresh: rotated.refresh_token,
    providerAccess: 'secret-access',
    providerRefresh: 'secret-refresh',
  }
  const log = plugin.log()
  t.ok(log.includes('code.replay') && log.includes('store.unavailable'), 'the log tells what happened')
  for (const [name, secret] of Object.entries(secrets)) t.notOk(log.includes(secret), name)
  t.notOk(JSON.stringify(plugin.events).includes('pk'), 'and neither do the audit events')
})

t.test('an evil Origin gets no permission, an OPTIONS no answer (C-22)', async (t) => {
  const plugin = await startPluginApp(t)
  const { code } = await plugin.code()
  const response = await plugin.post('token', fields(code), { origin: 'https://evil.example' })
  t.equal(response.statusCode, 200)
  t.notOk(Object.keys(response.headers).some((name) => name.startsWith('access-control-')))
})

t.test('scope: what was granted, always present, OpenID scopes never in it (C-19)', async (t) => {
  const plugin = await startPluginApp(t)
  const asked = await plugin.login({ scope: 'openid orders.read offline_access' })
  t.equal(asked.scope, 'orders.read')
  const none = await plugin.login({ scope: 'openid' })
  t.equal(none.scope, '', 'present even when it is empty')
  t.notOk('id_token' in none)
})

t.test('without a refresh token of the provider the answer has none: absent, not null', async (t) => {
  const plugin = await startPluginApp(t)
  plugin.provider.behave.token = (_request, response) =>
    json(response, 200, { access_token: 'a', token_type: 'bearer', expires_in: 60, refresh_token: null })
  const tokens = await plugin.login()
  t.notOk('refresh_token' in tokens)
  t.ok(tokens.expires_in <= 60, 'never beyond the provider token (D-17)')
})

t.test('expires_in of any kind makes a sane lifetime (D-15)', async (t) => {
  const rows: [string, unknown, number][] = [
    ['missing', undefined, 300],
    ['a string', '120', 120],
    ['a float', 99.9, 99],
    ['negative', -1, 300],
    ['zero', 0, 300],
    ['huge', 1e300, 600],
    ['no number', 'NaN', 300],
  ]
  for (const [name, expires_in, expected] of rows) {
    t.test(`${name} -> ${expected} s`, async (t) => {
      const plugin = await startPluginApp(t)
      plugin.provider.behave.token = (_request, response) =>
        json(response, 200, { access_token: 'a', token_type: 'Bearer', expires_in })
      const tokens = await plugin.login()
      t.ok(Math.abs(tokens.expires_in - expected) <= 1, String(tokens.expires_in))
    })
  }
})

t.test('store round trips: authorize 1, callback 2, token exchange 4', async (t) => {
  const plugin = await startPluginApp(t)
  plugin.store.countCalls()
  const authorized = await plugin.authorize()
  t.equal(plugin.store.countCalls(), 1)
  const answer = await plugin.callback(authorized)
  t.equal(plugin.store.countCalls(), 2)
  await plugin.redeem(new URL(String(answer.headers.location)).searchParams.get('code')!)
  t.equal(plugin.store.countCalls(), 4)
})
