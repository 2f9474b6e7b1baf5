import { randomBytes } from 'node:crypto'
import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import type { PkceOptions } from '../../../../plugin/index.ts'
import {
  type Authorized,
  CHALLENGE,
  type PluginApp,
  PUBLIC_URL,
  REDIRECT_URI,
  startPluginApp,
  testStore,
} from '../../../support/plugin-app.ts'

/** A page of ours, and nothing that a browser would follow. */
function refusedLocally(t: Test, response: LightMyRequestResponse, status = 400, message = '') {
  t.equal(response.statusCode, status, `${message} ${status}`)
  t.equal(response.headers.location, undefined, 'no redirect')
  t.match(response.headers['content-type'], 'text/html')
  t.notMatch(response.body, 'pkc_', 'no code')
  t.equal(response.headers['cache-control'], 'no-store')
}

function codeIn(response: LightMyRequestResponse): string | null {
  const { location } = response.headers
  return location === undefined ? null : new URL(String(location)).searchParams.get('code')
}

/** The same login finishes well: what went before has touched nothing. */
async function stillWorks(t: Test, plugin: PluginApp, authorized: Authorized) {
  const code = codeIn(await plugin.callback(authorized))
  t.match(code, /^pkc_[\w-]{64}$/, 'the login still works')
}

