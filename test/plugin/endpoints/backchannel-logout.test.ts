/** OpenID Connect Back-Channel Logout 1.0, at a provider that says what a test wants it to say. */
import { generateKeyPair, type JWTPayload, SignJWT, UnsecuredJWT } from 'jose'
import t, { type Test } from 'tap'
import type { Store } from '../../../plugin/index.ts'
import { eventsOf } from '../../support/logged-in.ts'
import { type PluginApp, REDIRECT_URI, startPluginApp, testStore } from '../../support/plugin-app.ts'
import { json, LOGOUT, type StubProvider, startStubProvider } from '../../support/stub-provider.ts'
import { deferred, until } from '../../support/wait.ts'

const openId = { provider: { scope: 'openid' } }

const now = () => Math.floor(Date.now() / 1000)

const post = (plugin: PluginApp, logout_token: string | undefined, path = 'backchannel-logout') =>
  plugin.post(path, { logout_token })

/** Logs in as `sub`, out of a session `sid` at the provider. */
async function login(plugin: PluginApp, claims: { sub?: string; sid?: string | null } = {}) {
  plugin.provider.claims = { sub: 'alice', ...claims } as JWTPayload
  return (await plugin.login()).access_token
}

async function statusOf(plugin: PluginApp, accessToken: string): Promise<number> {
  return (await plugin.call(accessToken)).statusCode
}

