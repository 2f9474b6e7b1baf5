import type { LightMyRequestResponse } from 'fastify'
import t, { type Test } from 'tap'
import { parseHandle } from '../../../plugin/secrets/handles.ts'
import {
  newPair,
  type PluginApp,
  REDIRECT_URI,
  startPluginApp,
  type Tokens,
} from '../../support/plugin-app.ts'
import { type Behaviour, json } from '../../support/stub-provider.ts'
import { deferred, until } from '../../support/wait.ts'

/** From here on a refresh needs the provider: of its token's 3600 s fewer than 300 are left. */
const NEAR_EXPIRY = 3400

type Options = Parameters<typeof startPluginApp>[1]

async function loggedIn(t: Test, options?: Options): Promise<PluginApp & { tokens: Tokens }> {
  const plugin = await startPluginApp(t, options)
  return { ...plugin, tokens: await plugin.login() }
}

const tokensOf = (response: LightMyRequestResponse): Tokens => response.json() as Tokens
const eventsOf = (plugin: PluginApp) => plugin.events.map(({ event }) => event)
/** Calls to the provider's token endpoint since the login. */
const refreshes = (plugin: PluginApp) => plugin.provider.count('/token') - 1

function refused(t: Test, response: LightMyRequestResponse, status: number, error: string): void {
  t.equal(response.statusCode, status, response.body)
  t.equal((response.json() as { error: string }).error, error)
  t.equal(response.headers['cache-control'], 'no-store')
  t.equal(response.headers['retry-after'], status === 503 ? '5' : undefined)
  t.notMatch(response.body, /pk[ar]_/)
}

/** Holds the provider's answers back until they are let go. */
function slowProvider(plugin: PluginApp): { letGo(): void } {
  const { promise, resolve } = deferred()
  const { token } = plugin.provider.behave
  plugin.provider.behave.token = async (request, response) => {
    await promise
    return token(request, response)
  }
  return {
    letGo() {
      plugin.provider.behave.token = token
      resolve()
    },
  }
}

const say =
  (status: number, body: unknown): Behaviour =>
  (_request, response) =>
    json(response, status, body)

/** A provider that forgets a refresh token once it has been used, as many do. */
function rotatingProvider(plugin: PluginApp): { readonly accepted: string[] } {
  let current = 'provider-refresh-1'
  let generation = 1
  const accepted: string[] = []
  plugin.provider.behave.token = (request, response) => {
    const presented = request.form.get('refresh_token')
    if (presented !== current) return json(response, 400, { error: 'invalid_grant' })
    accepted.push(presented)
    generation += 1
    current = `provider-refresh-${generation}`
    json(response, 200, {
      access_token: `provider-access-${generation}`,
      refresh_token: current,
      token_type: 'Bearer',
      expires_in: 3600,
    })
  }
  return { accepted }
}

t.test(
  'every refresh rotates both handles; the provider is not asked without need (D-02, D-17)',
  async (t) => {
    const plugin = await loggedIn(t)
    plugin.store.countCalls()
    const response = await plugin.refresh(plugin.tokens.refresh_token)
    t.equal(plugin.store.countCalls(), 2, 'two round trips')
    t.equal(response.statusCode, 200)
    const next = tokensOf(response)
    t.match(next, {
      access_token: /^pka_/,
      refresh_token: /^pkr_/,
      token_type: 'Bearer',
      scope: 'orders.read orders.write',
    })
    t.not(next.refresh_token, plugin.tokens.refresh_token)
    t.not(next.access_token, plugin.tokens.access_token)
    t.ok(next.expires_in >= 599 && next.expires_in <= 600)
    t.equal(refreshes(plugin), 0)
    t.equal((await plugin.call(next.access_token)).statusCode, 200)
    t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 200, 'to its own expiry (D-05)')
    t.same(eventsOf(plugin), ['session.activated', 'session.refreshed'])

    const third = tokensOf(await plugin.refresh(next.refresh_token))
    t.equal(new Set([plugin.tokens.refresh_token, next.refresh_token, third.refresh_token]).size, 3)
  },
)

t.test('near its expiry the provider token is renewed first (D-17)', async (t) => {
  const plugin = await loggedIn(t)
  plugin.store.advance(NEAR_EXPIRY)
  const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
  t.equal(refreshes(plugin), 1)
  const { form } = plugin.provider.requests.at(-1)!
  t.same(Object.fromEntries(form), { grant_type: 'refresh_token', refresh_token: 'provider-refresh-1' })
  t.match((await plugin.call(next.access_token)).json(), { authorization: 'Bearer provider-access-2' })
  t.ok(next.expires_in >= 599)
})

t.test(
  'no access token outlives the provider token, and forwarding never asks the provider (D-17)',
  async (t) => {
    const plugin = await loggedIn(t)
    plugin.store.advance(3200)
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    t.equal(refreshes(plugin), 0)
    t.ok(next.expires_in <= 400, String(next.expires_in))
    plugin.store.advance(401)
    const answers = await Promise.all(Array.from({ length: 100 }, () => plugin.call(next.access_token)))
    t.ok(answers.every(({ statusCode }) => statusCode === 401))
    t.match(answers[0]!.headers['www-authenticate'], /error="invalid_token"/)
    t.equal(refreshes(plugin), 0)
  },
)