t.test('one app, many callbacks', async (t) => {
  const plugin = await startPluginApp(t)
  const { app, provider, store } = plugin
  const raw = (query: string, cookie = '', headers: Record<string, string> = {}) =>
    app.inject({ url: `/oauth2/callback?${query}`, headers: { ...(cookie && { cookie }), ...headers } })

  await t.test(
    "a good answer becomes our code, and the provider's never leaves (RFC 6749 §4.1.2, B-09, B-10)",
    async (t) => {
      const authorized = await plugin.authorize()
      const response = await plugin.callback(authorized, { code: 'the-provider-code' })
      t.equal(response.statusCode, 302)
      t.equal(response.body, '')
      const location = new URL(String(response.headers.location))
      t.same([...location.searchParams.keys()], ['code', 'state', 'iss'])
      t.equal(location.searchParams.get('iss'), PUBLIC_URL)
      const ours = location.searchParams.get('code')!
      t.match(ours, /^pkc_[\w-]{64}$/)
      t.notMatch(JSON.stringify([response.headers, response.body]), 'the-provider-code')
      t.equal(provider.count('/token'), 0, 'nothing is exchanged yet')
      const record = store.written.at(-1)!
      t.match(JSON.parse(record), {
        status: 'authorized',
        clientId: 'app',
        redirectUri: REDIRECT_URI,
        codeChallenge: CHALLENGE,
        scope: ['orders.read', 'orders.write'],
        provider: provider.issuer,
      })
      for (const secret of [
        'the-provider-code',
        ours,
        ours.slice(26),
        authorized.state,
        authorized.cookie.split('=')[1]!,
      ]) {
        t.notOk(record.includes(secret), 'only hashes and sealed text are stored')
      }
      for (const name of ['cache-control', 'referrer-policy']) t.match(response.headers[name], /^no-/)
      t.equal((await plugin.redeem(ours)).statusCode, 200)
      t.equal(provider.requests.at(-1)?.form.get('code'), 'the-provider-code')
    },
  )

  await t.test('the cookie is taken back when the login is decided (A-18)', async (t) => {
    const authorized = await plugin.authorize()
    const line = String((await plugin.callback(authorized)).headers['set-cookie'])
    const name = authorized.cookie.split('=')[0]!
    t.ok(line.startsWith(`${name}=; `))
    t.match(line, /Max-Age=0.*Path=\/.*HttpOnly.*Secure/)
  })

  await t.test('HEAD, POST and the rest use nothing up (P-5, B-01)', async (t) => {
    const authorized = await plugin.authorize()
    const url = `/oauth2/callback?state=${authorized.state}&code=c`
    store.countCalls()
    for (const method of ['HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'TRACE'] as const) {
      const response = await app.inject({
        method: method as 'GET',
        url,
        headers: { cookie: authorized.cookie },
        ...(method === 'POST' && {
          payload: `state=${authorized.state}&code=c`,
          headers: { cookie: authorized.cookie, 'content-type': 'application/x-www-form-urlencoded' },
        }),
      })
      t.equal(response.statusCode, 405, method)
      t.equal(response.headers.allow, 'GET')
      t.equal(response.headers['set-cookie'], undefined)
    }
    t.equal(store.countCalls(), 0)
    await stillWorks(t, plugin, authorized)
  })

  await t.test('a prefetch uses nothing up (A-26)', async (t) => {
    const authorized = await plugin.authorize()
    const query = `state=${authorized.state}&code=c`
    refusedLocally(t, await raw(query, authorized.cookie, { 'sec-purpose': 'prefetch' }), 503)
    await stillWorks(t, plugin, authorized)
  })

  await t.test(
    'a state that is not one of ours is 400 here, without a look into the store (RFC 9700 §4.7, B-02)',
    async (t) => {
      store.countCalls()
      for (const state of [
        'x',
        '',
        `pks_${'A'.repeat(63)}`,
        `pks_${'A'.repeat(65)}`,
        `pkc_${'A'.repeat(64)}`,
        `pks_${'A'.repeat(63)}+`,
        `pks_${'A'.repeat(63)}=`,
      ]) {
        refusedLocally(t, await raw(`state=${encodeURIComponent(state)}&code=c`), 400, state)
      }
      refusedLocally(t, await raw('code=c'))
      refusedLocally(t, await raw(''))
      t.equal(store.countCalls(), 0)
      refusedLocally(
        t,
        await raw(`state=pks_${randomBytes(48).toString('base64url')}&code=c`),
        400,
        'unknown',
      )
    },
  )

  await t.test('a right selector with a wrong secret touches nothing (C-24)', async (t) => {
    const authorized = await plugin.authorize()
    const last = authorized.state.at(-1) === 'A' ? 'B' : 'A'
    refusedLocally(t, await raw(`state=${authorized.state.slice(0, -1)}${last}&code=c`, authorized.cookie))
    await stillWorks(t, plugin, authorized)
  })

  await t.test('an expired login is 400, with the janitor asleep (B-02, G-06)', async (t) => {
    const authorized = await plugin.authorize()
    store.advance(601)
    refusedLocally(t, await plugin.callback(authorized))
  })

  await t.test('what is malformed touches nothing (RFC 6749 §3.1, A.11, B-03, B-06, B-07)', async (t) => {
    const authorized = await plugin.authorize()
    const { state, cookie } = authorized
    for (const query of [
      `state=${state}&code=a&code=b`,
      `state=${state}&code=a&%63ode=b`,
      `state=${state}&code=a&state=${state}`,
      `state=${state}&code=a&iss=x&iss=x`,
      `state=${state}&error=access_denied&error=access_denied`,
      `state=${state}&code=a&error=access_denied`,
      `state=${state}`,
      `state=${state}&code=`,
      `state=${state}&error=`,
      `state=${state}&code=a%0d%0aSet-Cookie:%20x=1`,
      `state=${state}&code=a%00`,
      `state=${state}&code=%ff`,
      `state=${state}&code=%zz`,
      `state=${state}&code=%E2%82%AC`,
      `state=${state}&code=${'a'.repeat(4097)}`,
      `code=a`,
      `state=${state}&code=a&${Array.from({ length: 40 }, (_, index) => `p${index}=`).join('&')}`,
    ]) {
      const response = await raw(query, cookie)
      refusedLocally(t, response, 400, query.slice(78, 120))
      t.equal(response.headers['set-cookie'], undefined, 'the cookie stays')
    }
    refusedLocally(t, await raw(`state=${state}&code=a&pad=${'a'.repeat(8192)}`, cookie), 414)
    await stillWorks(t, plugin, authorized)
  })

  await t.test(
    'a code of 4096 characters and a client of the provider that adds parameters are fine (B-07)',
    async (t) => {
      const authorized = await plugin.authorize()
      const response = await plugin.callback(authorized, {
        code: 'a'.repeat(4096),
        session_state: 'x',
        scope: 'openid',
        redirect_uri: 'https://evil.example',
        client_id: 'other',
      })
      t.ok(
        String(response.headers.location).startsWith(`${REDIRECT_URI}?code=pkc_`),
        'to the stored redirect URI (B-11)',
      )
    },
  )

  await t.test(
    'another browser ends the login: no code, and the right one comes too late (RFC 9700 §4.7, A-18, B-04)',
    async (t) => {
      const tokenCalls = provider.count('/token')
      const other = await plugin.authorize()
      for (const [what, cookie] of [
        ['no cookie', () => ''],
        ["another login's cookie", () => other.cookie],
        ["another login's value", (own: string) => `${own.split('=')[0]}=${other.cookie.split('=')[1]}`],
        ['an empty value', (own: string) => `${own.split('=')[0]}=`],
        ['the stored hash', () => `${other.cookie.split('=')[0]}=x`],
        ['another case', (own: string) => own.toUpperCase()],
      ] as const) {
        const authorized = await plugin.authorize()
        plugin.events.length = 0
        refusedLocally(t, await plugin.callback(authorized, {}, cookie(authorized.cookie)), 400, what)
        t.match(plugin.events, [{ event: 'callback.browser_mismatch', clientId: 'app' }])
        refusedLocally(t, await plugin.callback(authorized), 400, 'burned')
      }
      t.equal(provider.count('/token'), tokenCalls)
      await stillWorks(t, plugin, other)
    },
  )

  await t.test(
    'a swap of two browsers helps neither: the attacker began, the victim finishes (O2.1, B-04)',
    async (t) => {
      const [attacker, victim] = [await plugin.authorize(), await plugin.authorize()]
      refusedLocally(t, await plugin.callback(attacker, {}, victim.cookie))
      await stillWorks(t, plugin, victim)
    },
  )

  await t.test(
    'an issuer that is not ours ends the login, codes and errors alike (RFC 9207 §2.4, B-05)',
    async (t) => {
      for (const query of [
        { iss: 'https://evil.example' },
        { iss: `${provider.issuer}/` },
        { iss: provider.issuer.toUpperCase() },
        { iss: 'https://evil.example', error: 'access_denied' },
      ]) {
        const authorized = await plugin.authorize()
        plugin.events.length = 0
        refusedLocally(t, await plugin.callback(authorized, query), 400, JSON.stringify(query))
        t.match(plugin.events, [{ event: 'callback.iss_mismatch' }])
        refusedLocally(t, await plugin.callback(authorized), 400, 'burned')
      }
      const authorized = await plugin.authorize()
      t.match(codeIn(await plugin.callback(authorized, { iss: provider.issuer })), /^pkc_/)
    },
  )

  await t.test(
    "the provider's errors go to the app by an allow-list, with state and iss (RFC 6749 §4.1.2.1, B-08)",
    async (t) => {
      for (const [error, told] of [
        ['access_denied', 'access_denied'],
        ['login_required', 'login_required'],
        ['consent_required', 'consent_required'],
        ['interaction_required', 'interaction_required'],
        ['account_selection_required', 'account_selection_required'],
        ['invalid_scope', 'invalid_scope'],
        ['temporarily_unavailable', 'temporarily_unavailable'],
        ['server_error', 'server_error'],
        ['<script>', 'server_error'],
        ['unauthorized_client', 'server_error'],
        ['invalid_request', 'server_error'],
        ['ACCESS_DENIED', 'server_error'],
        ['user_cancelled_authorize', 'access_denied'],
        ['user_cancelled_login', 'access_denied'],
        ['consent_denied', 'access_denied'],
      ] as const) {
        const authorized = await plugin.authorize()
        const response = await plugin.callback(authorized, {
          error,
          error_description: 'evil\r\nX: y',
          error_uri: 'https://evil.example',
        })
        t.equal(response.statusCode, 302)
        t.same(Object.fromEntries(new URL(String(response.headers.location)).searchParams), {
          error: told,
          state: 'app-state',
          iss: PUBLIC_URL,
        })
        t.notMatch(JSON.stringify(response.headers), /evil|script/)
        t.match(String(response.headers['set-cookie']), 'Max-Age=0')
        refusedLocally(t, await plugin.callback(authorized), 400, 'over')
      }
      const said = plugin
        .log()
        .split('\n')
        .filter((line) => line.includes('evil'))
      t.ok(said.length > 0, 'the log has it')
      for (const line of said) t.match(JSON.parse(line).providerError, /^[^\r\n]{1,256}$/)
    },
  )

  await t.test(
    'unrecognised parameters are ignored, repeated and badly encoded ones too (RFC 6749 §4.1.2, B-06)',
    async (t) => {
      for (const extra of [
        'authuser=0&prompt=consent&session_state=a.b&hd=example.com',
        'scope=a&scope=b&error_message=100%',
        'error_message=f%FCr&f%FCr=1&f%FCr=2',
        'error_description=%ff&error_description=b',
        '%zz=1&x=%00',
      ]) {
        const { state, cookie } = await plugin.authorize()
        t.match(codeIn(await raw(`${extra}&state=${state}&code=c&${extra}`, cookie)), /^pkc_/, extra)
      }
    },
  )

  await t.test('a description in any bytes does not keep the refusal from the app (B-08)', async (t) => {
    for (const description of ['f%FCr', '%ff%fe%00', '100%', 'a&error_description=b']) {
      const { state, cookie } = await plugin.authorize()
      const response = await raw(
        `state=${state}&error=access_denied&error_description=${description}`,
        cookie,
      )
      t.same(Object.fromEntries(new URL(String(response.headers.location)).searchParams), {
        error: 'access_denied',
        state: 'app-state',
        iss: PUBLIC_URL,
      })
    }
  })

  await t.test('an error without state is that of the only login of this browser (B-08)', async (t) => {
    const authorized = await plugin.authorize()
    const { cookie } = authorized
    const response = await raw('error=user_cancelled_login&error_description=f%FCr', `theme=dark; ${cookie}`)
    t.same(Object.fromEntries(new URL(String(response.headers.location)).searchParams), {
      error: 'access_denied',
      state: 'app-state',
      iss: PUBLIC_URL,
    })
    t.match(String(response.headers['set-cookie']), `${cookie.split('=')[0]}=; Max-Age=0`)
    refusedLocally(t, await plugin.callback(authorized), 400, 'over')
    refusedLocally(t, await raw('error=access_denied', cookie), 400, 'told once')
  })

  await t.test('an error without state that is nobody’s for sure touches nothing (B-03, B-08)', async (t) => {
    const [one, other] = [await plugin.authorize(), await plugin.authorize()]
    const name = one.cookie.split('=')[0]!
    for (const [what, cookie, query] of [
      ['no cookie', '', 'error=access_denied'],
      ['two logins', `${one.cookie}; ${other.cookie}`, 'error=access_denied'],
      ['a wrong secret', `${name}=${other.cookie.split('=')[1]}`, 'error=access_denied'],
      ['no secret', `${name}=`, 'error=access_denied'],
      ['a login that there is not', `__Host-pkce-${'A'.repeat(22)}=x`, 'error=access_denied'],
      ['a name that is none of ours', '__Host-pkce-x=y', 'error=access_denied'],
      ['another issuer', one.cookie, 'error=access_denied&iss=https%3A%2F%2Fevil.example'],
      ['a state that is none of ours', one.cookie, 'error=access_denied&state=x'],
      ['a code', one.cookie, 'code=c'],
      ['a code and an error', one.cookie, 'code=c&error=access_denied'],
    ] as const) {
      const response = await raw(query, cookie)
      refusedLocally(t, response, 400, what)
      t.equal(response.headers['set-cookie'], undefined, 'the cookie stays')
    }
    store.fail('read', 1)
    refusedLocally(t, await raw('error=access_denied', one.cookie), 503, 'store down')
    store.heal()
    await stillWorks(t, plugin, one)
    await stillWorks(t, plugin, other)
  })

  await t.test('50 at once give one code (RFC 6749 §10.12, B-03)', async (t) => {
    const authorized = await plugin.authorize()
    const responses = await Promise.all(Array.from({ length: 50 }, () => plugin.callback(authorized)))
    const codes = responses.map(codeIn).filter((code) => code !== null)
    t.equal(codes.length, 1)
    t.equal(responses.filter(({ statusCode }) => statusCode === 400).length, 49)
    t.equal((await plugin.redeem(codes[0]!)).statusCode, 200)
  })

  await t.test(
    'whoever comes second changes nothing, another browser and an error included (B-03, B-15)',
    async (t) => {
      const authorized = await plugin.authorize()
      const [good, stranger, error] = await Promise.all([
        plugin.callback(authorized),
        plugin.callback(authorized, {}, ''),
        plugin.callback(authorized, { error: 'access_denied' }),
      ])
      refusedLocally(t, stranger)
      refusedLocally(t, error)
      t.equal((await plugin.redeem(codeIn(good)!)).statusCode, 200)
    },
  )

  await t.test(
    'a second visit is a neutral page, before and after the app has its tokens (B-15)',
    async (t) => {
      const authorized = await plugin.authorize()
      const first = await plugin.callback(authorized)
      refusedLocally(t, await plugin.callback(authorized))
      const tokens = (await plugin.redeem(codeIn(first)!)).json() as {
        access_token: string
        refresh_token: string
      }
      for (const query of [{}, { error: 'access_denied' }, { code: 'another' }]) {
        const again = await plugin.callback(authorized, query)
        refusedLocally(t, again)
        t.match(again.body, 'already used')
        t.match(again.body, '<h1>Return to the app</h1>')
      }
      refusedLocally(t, await plugin.callback(authorized, {}, ''))
      t.equal((await plugin.call(tokens.access_token)).statusCode, 200)
      t.equal((await plugin.refresh(tokens.refresh_token)).statusCode, 200)
    },
  )

  await t.test('the code lives 60 seconds by the clock of the store (B-10)', async (t) => {
    const { code } = await plugin.code()
    store.advance(59)
    const late = await plugin.code()
    t.equal((await plugin.redeem(code)).statusCode, 200)
    store.advance(61)
    const response = await plugin.redeem(late.code)
    t.equal(response.statusCode, 400)
    t.equal(response.json().error, 'invalid_grant')
  })

  await t.test('store down: 503, and the login can be finished afterwards (G-08)', async (t) => {
    t.teardown(() => store.heal())
    for (const operation of ['read', 'replace'] as const) {
      for (const query of [{}, { error: 'access_denied' }]) {
        const authorized = await plugin.authorize()
        store.fail(operation)
        const response = await plugin.callback(authorized, query)
        refusedLocally(t, response, 503, operation)
        t.ok(Number(response.headers['retry-after']) > 0)
        t.equal(response.headers['set-cookie'], undefined, 'the browser keeps what it needs to try again')
        store.heal()
        await stillWorks(t, plugin, authorized)
      }
    }
  })

  await t.test('store down while a stranger is refused: 503, and no code for anybody (G-08)', async (t) => {
    const authorized = await plugin.authorize()
    store.fail('replace', 1)
    refusedLocally(t, await plugin.callback(authorized, {}, ''), 503)
  })

  await t.test('an answer that got lost is a decided login: the code is nobody’s (G-08)', async (t) => {
    const authorized = await plugin.authorize()
    store.loseAnswer('replace')
    refusedLocally(t, await plugin.callback(authorized), 503)
    refusedLocally(t, await plugin.callback(authorized), 400)
  })

  await t.test('no CORS, and JSON for those who accept nothing else (A-22)', async (t) => {
    const response = await raw('state=x', '', { accept: 'application/json', origin: 'https://evil.example' })
    t.equal(response.statusCode, 400)
    t.match(response.json(), { error: 'invalid_request', error_description: String })
    t.same(
      Object.keys(response.headers).filter((name) => name.startsWith('access-control')),
      [],
    )
  })

  await t.test('an error page holds nothing of the request (CWE-79, A-23)', async (t) => {
    const response = await raw('state=%3Cscript%3Eevil&code=evil&error=evil', 'evil=evil', {
      'user-agent': 'evil',
    })
    refusedLocally(t, response)
    t.notMatch(response.body, /evil|<script/)
    t.match(response.headers['content-security-policy'], "default-src 'none'")
  })
})

t.test(
  'the response keeps the bytes of the registered URI (RFC 6749 §3.1.2, RFC 9700 §4.12, B-11)',
  async (t) => {
    const uris = [
      'com.ex.app:/cb?x=1',
      'https://app.example.com/cb?x=1&',
      'https://app.example.com/cb?',
      'https://app.example.com/a%2Fb/%c3%a9;v=1?q=%20',
      'http://127.0.0.1/cb',
    ]
    const plugin = await startPluginApp(t, {
      clients: [{ clientId: 'app', redirectUris: uris, interaction: 'none' }],
    })
    for (const [sent, start] of [
      [uris[0], 'com.ex.app:/cb?x=1&code=pkc_'],
      [uris[1], 'https://app.example.com/cb?x=1&code=pkc_'],
      [uris[2], 'https://app.example.com/cb?code=pkc_'],
      [uris[3], 'https://app.example.com/a%2Fb/%c3%a9;v=1?q=%20&code=pkc_'],
      ['http://127.0.0.1:50123/cb', 'http://127.0.0.1:50123/cb?code=pkc_'],
    ] as const) {
      const authorized = await plugin.authorize({ redirect_uri: sent, state: 'a&b=c d' })
      const response = await plugin.callback(authorized)
      t.equal(response.statusCode, 302)
      const location = String(response.headers.location)
      t.ok(location.startsWith(start), location)
      t.ok(location.endsWith(`&state=a%26b%3Dc%20d&iss=${encodeURIComponent(PUBLIC_URL)}`), location)
    }
  },
)

t.test('metadata promises iss: an answer without it is refused (RFC 9207 §2.4, B-05)', async (t) => {
  const plugin = await startPluginApp(
    t,
    {},
    { metadata: () => ({ authorization_response_iss_parameter_supported: true }) },
  )
  for (const query of [{}, { error: 'access_denied' }]) {
    const authorized = await plugin.authorize()
    refusedLocally(t, await plugin.callback(authorized, query))
    refusedLocally(t, await plugin.callback(authorized, { iss: plugin.provider.issuer }), 400, 'burned')
  }
  const authorized = await plugin.authorize()
  t.match(codeIn(await plugin.callback(authorized, { iss: plugin.provider.issuer })), /^pkc_/)
})

t.test('what has changed between the two visits is seen (B-13, B-14, G-05)', async (t) => {
  const store = testStore()
  const secrets = [randomBytes(32).toString('base64url')]
  const client = { clientId: 'app', redirectUris: [REDIRECT_URI] }
  const before = await startPluginApp(t, { store, secrets, clients: [client] })
  const issuer = before.provider.issuer
  const changes: [string, Partial<PkceOptions>][] = [
    ['client disabled', { clients: [{ ...client, enabled: false }] }],
    ['client gone', { clients: [{ ...client, clientId: 'new' }] }],
    ['redirect URI gone', { clients: [{ ...client, redirectUris: ['https://app.example.com/new'] }] }],
    ['server secret gone', { secrets: [randomBytes(32).toString('base64url')] }],
  ]
  for (const [what, { clients = [client], secrets: theirs = secrets }] of changes) {
    const after = await startPluginApp(t, { store, secrets: theirs, clients, provider: { issuer } })
    const authorized = await before.authorize()
    refusedLocally(t, await after.callback(authorized), 400, what)
    t.equal(JSON.parse(store.written.at(-1)!).status, 'ended', what)
    refusedLocally(t, await before.callback(authorized), 400, 'burned')
  }
  const otherProvider = await startPluginApp(t, { store, secrets, clients: [client] })
  const authorized = await before.authorize()
  refusedLocally(t, await otherProvider.callback(authorized), 400, 'a state of another provider is unknown')
  await stillWorks(t, before, authorized)

  const same = await startPluginApp(t, { store, secrets, clients: [client], provider: { issuer } })
  t.match(codeIn(await same.callback(await before.authorize())), /^pkc_/, 'another instance finishes a login')
})