t.test('whose sessions end (E-10)', async (t) => {
  t.test('sid: those of this session at the provider, whoever else is signed in', async (t) => {
    const plugin = await startPluginApp(t, openId)
    const [one, same, other, bobs] = [
      await login(plugin, { sid: 's1' }),
      await login(plugin, { sid: 's1' }),
      await login(plugin, { sid: 's2' }),
      await login(plugin, { sub: 'bob', sid: 's3' }),
    ]
    for (const token of [one, same, other, bobs]) t.equal(await statusOf(plugin, token), 200)
    const response = await post(plugin, await plugin.provider.logoutToken({ sid: 's1' }))
    t.equal(response.statusCode, 200)
    t.same(response.json(), {})
    t.match(response.headers, { 'cache-control': 'no-store', 'content-type': 'application/json' })
    t.same(await Promise.all([one, same, other, bobs].map((token) => statusOf(plugin, token))), [
      ...[401, 401, 200, 200],
    ])
    const ended = plugin.events.filter(({ event }) => event === 'session.ended')
    t.match(ended, [
      { reason: 'provider_logout', subject: 'alice', requestId: String },
      { reason: 'provider_logout' },
    ])
    t.equal(plugin.provider.count('/revoke'), 0, 'nobody holds a handle (G-04)')
    t.notOk(
      plugin.store.touched.some((call) => /"(?:sid|logout):[^"]*s1"/.test(call)),
      'no claim is part of a key (G-14)',
    )
  })

  t.test('sub alone: all of the person', async (t) => {
    const plugin = await startPluginApp(t, openId)
    const [one, two, none, bobs] = [
      await login(plugin, { sid: 's1' }),
      await login(plugin, { sid: 's2' }),
      await login(plugin),
      await login(plugin, { sub: 'bob', sid: 's3' }),
    ]
    t.equal((await post(plugin, await plugin.provider.logoutToken({ sub: 'alice' }))).statusCode, 200)
    t.same(await Promise.all([one, two, none, bobs].map((token) => statusOf(plugin, token))), [
      ...[401, 401, 401, 200],
    ])
  })

  t.test('sid and sub: that session, and those of the person of which no sid is known', async (t) => {
    const plugin = await startPluginApp(t, openId)
    const [one, two, none, bobs] = [
      await login(plugin, { sid: 's1' }),
      await login(plugin, { sid: 's2' }),
      await login(plugin, { sid: null }),
      await login(plugin, { sub: 'bob', sid: 's1' }),
    ]
    const token = await plugin.provider.logoutToken({ sid: 's1', sub: 'alice' })
    t.equal((await post(plugin, token)).statusCode, 200)
    t.same(await Promise.all([one, two, none, bobs].map((token) => statusOf(plugin, token))), [
      ...[401, 200, 401, 200],
    ])
  })

  t.test('nobody who is signed in: that is no error', async (t) => {
    const plugin = await startPluginApp(t, openId)
    t.equal((await post(plugin, await plugin.provider.logoutToken({ sid: 'unknown' }))).statusCode, 200)
    t.equal((await post(plugin, await plugin.provider.logoutToken({ sub: '../*' }))).statusCode, 200)
  })

  t.test('whoever serves a session for longer hears of it, and its refresh token is over', async (t) => {
    const plugin = await startPluginApp(t, openId)
    plugin.provider.claims = { sid: 's1' }
    const tokens = await plugin.login()
    const request = {
      id: '1',
      ip: '127.0.0.1',
      log: plugin.app.log,
      raw: { rawHeaders: ['authorization', `Bearer ${tokens.access_token}`], url: '/' },
    }
    const session = await plugin.app.pkce.authenticate(request)
    let ends = 0
    plugin.app.pkce.onSessionEnd(session, () => {
      ends += 1
    })
    await post(plugin, await plugin.provider.logoutToken({ sid: 's1' }))
    await until(() => ends === 1)
    const refreshed = await plugin.refresh(tokens.refresh_token)
    t.equal(refreshed.json().error, 'invalid_grant')
  })

  t.test('another provider’s sid and sub are other ones (M-05)', async (t) => {
    const [google, apple] = [await startStubProvider(), await startStubProvider()]
    t.teardown(() => Promise.all([google.close(), apple.close()]))
    const at = ({ issuer }: StubProvider) => ({ issuer, clientId: 'gateway', clientSecret: 'secret' })
    const plugin = await startPluginApp(
      t,
      {
        providers: { google: at(google), apple: at(apple) },
        clients: [
          { clientId: 'app', redirectUris: [REDIRECT_URI], scopes: ['orders.read'], providers: ['google'] },
        ],
      },
      { provider: google },
    )
    google.claims = { sid: 's1' }
    const authorized = await plugin.authorize()
    const back = await plugin.app.inject({
      url: `/oauth2/callback/google?${new URLSearchParams({ state: authorized.state, code: 'c' })}`,
      headers: { cookie: authorized.cookie },
    })
    const code = new URL(String(back.headers.location)).searchParams.get('code')!
    const { access_token } = (await plugin.redeem(code)).json()
    const path = (name: string) => `backchannel-logout/${name}`
    t.equal((await post(plugin, await google.logoutToken({ sid: 's1' }))).statusCode, 404, 'each has its own')
    t.equal((await post(plugin, await google.logoutToken({ sid: 's1' }), path('apple'))).statusCode, 400)
    t.equal((await post(plugin, await apple.logoutToken({ sid: 's1' }), path('google'))).statusCode, 400)
    for (const claims of [{ sid: 's1' }, { sub: 'alice' }]) {
      t.equal((await post(plugin, await apple.logoutToken(claims), path('apple'))).statusCode, 200)
    }
    t.equal(await statusOf(plugin, access_token), 200)
    t.equal((await post(plugin, await google.logoutToken({ sid: 's1' }), path('google'))).statusCode, 200)
    t.equal(await statusOf(plugin, access_token), 401)
  })
})