t.test('50 parallel refreshes: one generation step, one successor for all (D-03, D-05, D-06)', async (t) => {
  for (const [name, seconds, calls] of [
    ['without a provider call', 0, 0],
    ['with a provider call', NEAR_EXPIRY, 1],
  ] as const) {
    t.test(name, async (t) => {
      const plugin = await loggedIn(t)
      plugin.store.advance(seconds)
      plugin.store.gather('read', 50)
      const all = Array.from({ length: 50 }, () => plugin.refresh(plugin.tokens.refresh_token))
      const answers = await Promise.all(all)
      t.same([...new Set(answers.map(({ statusCode }) => statusCode))], [200])
      t.equal(new Set(answers.map((answer) => tokensOf(answer).refresh_token)).size, 1)
      t.equal(new Set(answers.map((answer) => tokensOf(answer).access_token)).size, 1)
      t.equal(refreshes(plugin), calls)
      t.equal(eventsOf(plugin).filter((event) => event === 'session.refreshed').length, 1)
      t.equal((await plugin.refresh(tokensOf(answers[0]!).refresh_token)).statusCode, 200)
    })
  }
})

t.test('grace: the immediate predecessor gets the same successor again (D-05)', async (t) => {
  t.test('within 15 s, with the time that has passed taken off', async (t) => {
    const plugin = await loggedIn(t)
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    plugin.store.advance(5)
    const again = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    t.equal(again.refresh_token, next.refresh_token)
    t.equal(again.access_token, next.access_token)
    t.equal(again.scope, next.scope)
    t.ok(again.expires_in <= 595 && again.expires_in >= 594, String(again.expires_in))
  })

  t.test('not when the successor has been presented: then the grant ends', async (t) => {
    const plugin = await loggedIn(t)
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    const third = tokensOf(await plugin.refresh(next.refresh_token))
    refused(t, await plugin.refresh(plugin.tokens.refresh_token), 400, 'invalid_grant')
    refused(t, await plugin.refresh(third.refresh_token), 400, 'invalid_grant')
    t.equal((await plugin.call(third.access_token)).statusCode, 401)
  })

  t.test('not when the successor has been presented in vain, while the provider was down', async (t) => {
    const plugin = await loggedIn(t)
    plugin.store.advance(3299)
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    plugin.store.advance(2)
    plugin.provider.behave.token = say(500, {})
    refused(t, await plugin.refresh(next.refresh_token), 503, 'temporarily_unavailable')
    refused(t, await plugin.refresh(plugin.tokens.refresh_token), 400, 'invalid_grant')
    t.ok(eventsOf(plugin).includes('refresh.reuse'))
  })

  t.test('refreshGraceSeconds 0: a retry is reuse, a slow parallel request is not', async (t) => {
    const plugin = await loggedIn(t, { lifetimes: { refreshGraceSeconds: 0 } })
    const held = plugin.store.hold('read')
    const slow = plugin.refresh(plugin.tokens.refresh_token)
    await held.reached
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    held.release()
    refused(t, await slow, 503, 'temporarily_unavailable')
    t.equal((await plugin.call(next.access_token)).statusCode, 200)
    refused(t, await plugin.refresh(plugin.tokens.refresh_token), 400, 'invalid_grant')
    t.equal((await plugin.call(next.access_token)).statusCode, 401)
  })
})

t.test(
  'reuse of an older generation ends the grant, here and at the provider (RFC 9700 §4.14.2, D-04)',
  async (t) => {
    const plugin = await loggedIn(t)
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    plugin.store.advance(20)
    refused(t, await plugin.refresh(plugin.tokens.refresh_token), 400, 'invalid_grant')
    t.equal((await plugin.call(next.access_token)).statusCode, 401)
    t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 401)
    refused(t, await plugin.refresh(next.refresh_token), 400, 'invalid_grant')
    t.match(plugin.events.slice(2, 4), [
      { event: 'refresh.reuse', reason: 'refresh_reused', clientId: 'app', grant: /^[0-9a-f]{8}$/ },
      { event: 'session.ended', reason: 'refresh_reused' },
    ])
    await until(() => plugin.provider.count('/revoke') === 1)
    t.equal(plugin.provider.requests.at(-1)!.form.get('token'), 'provider-refresh-1')
  },
)

