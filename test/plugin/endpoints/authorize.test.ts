import { mkdtempSync, rmSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import {
  CHALLENGE,
  PUBLIC_URL,
  REDIRECT_URI,
  startPluginApp,
  type TestStore,
} from '../../support/plugin-app.ts'

const valid = {
  client_id: 'app',
  redirect_uri: REDIRECT_URI,
  response_type: 'code',
  code_challenge: CHALLENGE,
  code_challenge_method: 'S256',
  state: 'app-state',
}
const validQuery = new URLSearchParams(valid).toString()

/** The grant that was written last. */
function lastRecord(store: TestStore): Record<string, unknown> {
  return JSON.parse(store.written.at(-1)!) as Record<string, unknown>
}

/** A page of ours: nothing that a browser would follow or keep. */
function refusedLocally(t: Test, response: LightMyRequestResponse, status = 400, message = '') {
  t.equal(response.statusCode, status, `${message} ${status}`)
  t.equal(response.headers.location, undefined, 'no redirect')
  t.equal(response.headers['set-cookie'], undefined, 'no cookie')
}

/** The parameters of a redirect to the app. */
function toldToApp(t: Test, response: LightMyRequestResponse, redirectUri = REDIRECT_URI): URLSearchParams {
  t.equal(response.statusCode, 302)
  const location = String(response.headers.location)
  t.ok(location.startsWith(`${redirectUri}?`), `redirects to the app, not ${location}`)
  t.equal(response.headers['set-cookie'], undefined, 'no cookie')
  return new URL(location).searchParams
}

t.test('one app, many requests', async (t) => {
  const plugin = await startPluginApp(t, {
    clients: [
      {
        clientId: 'app',
        name: 'Example',
        redirectUris: [
          REDIRECT_URI,
          'https://app.example.com/cb?tenant=a%20b&x=1',
          'https://app.example.com/cb%2Fencoded/%C3%A9',
          'http://127.0.0.1/callback',
          'http://[::1]:8080/callback?y=1',
          'com.example.app:/cb?x=1',
        ],
        scopes: ['orders.read', 'orders.write'],
        passThrough: ['login_hint', 'prompt', 'max_age'],
        interaction: 'none',
        allowedOrigins: ['https://spa.example.com'],
      },
      { clientId: 'disabled', redirectUris: [REDIRECT_URI], enabled: false },
      { clientId: 'x'.repeat(256), redirectUris: [REDIRECT_URI] },
    ],
    provider: { scope: 'openid api' },
    limits: { transactionsPerAddress: 10_000 },
  })
  const { app, store, provider } = plugin
  const get = (query: string, headers: Record<string, string> = {}) =>
    app.inject({ url: `/oauth2/authorize?${query}`, headers })
  const transactions = () => store.calls.create ?? 0

  await t.test('GET alone begins a login; every other method is 405 (RFC 6749 §3.1, A-01)', async (t) => {
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

  await t.test(
    'a client that is not known is told here, not by a redirect (RFC 6749 §4.1.2.1, A-02)',
    async (t) => {
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
    },
  )

  await t.test(
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
      refusedLocally(
        t,
        (await plugin.authorize({ redirect_uri: undefined, response_type: 'token' })).response,
      )
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

  await t.test('a loopback literal matches any port and nothing else (RFC 8252 §7.3, A-04)', async (t) => {
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

  await t.test(
    'what is wrong with a proved request is told to the app (RFC 6749 §4.1.2.1, A-07 to A-09, A-13, A-15)',
    async (t) => {
      const before = transactions()
      const asked = provider.requests.length
      for (const [parameters, error] of [
        [{ response_type: undefined }, 'invalid_request'],
        [{ response_type: '' }, 'invalid_request'],
        [{ response_type: 'token' }, 'unsupported_response_type'],
        [{ response_type: 'code token' }, 'unsupported_response_type'],
        [{ response_type: 'Code' }, 'unsupported_response_type'],
        [{ response_mode: 'fragment' }, 'invalid_request'],
        [{ response_mode: 'form_post' }, 'invalid_request'],
        [{ code_challenge: undefined }, 'invalid_request'],
        [{ code_challenge: '' }, 'invalid_request'],
        [{ code_challenge: CHALLENGE.slice(1) }, 'invalid_request'],
        [{ code_challenge: `${CHALLENGE}A` }, 'invalid_request'],
        [{ code_challenge: `${CHALLENGE}=` }, 'invalid_request'],
        [{ code_challenge: `${CHALLENGE.slice(0, 42)}=` }, 'invalid_request'],
        [{ code_challenge: `+${CHALLENGE.slice(1)}` }, 'invalid_request'],
        [{ code_challenge: `~${CHALLENGE.slice(1)}` }, 'invalid_request'],
        [{ code_challenge: `${CHALLENGE.slice(0, 42)}N` }, 'invalid_request'],
        [{ code_challenge_method: undefined }, 'invalid_request'],
        [{ code_challenge_method: '' }, 'invalid_request'],
        [{ code_challenge_method: 'plain' }, 'invalid_request'],
        [{ code_challenge_method: 's256' }, 'invalid_request'],
        [{ code_challenge_method: 'S512' }, 'invalid_request'],
        [{ scope: 'admin' }, 'invalid_scope'],
        [{ scope: 'orders.read admin' }, 'invalid_scope'],
        [{ scope: 'orders.read  orders.write' }, 'invalid_scope'],
        [{ scope: 'orders."read' }, 'invalid_scope'],
        [{ request: 'eyJ' }, 'request_not_supported'],
        [{ request_uri: 'http://169.254.169.254/' }, 'request_uri_not_supported'],
        [{ request_uri: `${provider.issuer}/jwks` }, 'request_uri_not_supported'],
        [{ registration: '{}' }, 'invalid_request'],
        [{ claims: '{}' }, 'invalid_request'],
        [{ prompt: 'none' }, 'login_required'],
        [{ prompt: 'login none' }, 'login_required'],
        [{ max_age: '-1' }, 'invalid_request'],
      ] as const) {
        const told = toldToApp(t, (await plugin.authorize(parameters)).response)
        t.equal(told.get('error'), error, JSON.stringify(parameters))
        t.equal(told.get('state'), 'app-state')
        t.equal(told.get('iss'), PUBLIC_URL)
        t.equal(told.get('code'), null)
      }
      t.equal(transactions(), before, 'no transaction')
      t.equal(provider.requests.length, asked, 'no request left the house')
    },
  )

  await t.test('a parameter may not repeat under any spelling: 400 here (RFC 6749 §3.1, A-10)', async (t) => {
    for (const repeat of [
      `code_challenge=${CHALLENGE}`,
      `%63ode_challenge=${CHALLENGE}`,
      'state=',
      'st%61te',
      'foo=1&foo=2',
      'foo&%66oo',
      'redirect_uri=https%3A%2F%2Fevil.example',
    ]) {
      refusedLocally(t, await get(`${validQuery}&${repeat}`), 400, repeat)
    }
  })

  await t.test(
    'unknown parameters are ignored and never passed on; an empty one is none (RFC 6749 §3.1, A-11)',
    async (t) => {
      const sent = new URL(
        (await plugin.authorize({ foo: '1', resource: 'x', nonce: 'theirs', dpop_jkt: 'y', scope: '' }))
          .location,
      )
      for (const name of ['foo', 'resource', 'dpop_jkt']) t.equal(sent.searchParams.get(name), null)
      t.not(sent.searchParams.get('nonce'), 'theirs')
    },
  )

  await t.test(
    'a query that is no form is a 400 here, whatever is in it (RFC 6749 Appendix B)',
    async (t) => {
      for (const junk of [
        'x=%zz',
        'x=%',
        '%ff=1',
        'x=%c3%28',
        'x=a%00b',
        'x=%0d%0aLocation:%20https://evil.example',
      ]) {
        refusedLocally(t, await get(`${validQuery}&${junk}`), 400, junk)
      }
    },
  )

  await t.test(
    "the app's state is never seen by the provider and comes back octet by octet (RFC 6749 §10.12, A-12)",
    async (t) => {
      for (const state of [
        'a%26b=1',
        'a&b=c#d',
        '+ /=',
        '%',
        '"><script>',
        '~!@$^*()_-',
        's'.repeat(512),
        ' lead',
        undefined,
      ]) {
        const authorized = await plugin.authorize({ state })
        t.match(authorized.state, /^pks_[\w-]{64}$/)
        if (state !== undefined && state.length > 1) {
          t.notOk(
            decodeURIComponent(authorized.location.replaceAll('+', ' ')).includes(state),
            'not at the provider',
          )
        }
        const back = new URL(String((await plugin.callback(authorized)).headers.location)).searchParams
        t.equal(back.get('state'), state ?? null, `${state}`)
      }
      for (const state of ['s'.repeat(513), 'ü', '€']) {
        const told = toldToApp(t, (await plugin.authorize({ state })).response)
        t.equal(told.get('error'), 'invalid_request')
        t.equal(told.get('state'), null, 'what is malformed is not echoed')
      }
    },
  )

  await t.test('OpenID scopes are tolerated, and not passed on because the app asked (A-13)', async (t) => {
    const { location } = await plugin.authorize({ scope: 'openid email phone orders.read' })
    t.equal(new URL(location).searchParams.get('scope'), 'openid api')
    t.same(lastRecord(store).scope, ['orders.read'])
  })

  await t.test(
    'the provider gets one value of each parameter, and only ours (RFC 9700 §4.5, A-14)',
    async (t) => {
      const { location } = await plugin.authorize({
        login_hint: 'bob@example.com',
        prompt: 'login',
        max_age: '60',
        ui_locales: 'de',
        acr_values: 'x',
        nonce: 'y',
        audience: 'z',
      })
      const sent = new URL(location).searchParams
      t.same([...sent.keys()].sort(), [
        'client_id',
        'code_challenge',
        'code_challenge_method',
        'login_hint',
        'max_age',
        'nonce',
        'prompt',
        'redirect_uri',
        'response_type',
        'scope',
        'state',
      ])
      t.match(Object.fromEntries(sent), {
        client_id: 'gateway',
        redirect_uri: `${PUBLIC_URL}/oauth2/callback`,
        response_type: 'code',
        scope: 'openid api',
        code_challenge_method: 'S256',
        login_hint: 'bob@example.com',
        prompt: 'login',
        max_age: '60',
      })
    },
  )

  await t.test(
    "every login has its own challenge and nonce, never the app's (RFC 9700 §2.1.1, A-16, A-17)",
    async (t) => {
      const [one, two] = [await plugin.authorize(), await plugin.authorize()]
      const nonce = ({ location }: { location: string }) => new URL(location).searchParams.get('nonce')
      t.not(one.challenge, two.challenge)
      t.not(one.challenge, CHALLENGE)
      t.match(one.challenge, /^[\w-]{43}$/)
      t.not(nonce(one), nonce(two))
      t.match(nonce(one), /^[\w-]{43}$/)
      t.not(one.state, two.state)
    },
  )

  await t.test('the browser gets a host-bound cookie for each login (RFC 9700 §4.7, A-18)', async (t) => {
    const { response, state } = await plugin.authorize()
    const selector = Buffer.from(state.slice(4), 'base64url').toString('base64url', 0, 16)
    const line = String(response.headers['set-cookie'])
    const [pair = '', ...attributes] = line.split('; ')
    t.match(pair, new RegExp(`^__Host-pkce-${selector}=[\\w-]{43}$`))
    t.same(attributes.map((attribute) => attribute.toLowerCase()).sort(), [
      'httponly',
      'max-age=600',
      'path=/',
      'samesite=lax',
      'secure',
    ])
  })

  await t.test('five logins in one browser, the oldest goes first, other cookies stay (A-18)', async (t) => {
    const names = Array.from({ length: 5 }, (_, index) => `__Host-pkce-${String(index).repeat(22)}`)
    const header = ['session=keep', ...names.map((name) => `${name}=v`), 'theme=dark', 'pkce-legacy=1'].join(
      '; ',
    )
    const cookies = [(await get(validQuery, { cookie: header })).headers['set-cookie'] ?? []].flat()
    t.equal(cookies.length, 2)
    t.match(cookies[0], new RegExp(`^${names[0]}=; .*Max-Age=0`))
    const four = header.replace(`${names[0]}=v; `, '')
    t.equal([(await get(validQuery, { cookie: four })).headers['set-cookie'] ?? []].flat().length, 1)
  })

  await t.test(
    'a cookie name that we never made is neither an error nor repeated (A-18, A-23)',
    async (t) => {
      const strange = Array.from({ length: 9 }, (_, index) => `__Host-pkce-${index}(evil)@<b>=1`).join('; ')
      const response = await get(validQuery, { cookie: `${strange}; =; ;;; a=%zz; __Host-pkce-=1` })
      t.equal(response.statusCode, 302)
      t.equal([response.headers['set-cookie'] ?? []].flat().length, 1)
      t.notMatch(JSON.stringify(response.headers), 'evil')
    },
  )

  await t.test('the record holds hashes and sealed text alone (RFC 6819 §5.1.4.1.3, A-19)', async (t) => {
    const { state, cookie, location } = await plugin.authorize()
    const record = JSON.stringify(lastRecord(store))
    t.match(lastRecord(store), {
      status: 'authorizing',
      clientId: 'app',
      redirectUri: REDIRECT_URI,
      codeChallenge: CHALLENGE,
      state: 'app-state',
      scope: ['orders.read', 'orders.write'],
      provider: provider.issuer,
    })
    for (const secret of [
      state,
      state.slice(26),
      cookie.split('=')[1]!,
      new URL(location).searchParams.get('nonce')!,
    ]) {
      t.notOk(record.includes(secret))
    }
  })

  await t.test(
    'store down: 503, nothing to the provider, no cookie (RFC 6749 §4.1.2.1, A-19, G-08)',
    async (t) => {
      const asked = provider.requests.length
      store.fail('create')
      t.teardown(() => store.heal())
      const response = await get(validQuery)
      refusedLocally(t, response, 503)
      t.ok(Number(response.headers['retry-after']) > 0)
      t.equal(provider.requests.length, asked)
      t.ok(plugin.events.some(({ event }) => event === 'store.unavailable'))
    },
  )

  await t.test('redirects carry no cache, no referrer and no CORS (RFC 9700 §4.2, O2.1, A-22)', async (t) => {
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

  await t.test('an error page is static: nothing of the request is in it (CWE-79, A-23)', async (t) => {
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

  await t.test('errors are JSON for a client that accepts nothing else', async (t) => {
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

  await t.test('our address comes from publicUrl and from no header (CVE-2026-3635, A-24)', async (t) => {
    const { location } = await plugin.authorize(
      {},
      {
        host: 'evil.example',
        'x-forwarded-host': 'evil.example',
        'x-forwarded-proto': 'http',
        forwarded: 'host=evil.example',
      },
    )
    t.equal(new URL(location).searchParams.get('redirect_uri'), `${PUBLIC_URL}/oauth2/callback`)
    t.notMatch(location, 'evil')
  })

  await t.test('a prefetch begins nothing (A-26)', async (t) => {
    const before = transactions()
    for (const headers of [
      { 'sec-purpose': 'prefetch' },
      { 'sec-purpose': 'prefetch;prerender' },
      { purpose: 'prefetch' },
      { purpose: 'Prefetch' },
      { 'sec-purpose': 'x', purpose: 'prefetch' },
    ]) {
      refusedLocally(t, await get(validQuery, headers as unknown as Record<string, string>), 503)
    }
    t.equal(transactions(), before)
  })

  await t.test('8 KiB of URL and 32 parameters are enough for anybody (K-01)', async (t) => {
    const before = transactions()
    const long = await get(`${validQuery}&pad=${'a'.repeat(8192)}`)
    refusedLocally(t, long, 414)
    t.equal((await get(`${validQuery}&pad=${'a'.repeat(7000)}`)).statusCode, 302)
    const many = Array.from({ length: 27 }, (_, index) => `p${index}=`).join('&')
    refusedLocally(t, await get(`${validQuery}&${many}`), 400, '33 parameters')
    t.equal((await get(`${validQuery}&${many.slice(0, -5)}`)).statusCode, 302, '32 parameters')
    t.equal(transactions(), before + 2)
  })

  await t.test(
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

  await t.test(
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
})

t.test(
  'loopback http: the cookie has another name and no Secure, which a browser would refuse (A-18)',
  async (t) => {
    const plugin = await startPluginApp(t, { publicUrl: 'http://127.0.0.1:3000' })
    const { response } = await plugin.authorize()
    t.match(
      String(response.headers['set-cookie']),
      /^pkce-[\w-]{22}=[\w-]{43}; Max-Age=600; Path=\/; HttpOnly; SameSite=Lax$/,
    )
  },
)

t.test('without openid there is no nonce (OIDC §3.1.2.1, A-17)', async (t) => {
  const plugin = await startPluginApp(t)
  const { location } = await plugin.authorize()
  t.equal(new URL(location).searchParams.get('nonce'), null)
})

t.test("provider.pkce relay passes the app's challenge on, none sends none (A-16)", async (t) => {
  for (const [pkce, challenge] of [
    ['relay', CHALLENGE],
    ['none', null],
  ] as const) {
    const plugin = await startPluginApp(t, { provider: { pkce } })
    const { location } = await plugin.authorize()
    t.equal(new URL(location).searchParams.get('code_challenge'), challenge)
    t.equal(new URL(location).searchParams.get('code_challenge_method'), challenge && 'S256')
  }
})

t.test('outstanding logins are capped, and a flood pushes none out (RFC 6819 §4.4.1.11, A-20)', async (t) => {
  const plugin = await startPluginApp(t, { limits: { transactionsPerAddress: 3, transactions: 5 } })
  const from = (remoteAddress: string) =>
    plugin.app.inject({ url: `/oauth2/authorize?${validQuery}`, remoteAddress })

  const first = await plugin.authorize()
  for (let login = 0; login < 2; login++) t.equal((await from('127.0.0.1')).statusCode, 302)
  for (let flood = 0; flood < 20; flood++) {
    const response = await from('127.0.0.1')
    refusedLocally(t, response, 429)
    t.ok(Number(response.headers['retry-after']) > 0)
  }
  t.equal(plugin.store.calls.create, 3, 'the store is not asked for what is refused')

  t.equal((await from('2001:db8:1:2::1')).statusCode, 302, 'another address')
  t.equal((await from('2001:db8:1:2:ffff::9')).statusCode, 302)
  refusedLocally(t, await from('2001:db8:9::1'), 503, 'all logins')
  t.equal((await plugin.callback(first)).statusCode, 302, 'the one that began before completes')
  t.equal((await from('2001:db8:1:2::3')).statusCode, 302, 'and makes room')
  plugin.store.advance(601)
  t.equal((await from('127.0.0.1')).statusCode, 302, 'what expires makes room')
})

t.test('addresses count by the /64, and a mapped one as what it stands for (A-20)', async (t) => {
  const plugin = await startPluginApp(t, { limits: { transactionsPerAddress: 2 } })
  const from = async (remoteAddress: string) =>
    (await plugin.app.inject({ url: `/oauth2/authorize?${validQuery}`, remoteAddress })).statusCode
  t.same(
    [await from('2001:db8::1'), await from('2001:db8::ffff'), await from('2001:db8:0:0:1::')],
    [302, 302, 429],
  )
  t.same([await from('10.0.0.1'), await from('::ffff:10.0.0.1'), await from('10.0.0.1')], [302, 302, 429])
  t.equal(await from('2001:db8:0:1::1'), 302, 'the next /64')
  t.equal(await from('fe80::1%eth0'), 302, 'a zone is no error')
})

t.test('what ends without a login gives its place back (A-20)', async (t) => {
  const plugin = await startPluginApp(t, { limits: { transactionsPerAddress: 1 } })
  plugin.store.fail('create', 1)
  t.equal((await plugin.authorize()).response.statusCode, 503)
  for (const query of [{ error: 'access_denied' }, { iss: 'https://evil.example' }, {}] as const) {
    const authorized = await plugin.authorize()
    t.equal(authorized.response.statusCode, 302)
    await plugin.callback(authorized, query)
  }
  t.equal((await plugin.authorize()).response.statusCode, 302)
})

t.test('behind a unix socket there are no addresses, and logins work (A-20, J-05)', async (t) => {
  const plugin = await startPluginApp(t, { rateLimit: { authorize: { max: 2 } } })
  const socketPath = join(mkdtempSync(join(tmpdir(), 'pkce-')), 'http.sock')
  t.teardown(() => rmSync(dirname(socketPath), { recursive: true }))
  await plugin.app.listen({ path: socketPath })
  const status = () =>
    new Promise<number | undefined>((resolve, reject) => {
      httpRequest({ socketPath, path: `/oauth2/authorize?${validQuery}`, agent: false }, (response) => {
        response.resume()
        resolve(response.statusCode)
      })
        .on('error', reject)
        .end()
    })
  t.same([await status(), await status(), await status()], [302, 302, 429])
})

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

t.test('a provider with PAR gets the request by the back door (RFC 9126 §5, A-25)', async (t) => {
  const plugin = await startPluginApp(
    t,
    {},
    { metadata: (issuer) => ({ pushed_authorization_request_endpoint: `${issuer}/par` }) },
  )
  const { location } = await plugin.authorize()
  t.same(Object.fromEntries(new URL(location).searchParams), {
    client_id: 'gateway',
    request_uri: 'urn:example:par',
  })
  t.match(plugin.provider.requests.at(-1)?.form.get('state'), /^pks_/)

  plugin.provider.behave.par = (_request, response) => response.writeHead(500).end()
  const told = toldToApp(t, (await plugin.authorize()).response)
  t.equal(told.get('error'), 'temporarily_unavailable')
  t.ok(plugin.events.some(({ event }) => event === 'provider.error'))
})

t.test('provider not ready: the app is told, nothing is stored (RFC 6749 §4.1.2.1)', async (t) => {
  const plugin = await startPluginApp(t, { provider: { issuer: 'http://127.0.0.1:1' } })
  const told = toldToApp(t, (await plugin.authorize()).response)
  t.equal(told.get('error'), 'temporarily_unavailable')
  t.equal(told.get('state'), 'app-state')
  t.equal(plugin.store.calls.create, undefined)
  refusedLocally(t, (await plugin.authorize({ client_id: 'nope' })).response)
})