t.test('what is no logout token ends nothing (E-09)', async (t) => {
  const plugin = await startPluginApp(t, openId)
  const { provider } = plugin
  const token = await login(plugin, { sid: 's1' })
  const aud = ['gateway', 'other']
  const forged: readonly [what: string, claims: object, header?: object][] = [
    ['a nonce', { nonce: 'n' }],
    ['an empty nonce', { nonce: '' }],
    ['another aud', { aud: 'another' }],
    ['no aud', { aud: undefined }],
    ['an aud besides us that is not trusted', { aud }],
    ['issued to another party', { aud, azp: 'other' }],
    ['another iss', { iss: 'https://other.example' }],
    ['no iss', { iss: undefined }],
    ['expired', { exp: now() - 61 }],
    ['no exp', { exp: undefined }],
    ['an exp that is text', { exp: '9999999999' as never }],
    ['no iat', { iat: undefined }],
    ['an iat in the future', { iat: now() + 120 }],
    ['an iat of long ago', { iat: now() - 90_000, exp: now() + 60 }],
    ['not valid yet', { nbf: now() + 120 }],
    ['no jti', { jti: undefined }],
    ['an empty jti', { jti: '' }],
    ['a jti that is a number', { jti: 1 as never }],
    ['an endless jti', { jti: 'j'.repeat(256) }],
    ['no events', { events: undefined }],
    ['another event', { events: { 'https://other.example/event': {} } }],
    ['events as a list', { events: Object.keys(LOGOUT) }],
    ['an event that is no object', { events: { [Object.keys(LOGOUT)[0]!]: true } }],
    ['an event that is a list', { events: { [Object.keys(LOGOUT)[0]!]: [] } }],
    ['nobody', { sid: undefined, sub: undefined }],
    ['a sid that is no text', { sid: 1 as never }],
    ['a sid that is no text, with a good sub', { sid: ['s1'], sub: 'alice' }],
    ['an empty sid', { sid: '', sub: 'alice' }],
    ['a sub that is no text', { sid: 's1', sub: 1 as never }],
    ['the type of an access token', {}, { typ: 'at+jwt' }],
    ['the type of any JWT', {}, { typ: 'JWT' }],
    ['an empty type', {}, { typ: '' }],
  ]
  const stranger = (await generateKeyPair('ES256')).privateKey
  const sound = {
    iss: provider.issuer,
    aud: 'gateway',
    iat: now(),
    exp: now() + 60,
    jti: 'j',
    events: LOGOUT,
  }
  const sign = (alg: string, key: Parameters<SignJWT['sign']>[0]) =>
    new SignJWT({ ...sound, sid: 's1' }).setProtectedHeader({ alg, kid: 'stub', typ: 'logout+jwt' }).sign(key)
  const good = await provider.logoutToken({ sid: 's1' })
  const [head = '', payload = '', signature = ''] = good.split('.')
  const tampered = Buffer.from(JSON.stringify({ ...sound, sub: 'alice' })).toString('base64url')
  const tokens: readonly [what: string, token: string | undefined][] = [
    ...(await Promise.all(
      forged.map(async ([what, claims, header]): Promise<[string, string]> => {
        return [what, await provider.logoutToken({ sid: 's1', ...claims } as JWTPayload, header)]
      }),
    )),
    ['none', undefined],
    ['an empty one', ''],
    ['no JWT', 'x'],
    ['other claims under its signature', [head, tampered, signature].join('.')],
    ['no signature', `${head}.${payload}.`],
    ['alg none', new UnsecuredJWT({ ...sound, sid: 's1' }).encode()],
    ["a stranger's key", await sign('ES256', stranger)],
    ['a secret', await sign('HS256', new TextEncoder().encode('gateway-secret-gateway-secret-gate'))],
    ['an id_token', await provider.idToken({ sid: 's1', nonce: 'n' })],
    ['an id_token without nonce', await provider.idToken({ sid: 's1' })],
  ]
  for (const [what, forgery] of tokens) {
    const response = await post(plugin, forgery)
    t.equal(response.statusCode, 400, what)
    t.same(Object.keys(response.json()), ['error', 'error_description'], what)
    t.equal(response.json().error, 'invalid_request', what)
    t.match(response.headers['cache-control'], 'no-store', what)
  }
  t.equal(await statusOf(plugin, token), 200)
  t.notOk(eventsOf(plugin).includes('session.ended'))
  const log = plugin.log()
  for (const cause of [
    'aud: names others',
    'nonce: is in a logout token',
    'events: does not name',
    'typ: is',
  ]) {
    t.match(log, new RegExp(`"cause":"${cause}.*a logout token was refused`), cause)
  }
  t.notMatch(log, new RegExp(payload.slice(0, 40)), 'no token is in the log')

  t.test('how it comes', async (t) => {
    const body = new URLSearchParams({ logout_token: good }).toString()
    const url = '/oauth2/backchannel-logout'
    const form = { 'content-type': 'application/x-www-form-urlencoded' }
    const send = (request: object) =>
      plugin.app.inject({ method: 'POST', url, headers: form, payload: body, ...request })
    for (const [what, response, status] of [
      ['GET', await plugin.app.inject(`${url}?${body}`), 405],
      ['in the query', await send({ url: `${url}?${body}` }), 400],
      ['twice', await send({ payload: `${body}&${body}` }), 400],
      ['as JSON', await send({ payload: { logout_token: good }, headers: {} }), 400],
      ['as a JWT', await send({ payload: good, headers: { 'content-type': 'application/jwt' } }), 400],
      ['too long', await send({ payload: `${body}&x=${'x'.repeat(17_000)}` }), 413],
    ] as const) {
      t.equal(response.statusCode, status, what)
    }
    t.equal(await statusOf(plugin, token), 200)
    t.equal((await send({ payload: `${body}&unknown=1` })).statusCode, 200, 'none of it has used it up')
    t.equal(await statusOf(plugin, token), 401)
  })
})