t.test('what does not prove the family has no effect (D-01, D-04)', async (t) => {
  const rows: [
    string,
    (plugin: PluginApp & { tokens: Tokens }) => Promise<LightMyRequestResponse>,
    string,
  ][] = [
    [
      'a random secret',
      ({ refresh, tokens }) => refresh(tokens.refresh_token.slice(0, 26) + newPair().verifier.slice(0, 42)),
      'invalid_grant',
    ],
    [
      'another client (D-01)',
      ({ refresh, tokens }) => refresh(tokens.refresh_token, { client_id: 'other' }),
      'invalid_grant',
    ],
    ['garbage', ({ refresh }) => refresh('garbage'), 'invalid_grant'],
    ['no refresh_token', ({ refresh }) => refresh(''), 'invalid_request'],
    ['513 characters', ({ refresh }) => refresh('x'.repeat(513)), 'invalid_request'],
    [
      'a wider scope (D-13)',
      ({ refresh, tokens }) => refresh(tokens.refresh_token, { scope: 'admin' }),
      'invalid_scope',
    ],
  ]
  for (const [name, attempt, error] of rows) {
    t.test(`${name} -> 400 ${error}, and the owner's next refresh is good`, async (t) => {
      const plugin = await loggedIn(t)
      refused(t, await attempt(plugin), 400, error)
      t.same(eventsOf(plugin), ['session.activated'])
      t.equal((await plugin.call(plugin.tokens.access_token)).statusCode, 200)
      t.equal((await plugin.refresh(plugin.tokens.refresh_token)).statusCode, 200)
      t.equal(plugin.provider.count('/revoke'), 0)
    })
  }

  t.test('another client, with an old generation: not even reuse', async (t) => {
    const plugin = await loggedIn(t)
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    plugin.store.advance(20)
    refused(
      t,
      await plugin.refresh(plugin.tokens.refresh_token, { client_id: 'other' }),
      400,
      'invalid_grant',
    )
    t.equal((await plugin.refresh(next.refresh_token)).statusCode, 200)
  })

  t.test('a confidential client without its secret -> 401 (D-01)', async (t) => {
    const clients = [
      { clientId: 'app', redirectUris: [REDIRECT_URI] },
      {
        clientId: 'backend',
        redirectUris: [REDIRECT_URI],
        authentication: 'client_secret_post' as const,
        clientSecret: 'backend-secret',
      },
    ]
    const plugin = await startPluginApp(t, { clients })
    const { code } = await plugin.code({ client_id: 'backend' })
    const form = { client_id: 'backend', client_secret: 'backend-secret' }
    const { refresh_token } = tokensOf(await plugin.redeem(code, form))
    refused(t, await plugin.refresh(refresh_token, { client_id: 'backend' }), 401, 'invalid_client')
    t.equal((await plugin.refresh(refresh_token, form)).statusCode, 200)
  })
})

t.test(
  'scope narrows the issued token, and the grant keeps the original (RFC 6749 §6, D-13, H-04)',
  async (t) => {
    const plugin = await loggedIn(t)
    const narrow = tokensOf(await plugin.refresh(plugin.tokens.refresh_token, { scope: 'orders.write' }))
    t.equal(narrow.scope, 'orders.write')
    const refusal = await plugin.call(narrow.access_token)
    t.equal(refusal.statusCode, 403)
    t.match(refusal.headers['www-authenticate'], /error="insufficient_scope".*scope="orders.read"/)
    const wide = tokensOf(await plugin.refresh(narrow.refresh_token))
    t.equal(wide.scope, 'orders.read orders.write')
    t.equal((await plugin.call(wide.access_token)).statusCode, 200)

    const { refresh_token } = await plugin.login({ scope: 'orders.read' })
    refused(
      t,
      await plugin.refresh(refresh_token, { scope: 'orders.read orders.write' }),
      400,
      'invalid_scope',
    )
    t.equal((await plugin.refresh(refresh_token)).statusCode, 200, 'not rotated')
  },
)

t.test('for scopes that were passed on, the provider narrows (F-16)', async (t) => {
  const clients = [
    {
      clientId: 'app',
      redirectUris: [REDIRECT_URI],
      scopes: ['orders.read', 'mail'],
      providerScopes: ['mail'],
    },
  ]
  const plugin = await loggedIn(t, { clients })
  t.equal(plugin.tokens.scope, 'orders.read mail')
  plugin.store.advance(NEAR_EXPIRY)
  plugin.provider.behave.token = say(200, {
    access_token: 'a',
    token_type: 'Bearer',
    expires_in: 3600,
    scope: 'api',
  })
  const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
  t.equal(next.scope, 'orders.read')
  t.equal(tokensOf(await plugin.refresh(next.refresh_token)).scope, 'orders.read', 'for good')
})

t.test(
  'the provider fails at a refresh: the session is kept, and the lease given back (D-09, D-10)',
  async (t) => {
    const rows: [string, Behaviour, number][] = [
      ['answers 500', say(500, {}), 503],
      ['answers 429', say(429, {}), 503],
      [
        'closes in the middle of its answer',
        (_request, response) => {
          response
            .writeHead(200, { 'content-type': 'application/json', 'content-length': '100' })
            .write('{"acc')
          setImmediate(() => response.destroy())
        },
        503,
      ],
      ['hangs', () => {}, 503],
      ['refuses us', say(401, { error: 'invalid_client' }), 502],
      ['answers garbage', say(200, []), 502],
    ]
    for (const [name, behaviour, status] of rows) {
      t.test(`it ${name} -> ${status}, one call, and the next refresh is good`, async (t) => {
        const timeouts = { totalMs: 1000 }
        const plugin = await loggedIn(t, name === 'hangs' ? { provider: { timeouts } } : {})
        const { token } = plugin.provider.behave
        plugin.store.advance(NEAR_EXPIRY)
        plugin.provider.behave.token = behaviour
        const error = status === 503 ? 'temporarily_unavailable' : 'server_error'
        refused(t, await plugin.refresh(plugin.tokens.refresh_token), status, error)
        t.equal(refreshes(plugin), 1)
        t.equal(plugin.events.at(-1)!.event, 'provider.error')
        plugin.provider.behave.token = token
        t.equal((await plugin.refresh(plugin.tokens.refresh_token)).statusCode, 200)
        t.equal(plugin.provider.requests.at(-1)!.form.get('refresh_token'), 'provider-refresh-1')
      })
    }
  },
)

t.test('invalid_grant of the provider ends the session (D-10)', async (t) => {
  const plugin = await loggedIn(t)
  plugin.store.advance(3299)
  const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
  plugin.store.advance(2)
  plugin.provider.behave.token = say(400, { error: 'invalid_grant' })
  refused(t, await plugin.refresh(next.refresh_token), 400, 'invalid_grant')
  t.equal((await plugin.call(next.access_token)).statusCode, 401, 'the access token that was still good')
  refused(t, await plugin.refresh(next.refresh_token), 400, 'invalid_grant')
  t.equal(refreshes(plugin), 1, 'no retry storm')
  t.same(eventsOf(plugin).slice(-3), ['provider.error', 'session.ended', 'forward.denied'])
})

t.test('an id_token of somebody else at a refresh ends the session (OIDC Core §12.2, D-14)', async (t) => {
  const plugin = await loggedIn(t, { provider: { scope: 'openid' } })
  plugin.store.advance(NEAR_EXPIRY)
  plugin.provider.claims = { sub: 'mallory' }
  refused(t, await plugin.refresh(plugin.tokens.refresh_token), 400, 'invalid_grant')
  t.equal(plugin.events.at(-1)!.event, 'session.ended')
  t.same(await plugin.app.pkce.sessionsOf('alice'), [])
  await until(() => plugin.provider.count('/revoke') === 1)
  t.equal(
    plugin.provider.requests.at(-1)!.form.get('token'),
    'provider-refresh-2',
    'what was issued for mallory',
  )
})

t.test('fresh claims after a refresh (H-04)', async (t) => {
  const clients = [{ clientId: 'app', redirectUris: [REDIRECT_URI], claims: ['email'] }]
  const plugin = await startPluginApp(t, { clients, provider: { scope: 'openid' } })
  plugin.provider.claims = { email: 'old@example.com' }
  const { refresh_token } = await plugin.login()
  plugin.store.advance(NEAR_EXPIRY)
  plugin.provider.claims = { email: 'new@example.com' }
  const { access_token } = tokensOf(await plugin.refresh(refresh_token))
  const headers = { authorization: `Bearer ${access_token}` }
  const { body } = await plugin.app.inject({ url: '/oauth2/userinfo', headers })
  t.same(JSON.parse(body), { sub: 'alice', email: 'new@example.com' })
})

t.test('the provider may or may not rotate its refresh token (RFC 6749 §6, D-11)', async (t) => {
  t.test('without one in the answer the old one is kept', async (t) => {
    const plugin = await loggedIn(t)
    const { token } = plugin.provider.behave
    plugin.provider.behave.token = say(200, {
      access_token: 'a',
      token_type: 'Bearer',
      expires_in: 3600,
      refresh_token: '',
    })
    plugin.store.advance(NEAR_EXPIRY)
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    t.ok(next.refresh_token)
    plugin.provider.behave.token = token
    plugin.store.advance(NEAR_EXPIRY)
    await plugin.refresh(next.refresh_token)
    t.equal(plugin.provider.requests.at(-1)!.form.get('refresh_token'), 'provider-refresh-1')
  })

  t.test('with one in the answer the new one is used', async (t) => {
    const plugin = await loggedIn(t)
    plugin.store.advance(NEAR_EXPIRY)
    const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    plugin.store.advance(NEAR_EXPIRY)
    t.equal((await plugin.refresh(next.refresh_token)).statusCode, 200)
    t.equal(plugin.provider.requests.at(-1)!.form.get('refresh_token'), 'provider-refresh-2')
  })
})

t.test('idle and absolute lifetimes are enforced here (D-12)', async (t) => {
  const DAY = 86_400
  t.test('30 days without a refresh -> invalid_grant', async (t) => {
    const plugin = await loggedIn(t)
    plugin.store.advance(30 * DAY)
    refused(t, await plugin.refresh(plugin.tokens.refresh_token), 400, 'invalid_grant')
    t.equal(refreshes(plugin), 0)
  })
  t.test('day 91 of a session in use -> invalid_grant, and never a token beyond the end', async (t) => {
    const plugin = await loggedIn(t)
    let { refresh_token } = plugin.tokens
    for (let day = 0; day < 87; day += 29) {
      plugin.store.advance(29 * DAY)
      ;({ refresh_token } = tokensOf(await plugin.refresh(refresh_token)))
    }
    plugin.store.advance(3 * DAY - 100)
    const last = tokensOf(await plugin.refresh(refresh_token))
    t.ok(last.expires_in <= 100, String(last.expires_in))
    plugin.store.advance(101)
    refused(t, await plugin.refresh(last.refresh_token), 400, 'invalid_grant')
    t.equal((await plugin.call(last.access_token)).statusCode, 401)
  })
})