t.test('what may differ in a logout token (E-09)', async (t) => {
  const plugin = await startPluginApp(t, { provider: { scope: 'openid', trustedAudiences: ['api'] } })
  for (const [what, claims, header] of [
    ['no typ', {}, { typ: undefined }],
    ['typ with its prefix, in capitals', {}, { typ: 'application/LOGOUT+JWT' }],
    ['several audiences', { aud: ['gateway', 'api'] }],
    ['more in events', { events: { ...LOGOUT, 'https://other.example/event': 1 } }],
    ['clocks that differ', { iat: now() + 50 }],
    ['just expired', { exp: now() - 50 }],
    ['a trace of null', { nonce: null, nbf: null }],
  ] as const) {
    const token = await login(plugin, { sid: 's1' })
    const logout = await plugin.provider.logoutToken({ sid: 's1', ...claims } as JWTPayload, header as never)
    t.equal((await post(plugin, logout)).statusCode, 200, what)
    t.equal(await statusOf(plugin, token), 401, what)
  }
})

t.test('a logout token works once (E-09, G-07)', async (t) => {
  t.test('a replay ends no later session', async (t) => {
    const plugin = await startPluginApp(t, openId)
    const before = await login(plugin, { sid: 's1' })
    const logout = await plugin.provider.logoutToken({ sid: 's1' })
    t.equal((await post(plugin, logout)).statusCode, 200)
    t.equal(await statusOf(plugin, before), 401)
    const after = await login(plugin, { sid: 's1' })
    t.equal((await post(plugin, logout)).statusCode, 400)
    plugin.store.advance(179)
    t.equal((await post(plugin, logout)).statusCode, 400, 'for as long as it would be accepted')
    t.equal(await statusOf(plugin, after), 200)
    t.ok(eventsOf(plugin).filter((event) => event === 'session.ended').length === 1)
  })

  t.test('of 20 at once one is told that it worked', async (t) => {
    const plugin = await startPluginApp(t, openId)
    const token = await login(plugin, { sid: 's1' })
    const logout = await plugin.provider.logoutToken({ sid: 's1' })
    const answers = await Promise.all(Array.from({ length: 20 }, () => post(plugin, logout)))
    t.equal(answers.filter(({ statusCode }) => statusCode === 200).length, 1)
    t.equal(answers.filter(({ statusCode }) => statusCode === 400).length, 19)
    t.equal(await statusOf(plugin, token), 401)
    t.equal(eventsOf(plugin).filter((event) => event === 'session.ended').length, 1)
  })

  t.test('a store that fails anywhere: 503, and the same token works later (G-08)', async (t) => {
    const steps: [keyof Store, number][] = [
      ['create', 1],
      ['addToIndex', 1],
      ['readIndex', 1],
      ['read', 1],
      ['replace', 1],
      ['replace', 2],
    ]
    for (const [operation, nth] of steps) {
      for (const failure of ['fail', 'loseAnswer'] as const) {
        const plugin = await startPluginApp(t, openId)
        const token = await login(plugin, { sid: 's1' })
        const logout = await plugin.provider.logoutToken({ sid: 's1' })
        plugin.store[failure](operation, nth)
        const what = `${failure} ${operation} ${nth}`
        const failed = await post(plugin, logout)
        t.equal(failed.statusCode, 503, what)
        t.ok(failed.headers['retry-after'], what)
        const isDone = failure === 'loseAnswer' && nth === 2
        t.equal((await post(plugin, logout)).statusCode, isDone ? 400 : 200, `${what}: again`)
        t.equal(await statusOf(plugin, token), 401, what)
        t.equal((await post(plugin, logout)).statusCode, 400, `${what}: a third time`)
      }
    }
  })
})