t.test('those who wait for a lease never call the provider (D-06, D-10)', async (t) => {
  t.test('it answers: one successor for all', async (t) => {
    const plugin = await loggedIn(t)
    plugin.store.advance(NEAR_EXPIRY)
    const slow = slowProvider(plugin)
    const all = Array.from({ length: 20 }, () => plugin.refresh(plugin.tokens.refresh_token))
    await until(() => refreshes(plugin) === 1)
    const late = plugin.refresh(plugin.tokens.refresh_token)
    slow.letGo()
    const answers = await Promise.all([...all, late])
    t.equal(new Set(answers.map((answer) => tokensOf(answer).refresh_token)).size, 1)
    t.equal(refreshes(plugin), 1)
  })

  t.test('it fails: 503 for all, one call', async (t) => {
    const plugin = await loggedIn(t)
    plugin.store.advance(NEAR_EXPIRY)
    plugin.provider.behave.token = say(500, {})
    const slow = slowProvider(plugin)
    const all = Array.from({ length: 20 }, () => plugin.refresh(plugin.tokens.refresh_token))
    await until(() => refreshes(plugin) === 1)
    slow.letGo()
    const answers = await Promise.all(all)
    for (const answer of answers) t.equal(answer.statusCode, 503)
    t.equal(refreshes(plugin), 1)
  })

  t.test('its caller is dead: 503 once the lease has run out, and the next one is served', async (t) => {
    const plugin = await loggedIn(t)
    plugin.store.advance(NEAR_EXPIRY)
    const slow = slowProvider(plugin)
    const dead = plugin.refresh(plugin.tokens.refresh_token)
    await until(() => refreshes(plugin) === 1)
    const waiting = plugin.refresh(plugin.tokens.refresh_token)
    await until(() => (plugin.store.calls.read ?? 0) >= 6)
    plugin.store.advance(16)
    refused(t, await waiting, 503, 'temporarily_unavailable')
    t.equal(refreshes(plugin), 1)

    const { token } = plugin.provider.behave
    plugin.provider.behave.token = say(200, { access_token: 'b', token_type: 'Bearer', expires_in: 3600 })
    t.equal((await plugin.refresh(plugin.tokens.refresh_token)).statusCode, 200)
    plugin.provider.behave.token = token
    slow.letGo()
    await dead
  })
})

t.test('a logout while the provider is slow wins (D-08)', async (t) => {
  const rows: [string, (plugin: PluginApp & { tokens: Tokens }) => Promise<unknown>][] = [
    [
      'by the app',
      (plugin) => plugin.post('revoke', { client_id: 'app', token: plugin.tokens.refresh_token }),
    ],
    ['by an administrator', ({ app }) => app.pkce.endSession({ subject: 'alice' })],
  ]
  for (const [name, logOut] of rows) {
    t.test(`${name}: invalid_grant, and what the provider issued is taken back`, async (t) => {
      const plugin = await loggedIn(t, { provider: { scope: 'openid' } })
      plugin.store.advance(NEAR_EXPIRY)
      const slow = slowProvider(plugin)
      const refreshing = plugin.refresh(plugin.tokens.refresh_token)
      await until(() => refreshes(plugin) === 1)
      await logOut(plugin)
      slow.letGo()
      refused(t, await refreshing, 400, 'invalid_grant')
      const revoked = () =>
        plugin.provider.requests.filter(({ path }) => path === '/revoke').map(({ form }) => form.get('token'))
      await until(() => revoked().includes('provider-refresh-2'))
      t.same(await plugin.app.pkce.sessionsOf('alice'), [])
      t.notOk(eventsOf(plugin).includes('session.refreshed'))
    })
  }
})

t.test('a caller that comes back after its lease is refused, and does no harm (D-07)', async (t) => {
  /** One refresh hangs at the provider, its lease runs out, and the app's next one succeeds. */
  async function overtaken(t: Test) {
    const plugin = await loggedIn(t)
    plugin.store.advance(NEAR_EXPIRY)
    const answers: (() => void)[] = []
    let answerLate: Behaviour = say(500, {})
    const { token } = plugin.provider.behave
    plugin.provider.behave.token = (request, response) =>
      new Promise<void>((resolve) => {
        answers.push(() => {
          answerLate(request, response)
          resolve()
        })
      })
    const late = plugin.refresh(plugin.tokens.refresh_token)
    await until(() => answers.length === 1)
    plugin.store.advance(16)
    plugin.provider.behave.token = token
    const winner = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
    return {
      plugin,
      winner,
      comeBack(behaviour: Behaviour) {
        answerLate = behaviour
        answers[0]!()
        return late
      },
    }
  }

  t.test('with tokens: they are revoked, and its app gets the successor within the grace', async (t) => {
    const { plugin, winner, comeBack } = await overtaken(t)
    const late = await comeBack(
      say(200, { access_token: 'late', refresh_token: 'late-refresh', token_type: 'Bearer' }),
    )
    t.equal(tokensOf(late).refresh_token, winner.refresh_token)
    await until(() => plugin.provider.count('/revoke') === 1)
    t.equal(plugin.provider.requests.at(-1)!.form.get('token'), 'late-refresh')
    t.match((await plugin.call(winner.access_token)).json(), { authorization: 'Bearer provider-access-2' })
  })

  t.test(
    'with an access token alone: the refresh token that the winner may hold is not revoked',
    async (t) => {
      const { plugin, comeBack } = await overtaken(t)
      await comeBack(say(200, { access_token: 'late', token_type: 'Bearer' }))
      await until(() => plugin.provider.count('/revoke') === 1)
      t.equal(plugin.provider.requests.at(-1)!.form.get('token'), 'late')
    },
  )

  t.test('with invalid_grant, for a token that the winner has replaced: the session goes on', async (t) => {
    const { plugin, winner, comeBack } = await overtaken(t)
    const late = await comeBack(say(400, { error: 'invalid_grant' }))
    t.equal(tokensOf(late).refresh_token, winner.refresh_token)
    t.equal((await plugin.call(winner.access_token)).statusCode, 200)
    t.equal((await plugin.refresh(winner.refresh_token)).statusCode, 200)
  })

  t.test('when the app has gone on with the successor: 503, and no reuse', async (t) => {
    const { plugin, winner, comeBack } = await overtaken(t)
    const next = tokensOf(await plugin.refresh(winner.refresh_token))
    const late = await comeBack(
      say(200, { access_token: 'late', refresh_token: 'late-refresh', token_type: 'Bearer' }),
    )
    refused(t, late, 503, 'temporarily_unavailable')
    t.notOk(eventsOf(plugin).includes('refresh.reuse'))
    t.equal((await plugin.call(next.access_token)).statusCode, 200)
    t.equal((await plugin.refresh(next.refresh_token)).statusCode, 200)
  })
})

t.test('relay mode: a refresh always refreshes at the provider (D-17)', async (t) => {
  const plugin = await loggedIn(t, { tokens: 'relay' })
  t.equal(plugin.tokens.access_token, 'provider-access-1')
  t.ok(plugin.tokens.expires_in > 3590, "the provider token's own life")
  t.match(plugin.tokens.refresh_token, /^pkr_/)

  const slow = slowProvider(plugin)
  const all = Array.from({ length: 20 }, () => plugin.refresh(plugin.tokens.refresh_token))
  await until(() => refreshes(plugin) === 1)
  slow.letGo()
  const answers = (await Promise.all(all)).map(tokensOf)
  t.equal(refreshes(plugin), 1)
  t.same([...new Set(answers.map(({ access_token }) => access_token))], ['provider-access-2'])
  t.equal(new Set(answers.map(({ refresh_token }) => refresh_token)).size, 1)
  for (const token of ['provider-access-1', 'provider-access-2']) {
    t.match((await plugin.call(token)).json(), { authorization: `Bearer ${token}` })
  }
  const next = tokensOf(await plugin.refresh(answers[0]!.refresh_token))
  t.equal(next.access_token, 'provider-access-3')
})

t.test('relay mode: a provider that answers with the same access token again', async (t) => {
  const plugin = await loggedIn(t, { tokens: 'relay' })
  plugin.provider.behave.token = say(200, {
    access_token: 'provider-access-1',
    token_type: 'Bearer',
    expires_in: 3600,
  })
  const next = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
  t.equal(next.access_token, 'provider-access-1')
  t.equal((await plugin.call(next.access_token)).statusCode, 200)
  t.equal(
    tokensOf(await plugin.refresh(plugin.tokens.refresh_token)).refresh_token,
    next.refresh_token,
    'grace',
  )
})

t.test(
  'provider tokens that do not open: refused at once, every time, and no lease is taken (G-05)',
  async (t) => {
    const plugin = await loggedIn(t)
    const refreshToken = plugin.tokens.refresh_token
    const key = `grant:${parseHandle('refresh', refreshToken)?.selector}`
    const stored = await plugin.store.read(key)
    if (!stored) throw new Error('the grant is there')
    const grant = { ...JSON.parse(stored.value), sealed: 'A'.repeat(64) }
    await plugin.store.replace(key, stored.version, JSON.stringify(grant), 7_200_000)
    plugin.store.advance(NEAR_EXPIRY)
    refused(t, await plugin.refresh(refreshToken), 400, 'invalid_grant')
    refused(t, await plugin.refresh(refreshToken), 400, 'invalid_grant')
    t.equal(refreshes(plugin), 0)
  },
)

t.test('keys that cannot be had at a refresh: 503, and the session is kept (D-10)', async (t) => {
  const jwksAt = (path: string) => ({ metadata: (issuer: string) => ({ jwks_uri: `${issuer}${path}` }) })
  const plugin = await startPluginApp(t, {}, jwksAt('/userinfo'))
  const { refresh_token } = await plugin.login()
  plugin.store.advance(NEAR_EXPIRY)
  plugin.provider.behave.userinfo = say(503, {})
  plugin.provider.behave.token = async (request, response) =>
    json(response, 200, {
      access_token: 'renewed',
      refresh_token: request.form.get('refresh_token'),
      expires_in: 3600,
      id_token: await plugin.provider.idToken(),
    })
  refused(t, await plugin.refresh(refresh_token), 503, 'temporarily_unavailable')
  await plugin.app.close()
  t.equal(plugin.provider.count('/revoke'), 0, 'the refresh token that the session still needs')
})