t.test("the provider's keys (E-09, F-13)", async (t) => {
  t.test('out of reach: 503, and the session goes on until it is said again', async (t) => {
    const plugin = await startPluginApp(t, openId)
    const token = await login(plugin, { sid: 's1' })
    const { jwks } = plugin.provider.behave
    plugin.provider.behave.jwks = (_request, response) => json(response, 503, {})
    const logout = await plugin.provider.logoutToken({ sid: 's1' })
    t.equal((await post(plugin, logout)).statusCode, 503)
    t.equal(await statusOf(plugin, token), 200)
    plugin.provider.behave.jwks = jwks
    t.equal((await post(plugin, logout)).statusCode, 200)
    t.equal(await statusOf(plugin, token), 401)
  })

  t.test('a new one is found', async (t) => {
    const plugin = await startPluginApp(t, openId)
    const token = await login(plugin, { sid: 's1' })
    t.equal((await post(plugin, await plugin.provider.logoutToken({ sub: 'bob' }))).statusCode, 200)
    await plugin.provider.rotateKey()
    await until(async () => {
      const { statusCode } = await post(plugin, await plugin.provider.logoutToken({ sid: 's1' }))
      return statusCode === 200
    })
    t.equal(await statusOf(plugin, token), 401)
  })

  t.test('strangers with unknown keys do not hold up logins after a new key', async (t) => {
    const plugin = await startPluginApp(t, openId)
    await login(plugin)
    const before = plugin.provider.count('/jwks')
    for (let nth = 0; nth < 100; nth++) {
      const forgery = await plugin.provider.logoutToken({}, { kid: `stranger-${nth}` })
      t.ok([400, 503].includes((await post(plugin, forgery)).statusCode))
    }
    t.ok(plugin.provider.count('/jwks') - before <= 4, `${plugin.provider.count('/jwks') - before} fetches`)
    await new Promise((resolve) => setTimeout(resolve, 1100))
    await plugin.provider.rotateKey()
    t.ok(await login(plugin), 'one refetch')
  })
})

t.test('a login under way when its provider says that it is over: the logout wins (E-11)', async (t) => {
  const logouts = [{ sid: 's1' }, { sub: 'alice' }, { sid: 's1', sub: 'alice' }]
  for (const claims of logouts) {
    const what = Object.keys(claims).join(' and ')
    for (const sid of ['s1', null]) {
      if (sid === null && what === 'sid') continue
      const of = sid === null ? ', no sid in the id_token' : ''

      t.test(`${what}: while the provider is asked for tokens${of}`, async (t) => {
        const plugin = await startPluginApp(t, openId)
        plugin.provider.claims = { sid } as JWTPayload
        const asked = deferred()
        const goOn = deferred()
        const { token } = plugin.provider.behave
        plugin.provider.behave.token = async (request, response) => {
          asked.resolve()
          await goOn.promise
          return token(request, response)
        }
        const { code } = await plugin.code()
        const redeeming = plugin.redeem(code)
        await asked.promise
        t.equal((await post(plugin, await plugin.provider.logoutToken(claims))).statusCode, 200)
        goOn.resolve()
        await assertRefused(t, plugin, await redeeming)
      })

      for (const operation of ['addToIndex', 'readIndex', 'replace'] as const) {
        t.test(`${what}: at the activation's ${operation}${of}`, async (t) => {
          const plugin = await startPluginApp(t, openId)
          plugin.provider.claims = { sid } as JWTPayload
          const { token } = plugin.provider.behave
          let held!: ReturnType<typeof plugin.store.hold>
          plugin.provider.behave.token = async (request, response) => {
            held = plugin.store.hold(operation)
            return token(request, response)
          }
          const { code } = await plugin.code()
          const redeeming = plugin.redeem(code)
          await until(() => held !== undefined)
          await held.reached
          t.equal((await post(plugin, await plugin.provider.logoutToken(claims))).statusCode, 200)
          held.release()
          await assertRefused(t, plugin, await redeeming)
        })
      }
    }
  }

  t.test('before the app has sent the code', async (t) => {
    const plugin = await startPluginApp(t, openId)
    plugin.provider.claims = { sid: 's1' }
    const { code } = await plugin.code()
    t.equal((await post(plugin, await plugin.provider.logoutToken({ sid: 's1' }))).statusCode, 200)
    plugin.store.advance(59)
    await assertRefused(t, plugin, await plugin.redeem(code))
  })

  t.test('the logout stops between any two of its calls, and the activation goes through', async (t) => {
    for (const operation of ['create', 'addToIndex', 'readIndex'] as const) {
      const plugin = await startPluginApp(t, openId)
      plugin.provider.claims = { sid: 's1' }
      const { code } = await plugin.code()
      const logout = await plugin.provider.logoutToken({ sid: 's1' })
      const held = plugin.store.hold(operation)
      const ending = post(plugin, logout)
      await held.reached
      const redeemed = await plugin.redeem(code)
      held.release()
      t.equal((await ending).statusCode, 200, operation)
      if (redeemed.statusCode === 200) {
        t.equal(await statusOf(plugin, redeemed.json().access_token), 401, operation)
      } else t.equal(redeemed.json().error, 'invalid_grant', operation)
    }
  })

  t.test('a store that cannot tell of logouts: no session (G-08)', async (t) => {
    const plugin = await startPluginApp(t, openId)
    plugin.provider.claims = { sid: 's1' }
    for (const nth of [1, 2]) {
      const { code } = await plugin.code()
      plugin.store.fail('readIndex', nth)
      t.equal((await plugin.redeem(code)).statusCode, 503)
    }
    await until(async () => (await plugin.app.pkce.sessionsOf('alice')).length === 0)
    await until(() => plugin.provider.count('/revoke') === 2)
  })

  t.test(
    'a login of another session at the provider, and one that begins later, are not meant',
    async (t) => {
      const plugin = await startPluginApp(t, openId)
      plugin.provider.claims = { sid: 's2' }
      const { code } = await plugin.code()
      t.equal((await post(plugin, await plugin.provider.logoutToken({ sid: 's1' }))).statusCode, 200)
      t.equal(
        (await post(plugin, await plugin.provider.logoutToken({ sid: 's1', sub: 'alice' }))).statusCode,
        200,
      )
      t.equal((await plugin.redeem(code)).statusCode, 200)
      t.equal((await post(plugin, await plugin.provider.logoutToken({ sub: 'alice' }))).statusCode, 200)
      plugin.store.advance(1)
      for (const sid of ['s1', 's2', null]) t.equal(await statusOf(plugin, await login(plugin, { sid })), 200)
    },
  )
})