t.test('the store fails at any call of a refresh: nothing is lost (G-08)', async (t) => {
  t.test('without a provider call', async (t) => {
    for (const mode of ['fail', 'loseAnswer'] as const) {
      for (const operation of ['read', 'replace'] as const) {
        t.test(`${operation}, ${mode} -> 503, and a retry is good`, async (t) => {
          const plugin = await loggedIn(t)
          plugin.store[mode](operation, 1)
          refused(t, await plugin.refresh(plugin.tokens.refresh_token), 503, 'temporarily_unavailable')
          t.ok(eventsOf(plugin).includes('store.unavailable'))
          plugin.store.heal()
          const next = await plugin.refresh(plugin.tokens.refresh_token)
          t.equal(next.statusCode, 200, 'the same handle, or its successor again')
          t.equal((await plugin.refresh(tokensOf(next).refresh_token)).statusCode, 200)
        })
      }
    }
  })

  t.test('with a provider that rotates: up to the lease nothing has happened', async (t) => {
    for (const [operation, mode] of [
      ['read', 'fail'],
      ['replace', 'fail'],
    ] as const) {
      t.test(`${operation}, ${mode} -> 503, the provider not asked, and a retry is good`, async (t) => {
        const plugin = await loggedIn(t)
        const provider = rotatingProvider(plugin)
        plugin.store.advance(NEAR_EXPIRY)
        plugin.store[mode](operation, 1)
        refused(t, await plugin.refresh(plugin.tokens.refresh_token), 503, 'temporarily_unavailable')
        t.same(provider.accepted, [])
        t.equal((await plugin.refresh(plugin.tokens.refresh_token)).statusCode, 200)
      })
    }

    t.test(
      'a lease that was written without an answer -> 503, and a retry is good when it has run out',
      async (t) => {
        const plugin = await loggedIn(t)
        const provider = rotatingProvider(plugin)
        plugin.store.advance(NEAR_EXPIRY)
        plugin.store.loseAnswer('replace', 1)
        refused(t, await plugin.refresh(plugin.tokens.refresh_token), 503, 'temporarily_unavailable')
        t.same(provider.accepted, [])
        plugin.store.advance(16)
        t.equal((await plugin.refresh(plugin.tokens.refresh_token)).statusCode, 200)
      },
    )
  })

  t.test('after the provider has rotated: the swap is made again within the lease', async (t) => {
    for (const mode of ['fail', 'loseAnswer'] as const) {
      for (const tokens of ['opaque', 'relay'] as const) {
        t.test(`${mode}, ${tokens} -> 200 all the same, and the session goes on`, async (t) => {
          const plugin = await loggedIn(t, { tokens })
          const provider = rotatingProvider(plugin)
          plugin.store.advance(NEAR_EXPIRY)
          plugin.store[mode]('replace', 2)
          const response = await plugin.refresh(plugin.tokens.refresh_token)
          t.equal(response.statusCode, 200, response.body)
          t.same(provider.accepted, ['provider-refresh-1'])
          t.equal(plugin.provider.count('/revoke'), 0, 'nothing was lost, so nothing is revoked')
          const next = tokensOf(response)
          t.equal((await plugin.call(next.access_token)).statusCode, 200)
          plugin.store.advance(NEAR_EXPIRY)
          t.equal((await plugin.refresh(next.refresh_token)).statusCode, 200)
          t.same(provider.accepted, ['provider-refresh-1', 'provider-refresh-2'])
        })
      }
    }

    t.test('the index of relay mode fails -> made again as well', async (t) => {
      const plugin = await loggedIn(t, { tokens: 'relay' })
      plugin.store.fail('addToIndex', 1)
      const { access_token } = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
      t.equal((await plugin.call(access_token)).statusCode, 200)
    })

    t.test('a logout while it is made again wins', async (t) => {
      const plugin = await loggedIn(t)
      rotatingProvider(plugin)
      plugin.store.advance(NEAR_EXPIRY)
      plugin.store.loseAnswer('replace', 2)
      const refreshing = plugin.refresh(plugin.tokens.refresh_token)
      const swaps = plugin.store.calls.replace ?? 0
      await until(() => (plugin.store.calls.replace ?? 0) >= swaps + 2)
      await plugin.post('revoke', { client_id: 'app', token: plugin.tokens.refresh_token })
      refused(t, await refreshing, 400, 'invalid_grant')
      await until(() => plugin.provider.count('/revoke') >= 1)
    })

    t.test(
      'somebody has gone on with the successor meanwhile: the answer is still the one that was written',
      async (t) => {
        const plugin = await loggedIn(t)
        rotatingProvider(plugin)
        plugin.store.advance(NEAR_EXPIRY)
        const swaps = plugin.store.calls.replace ?? 0
        plugin.store.loseAnswer('replace', 2)
        const first = plugin.refresh(plugin.tokens.refresh_token)
        await until(() => (plugin.store.calls.replace ?? 0) >= swaps + 2)
        const again = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
        const third = tokensOf(await plugin.refresh(again.refresh_token))
        t.equal(tokensOf(await first).refresh_token, again.refresh_token)
        t.equal(plugin.provider.count('/revoke'), 0)
        t.equal((await plugin.refresh(third.refresh_token)).statusCode, 200)
      },
    )

    t.test('the store stays down until the lease ends -> 503; then a clear invalid_grant', async (t) => {
      const plugin = await loggedIn(t)
      const provider = rotatingProvider(plugin)
      plugin.store.advance(NEAR_EXPIRY)
      const { token } = plugin.provider.behave
      plugin.provider.behave.token = (request, response) => {
        plugin.store.fail()
        return token(request, response)
      }
      const refreshing = plugin.refresh(plugin.tokens.refresh_token)
      const swaps = plugin.store.calls.replace ?? 0
      await until(() => (plugin.store.calls.replace ?? 0) >= swaps + 2)
      plugin.store.advance(16)
      refused(t, await refreshing, 503, 'temporarily_unavailable')
      t.same(provider.accepted, ['provider-refresh-1'])
      plugin.provider.behave.token = token
      plugin.store.heal()
      refused(t, await plugin.refresh(plugin.tokens.refresh_token), 400, 'invalid_grant')
      t.equal(plugin.events.at(-1)!.event, 'session.ended')
    })

    t.test('the same with a provider that does not rotate: the session goes on', async (t) => {
      const plugin = await loggedIn(t)
      plugin.store.advance(NEAR_EXPIRY)
      const { token } = plugin.provider.behave
      const answer = { access_token: 'a', token_type: 'Bearer', expires_in: 3600 }
      plugin.provider.behave.token = (_request, response) => {
        plugin.store.fail()
        json(response, 200, answer)
      }
      const refreshing = plugin.refresh(plugin.tokens.refresh_token)
      const swaps = plugin.store.calls.replace ?? 0
      await until(() => (plugin.store.calls.replace ?? 0) >= swaps + 2)
      plugin.store.advance(16)
      refused(t, await refreshing, 503, 'temporarily_unavailable')
      t.equal(plugin.provider.count('/revoke'), 0, 'the refresh token that is kept must stay good')
      plugin.provider.behave.token = token
      plugin.store.heal()
      t.equal((await plugin.refresh(plugin.tokens.refresh_token)).statusCode, 200)
    })
  })

  t.test('the lease cannot be given back -> 503, and a retry is good when it has run out', async (t) => {
    const plugin = await loggedIn(t)
    const { token } = plugin.provider.behave
    plugin.store.advance(NEAR_EXPIRY)
    plugin.provider.behave.token = say(500, {})
    plugin.store.fail('replace', 2)
    refused(t, await plugin.refresh(plugin.tokens.refresh_token), 503, 'temporarily_unavailable')
    plugin.provider.behave.token = token
    plugin.store.advance(16)
    t.equal((await plugin.refresh(plugin.tokens.refresh_token)).statusCode, 200)
  })
})

t.test('expires_in of any kind at a refresh makes a sane lifetime (D-15)', async (t) => {
  for (const [given, expected] of [
    [1e300, 600],
    ['3600', 600],
    [-1, 300],
    [1, 1],
  ] as const) {
    t.test(`${given} -> at most ${expected} s`, async (t) => {
      const plugin = await loggedIn(t)
      plugin.store.advance(NEAR_EXPIRY)
      plugin.provider.behave.token = say(200, {
        access_token: 'a',
        token_type: 'Bearer',
        expires_in: given,
        refresh_expires_in: 0,
      })
      const { expires_in } = tokensOf(await plugin.refresh(plugin.tokens.refresh_token))
      t.ok(expires_in <= expected && expires_in >= expected - 1, String(expires_in))
    })
  }
})

t.test('another registry at the next start counts at once: less scope, no client (H-04)', async (t) => {
  const secrets = [Buffer.alloc(32, 1).toString('base64url')]
  const plugin = await loggedIn(t, { secrets })
  const client = { clientId: 'app', redirectUris: [REDIRECT_URI] }
  const restart = (clients: NonNullable<Options>['clients']) =>
    startPluginApp(t, { secrets, store: plugin.store, clients: clients! }, { provider: plugin.provider })

  const narrower = await restart([{ ...client, scopes: ['orders.write'] }])
  t.equal((await narrower.call(plugin.tokens.access_token)).statusCode, 403)
  const next = tokensOf(await narrower.refresh(plugin.tokens.refresh_token))
  t.equal(next.scope, 'orders.write')

  const disabled = await restart([{ ...client, enabled: false }])
  t.equal((await disabled.call(next.access_token)).statusCode, 401)
  refused(t, await disabled.refresh(next.refresh_token), 401, 'invalid_client')
  const other = await restart([{ ...client, clientId: 'another' }])
  t.equal((await other.call(next.access_token)).statusCode, 401)
})

t.test(
  'another provider at the next start: old grants are absent, and their tokens are not its business',
  async (t) => {
    const secrets = [Buffer.alloc(32, 1).toString('base64url')]
    const plugin = await loggedIn(t, { secrets })
    const { code } = await plugin.code()
    const moved = await startPluginApp(t, { secrets, store: plugin.store })
    refused(t, await moved.redeem(code), 400, 'invalid_grant')
    refused(t, await moved.refresh(plugin.tokens.refresh_token), 400, 'invalid_grant')
    t.equal((await moved.call(plugin.tokens.access_token)).statusCode, 401)
    t.equal(
      (await moved.post('revoke', { client_id: 'app', token: plugin.tokens.refresh_token })).statusCode,
      200,
    )
    t.equal(moved.provider.count('/token') + moved.provider.count('/revoke'), 0)
  },
)