/** No token, no session, and what the provider has issued is taken back. Or it was a session for a moment, and is none. */
async function assertRefused(
  t: Test,
  plugin: PluginApp,
  response: { statusCode: number; json(): { error: string; access_token: string } },
) {
  t.same(await plugin.app.pkce.sessionsOf('alice'), [])
  if (response.statusCode === 200) {
    t.equal(await statusOf(plugin, response.json().access_token), 401)
    return
  }
  t.equal(response.statusCode, 400)
  t.equal(response.json().error, 'invalid_grant')
  t.notOk(eventsOf(plugin).includes('session.activated'))
  await until(() => plugin.provider.count('/revoke') === 1)
}

t.test('a provider without OpenID Connect signs nothing: no such route (E-09)', async (t) => {
  const plugin = await startPluginApp(t)
  t.equal((await post(plugin, await plugin.provider.logoutToken())).statusCode, 404)
  await plugin.login()
  t.equal(plugin.store.calls.readIndex ?? 0, 0, 'and no login asks for logouts')
})

t.test('a session from before sids were kept ends by sub (E-10)', async (t) => {
  const store = testStore()
  const plugin = await startPluginApp(t, { ...openId, store })
  const token = await login(plugin)
  t.notMatch(store.written.at(-1), /"sid"/)
  t.equal(
    (await post(plugin, await plugin.provider.logoutToken({ sid: 's9', sub: 'alice' }))).statusCode,
    200,
  )
  t.equal(await statusOf(plugin, token), 401)
})

t.test('logouts have a limit of their own: apps cannot use up a provider’s (J-05, J-07)', async (t) => {
  const plugin = await startPluginApp(t, {
    ...openId,
    rateLimit: { token: { max: 2 }, logout: { max: 3 } },
  } as never)
  for (let nth = 0; nth < 4; nth++) await plugin.redeem('x')
  plugin.store.countCalls()
  const statuses: number[] = []
  for (let nth = 0; nth < 5; nth++) statuses.push((await post(plugin, 'x')).statusCode)
  t.same(statuses, [400, 400, 400, 429, 429])
  t.equal(plugin.store.countCalls(), 0, 'before the store')
})
