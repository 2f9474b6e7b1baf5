/**
 * The threat: something that is not the outcome of a completed exchange is taken for it. Everything that looks
 * like a credential before success or after the end is shown to the running gateway, in both token modes, and
 * every way to smuggle a request past the check is tried; the API must not see any of it.
 */
import { createHash, randomBytes } from 'node:crypto'
import * as oidc from 'openid-client'
import t, { type Test } from 'tap'
import { login } from '../../examples/demo/login.ts'
import type { GatewayInput } from '../../gateway/config/schemas/gateway.ts'
import { type GatewayStack, startGatewayStack } from '../support/gateway-stack.ts'
import { NativeApp, type Tokens } from '../support/native-app.ts'
import { type TestStore, testStore } from '../support/plugin-app.ts'
import { recordTraffic } from '../support/traffic.ts'
import { exchange, field, type WireAnswer, WireClient } from '../support/wire.ts'

const traffic = recordTraffic(t as unknown as Test)
const SECRETS = [randomBytes(32).toString('base64url')]

interface Attacked extends GatewayStack {
  readonly store: TestStore
}

async function attackable(
  t: Test,
  change: (config: GatewayInput) => GatewayInput,
  store = testStore(),
): Promise<Attacked> {
  const stack = await startGatewayStack(t, (config) => change({ ...config, secrets: SECRETS }), { store })
  return Object.assign(stack, { store })
}

/** A request to the API, with these header lines beside Host. */
function ask(
  stack: GatewayStack,
  lines: readonly string[],
  { method = 'GET', target = '/api/orders' } = {},
): Promise<WireAnswer> {
  const head = [`${method} ${target} HTTP/1.1`, `Host: 127.0.0.1:${stack.port}`, ...lines]
  return exchange(stack.port, `${head.join('\r\n')}\r\n\r\n`, method === 'HEAD')
}

const bearer = (token: string) => [`Authorization: Bearer ${token}`]

/** The three answers of RFC 6750 §3.1. */
const challenges = {
  401: (realm: string) => `Bearer realm="${realm}"`,
  invalid_token: (realm: string) =>
    `Bearer realm="${realm}", error="invalid_token", error_description="The access token is unknown, expired or revoked."`,
  invalid_request: (realm: string) =>
    `Bearer realm="${realm}", error="invalid_request", error_description="Send exactly one Authorization header with one bearer token."`,
  token_in_query: (realm: string) =>
    `Bearer realm="${realm}", error="invalid_request", error_description="Access tokens are not accepted in the URL."`,
}

/** A challenge, but for where to log in (N-01). */
const withoutResource = (challenge: string | undefined) =>
  challenge?.replace(/(?:, scope="[^"]*")?, resource_metadata="[^"]*"$/, '')

/** Asserts the refusal, to the letter, and that nothing has reached the API. */
async function refused(
  t: Test,
  stack: GatewayStack,
  answer: Promise<WireAnswer>,
  expected: keyof typeof challenges,
): Promise<void> {
  const { requests } = stack.api
  const received = await answer
  const malformed = expected === 'invalid_request' || expected === 'token_in_query'
  t.equal(received.status, malformed ? 400 : 401)
  t.equal(withoutResource(field(received, 'www-authenticate')), challenges[expected](stack.publicUrl))
  t.equal(field(received, 'cache-control'), 'no-store')
  t.equal(stack.api.requests, requests, 'UP=0')
}

/** A token of the same provider, for the same client even, from a login that was not one of ours. */
async function tokenFromElsewhere(stack: GatewayStack): Promise<string> {
  const provider = await oidc.discovery(
    new URL(stack.provider.issuer),
    'gateway',
    undefined,
    oidc.ClientSecretBasic('gateway-secret'),
    { execute: [oidc.allowInsecureRequests] },
  )
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
  const url = oidc.buildAuthorizationUrl(provider, {
    redirect_uri: `${stack.publicUrl}/oauth2/callback`,
    scope: 'openid',
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier),
    code_challenge_method: 'S256',
  })
  const { redirectTo } = await login(url.href, { username: 'mallory', password: 'password' })
  return (await oidc.authorizationCodeGrant(provider, new URL(redirectTo), { pkceCodeVerifier })).access_token
}

/** The provider's newest answer at /token, delivered or not. */
function providerTokens({ provider }: GatewayStack): Tokens {
  return JSON.parse(
    traffic.findLast(({ port, path }) => port === provider.port && path === '/token')!.answer,
  ) as Tokens
}

for (const tokens of ['opaque', 'relay'] as const) {
  t.test(
    `what is no live access token -> 401 and UP=0, tokens: ${tokens} (H-02, H-04, H-05, H-06)`,
    async (t) => {
      const stack = await attackable(t, (config) => ({ ...config, tokens }))
      const app = new NativeApp(stack)
      const live = await app.login()

      await t.test('nothing at all: the bare challenge (RFC 6750 §3.1)', (t) =>
        refused(t, stack, ask(stack, []), 401),
      )

      const { code, url } = await app.code()
      const at = (port: number, path: string) =>
        traffic.findLast((one) => one.port === port && one.path === path)!
      const authorize = at(stack.port, '/oauth2/authorize')
      t.equal(authorize.target, url.pathname + url.search)
      const cookie = String(authorize.answerHeaders['set-cookie']).split(';')[0]!
      const callback = new URL(at(stack.port, '/oauth2/callback').target, stack.publicUrl).searchParams
      const before = {
        'garbage of the right form': `pka_${randomBytes(48).toString('base64url')}`,
        'an opaque string': randomBytes(24).toString('base64url'),
        'a JWT': 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.',
        'our state': callback.get('state')!,
        'our code': code,
        "the provider's code": callback.get('code')!,
        'our refresh handle': live.refresh_token,
        'the secret of the binding cookie': cookie.split('=')[1]!,
        'a provider token from elsewhere': await tokenFromElsewhere(stack),
        "the provider's refresh token": providerTokens(stack).refresh_token,
        'a handle with its last character changed':
          live.access_token.slice(0, -1) + (live.access_token.endsWith('A') ? 'B' : 'A'),
        'another secret behind a live selector':
          live.refresh_token.replace('pkr_', 'pka_').slice(0, 26) + randomBytes(31).toString('base64url'),
        ...(tokens === 'opaque' && {
          'the provider token of a live session':
            providerTokens(stack).access_token && at(stack.provider.port, '/token').answer.split('"')[3]!,
        }),
      }
      for (const [name, credential] of Object.entries(before)) {
        await t.test(name, (t) => refused(t, stack, ask(stack, bearer(credential)), 'invalid_token'))
      }
      await t.test('the binding cookie, as a cookie', (t) =>
        refused(t, stack, ask(stack, [`Cookie: ${cookie}`]), 401),
      )

      await t.test('the token of an exchange that was never committed (C-18)', async (t) => {
        // The first swap claims the code; the second one would activate the grant.
        stack.store.fail('replace', 2)
        const answer = await app.redeem(await app.code())
        t.equal(answer.status, 503)
        t.same(Object.keys(answer.json), ['error', 'error_description'])
        stack.store.heal()
        await refused(t, stack, ask(stack, bearer(providerTokens(stack).access_token)), 'invalid_token')
      })

      await t.test('a revoked one (RFC 7009 §2.1)', async (t) => {
        const ended = await app.login()
        t.equal((await app.call(ended.access_token)).status, 200)
        await app.revoke(ended.access_token)
        await refused(t, stack, ask(stack, bearer(ended.access_token)), 'invalid_token')
      })

      await t.test('one whose time is up, by the clock of the store (G-06)', async (t) => {
        const answer = await new NativeApp(stack).login()
        t.equal((await app.call(answer.access_token)).status, 200)
        stack.store.advance(answer.expires_in + 1)
        await refused(t, stack, ask(stack, bearer(answer.access_token)), 'invalid_token')
      })

      await t.test('one of a disabled client', async (t) => {
        const { access_token } = await app.login()
        t.equal((await app.call(access_token)).status, 200)
        const restarted = await attackable(
          t,
          (config) => ({
            ...config,
            tokens,
            clients: [
              { ...config.clients[0]!, enabled: false },
              { clientId: 'other', redirectUris: ['https://other.example.com/'] },
            ],
          }),
          stack.store,
        )
        await refused(t, restarted, ask(restarted, bearer(access_token)), 'invalid_token')
      })
    },
  )
}

t.test('a live token in the wrong place or form -> no request to the API', async (t) => {
  const stack = await attackable(t, (config) => config)
  const { access_token: token } = await new NativeApp(stack).login()
  t.equal((await ask(stack, bearer(token))).status, 200, 'it is live')

  const malformed = {
    'two Authorization fields': [...bearer(token), ...bearer(token)],
    'the live one second': ['Authorization: Basic Z2F0ZXdheTpzZWNyZXQ=', ...bearer(token)],
    'the same in another case': [...bearer(token), `aUTHORIZATION: Bearer ${token}`],
    'no scheme': [`Authorization: ${token}`],
    'a list': [`Authorization: Bearer ${token}, Bearer ${token}`],
    'two tokens': [`Authorization: Bearer ${token} ${token}`],
    'a parameter': [`Authorization: Bearer token="${token}"`],
    'a tab for the space': [`Authorization: Bearer\t${token}`],
    'an empty token': ['Authorization: Bearer '],
    'an empty field': ['Authorization:'],
    'bytes above ASCII': [`Authorization: Bearer ${token}\xa0`],
  }
  for (const [name, lines] of Object.entries(malformed)) {
    await t.test(`${name} -> 400 (RFC 6750 §2, H-05)`, (t) =>
      refused(t, stack, ask(stack, lines), 'invalid_request'),
    )
  }

  for (const query of [
    `access_token=${token}`,
    `%61ccess_token=${token}`,
    `a=b&acces%73%5ftoken=${token}`,
    `ACCESS_TOKEN=${token}`,
    `access_token`,
    `a;access_token=${token}`,
  ]) {
    await t.test(
      `?${query.slice(0, 25)}: 400, alone or beside a good header (RFC 9700 §4.3.2)`,
      async (t) => {
        const target = `/api/orders?${query}`
        await refused(t, stack, ask(stack, [], { target }), 'token_in_query')
        await refused(t, stack, ask(stack, bearer(token), { target }), 'token_in_query')
      },
    )
  }

  for (const line of [
    'Proxy-Authorization',
    'X-Authorization',
    'X-Forwarded-Authorization',
    'Authorization_',
  ]) {
    await t.test(`${line} is no Authorization`, (t) =>
      refused(t, stack, ask(stack, [`${line}: Bearer ${token}`]), 401),
    )
  }
  await t.test('a form body is no place for it', (t) => {
    const lines = [
      'Content-Type: application/x-www-form-urlencoded',
      `Content-Length: ${token.length + 13}`,
      '',
    ]
    return refused(t, stack, ask(stack, [...lines, `access_token=${token}`], { method: 'POST' }), 401)
  })
  await t.test('the scheme is case-insensitive, and only the scheme (RFC 9110 §11.1)', async (t) => {
    t.equal((await ask(stack, [`Authorization: bEARER ${token}`])).status, 200)
    await refused(t, stack, ask(stack, bearer(token.toUpperCase())), 'invalid_token')
  })
})

t.test('no form of a request gets past the session check (H-02, H-09)', async (t) => {
  const stack = await attackable(t, (config) => config)
  const live = (await new NativeApp(stack).login()).access_token

  const targets: Record<string, number> = {
    // Spellings of a protected path that another reader could take for it, or for a public one (H-08).
    '/%61pi/orders': 400,
    '//api/orders': 400,
    '/api//orders': 400,
    '/status/../api/orders': 400,
    '/status/..;/api/orders': 400,
    '/status/%2e%2e/api/orders': 400,
    '/status%2f..%2fapi/orders': 400,
    '/status\\..\\api\\orders': 400,
    '/api;x=y/orders': 400,
    '/api/orders%00': 400,
    '/api/%c0%ae%c0%ae/orders': 400,
    '/api/orders#/status': 400,
    '/API/orders': 404,
    '/api.orders': 404,
    '/apiorders': 404,
    '/oauth2/api/orders': 404,
    // Other forms of a target (H-07).
    '*': 400,
    'api/orders': 400,
    '127.0.0.1:80': 400,
  }
  targets[`${stack.publicUrl}/api/orders`] = 400
  targets[`${stack.api.origin}/orders`] = 400
  for (const [target, status] of Object.entries(targets)) {
    await t.test(`GET ${target} -> ${status}, with and without a session`, async (t) => {
      const { requests } = stack.api
      for (const lines of [[], bearer(live)]) {
        const answer = await ask(stack, lines, { target })
        t.equal(answer.status, status)
        t.equal(field(answer, 'cache-control'), 'no-store')
      }
      t.equal(stack.api.requests, requests, 'UP=0')
    })
  }

  await t.test('a public route is no way to a protected one (H-32)', async (t) => {
    const { requests } = stack.api
    await refused(t, stack, ask(stack, [], { target: '/api/orders?x=/status' }), 401)
    await refused(t, stack, ask(stack, ['X-Original-URL: /status', 'X-Rewrite-URL: /status']), 401)
    t.equal((await ask(stack, [], { method: 'POST', target: '/status' })).status, 405, 'GET only')
    t.equal(stack.api.requests, requests)
  })

  for (const [method, status] of [
    ['HEAD', 401],
    ['POST', 401],
    ['DELETE', 401],
    ['OPTIONS', 405],
    ['TRACE', 405],
    ['PROPFIND', 405],
    ['QUERY', 405],
    ['CONNECT', 405],
  ] as const) {
    await t.test(`${method} without a session -> ${status} (H-06, H-18)`, async (t) => {
      const { requests } = stack.api
      const target = method === 'CONNECT' ? '127.0.0.1:443' : '/api/orders'
      const answer = await ask(stack, [], { method, target })
      t.equal(answer.status, status)
      t.equal(field(answer, 'cache-control'), 'no-store')
      if (status === 401)
        t.equal(withoutResource(field(answer, 'www-authenticate')), challenges[401](stack.publicUrl))
      if (method !== 'CONNECT' && status === 405) t.match(field(answer, 'allow'), /GET/)
      t.equal(stack.api.requests, requests, 'UP=0')
    })
  }
  await t.test('a method override is no method', (t) =>
    refused(t, stack, ask(stack, ['X-HTTP-Method-Override: OPTIONS'], { method: 'POST' }), 401),
  )

  await t.test('an upgrade is refused, before and after the session check (H-29)', async (t) => {
    const upgrade = (protocol: string) => ['Connection: Upgrade', `Upgrade: ${protocol}`]
    const { requests } = stack.api
    await refused(t, stack, ask(stack, upgrade('websocket')), 401)
    await refused(t, stack, ask(stack, upgrade('h2c')), 401)
    t.equal((await ask(stack, [...upgrade('websocket'), ...bearer(live)])).status, 501)
    t.equal(stack.api.requests, requests)
  })

  await t.test('a request in the body of a refused one stays a body (H-33)', async (t) => {
    const { requests } = stack.api
    const host = `Host: 127.0.0.1:${stack.port}`
    const smuggled = `GET /api/smuggled HTTP/1.1\r\n${host}\r\nAuthorization: Bearer ${live}\r\n\r\n`
    const client = new WireClient(stack.port)
    t.teardown(() => client.socket.destroy())
    client.send(
      `POST /api/orders HTTP/1.1\r\n${host}\r\nContent-Length: ${smuggled.length}\r\n\r\n${smuggled}`,
    )
    const answer = await client.answer()
    t.equal(answer.status, 401)
    t.ok(answer.closed, 'a connection with an unread body on it is not used again')
    t.equal(stack.api.requests, requests, 'and a body is no request')
  })
})

t.test('a session is checked anew for each request on a connection that stays open (H-04)', async (t) => {
  const stack = await attackable(t, (config) => config)
  const app = new NativeApp(stack)
  const { access_token } = await app.login()
  const client = new WireClient(stack.port)
  t.teardown(() => client.socket.destroy())
  const head = `GET /api/orders HTTP/1.1\r\nHost: 127.0.0.1:${stack.port}\r\n`
  const withToken = `${head}Authorization: Bearer ${access_token}\r\n\r\n`
  t.equal((await client.send(withToken).answer()).status, 200)
  t.equal((await client.send(`${head}\r\n`).answer()).status, 401, 'nothing is remembered')
  await app.revoke(access_token)
  const { requests } = stack.api
  t.equal((await client.send(withToken).answer()).status, 401)
  t.equal(stack.api.requests, requests)
})

t.test(
  'an outage of the store is a 503 and never a session, a 401 or a request to the API (G-08)',
  async (t) => {
    const stack = await attackable(t, (config) => config)
    const app = new NativeApp(stack)
    const cached = await app.login()
    const unseen = await app.login()
    t.equal((await app.call(cached.access_token)).status, 200)
    stack.store.fail()
    const { requests } = stack.api
    const answer = await ask(stack, bearer(unseen.access_token))
    t.equal(answer.status, 503)
    t.equal(field(answer, 'www-authenticate'), undefined)
    t.ok(field(answer, 'retry-after'))
    t.equal((await ask(stack, [])).status, 401, 'no credential needs no store')
    t.equal(stack.api.requests, requests)
    stack.store.heal()
    t.equal((await ask(stack, bearer(unseen.access_token))).status, 200)
  },
)

t.test('the code, the verifier and the challenge are worth nothing as each other (C-10, C-24)', async (t) => {
  const stack = await attackable(t, (config) => config)
  const app = new NativeApp(stack)
  const { code, verifier } = await app.code()
  const challenge = createHash('sha256').update(verifier).digest('base64url')
  for (const token of [verifier, challenge, code.replace('pkc_', 'pka_')]) {
    await refused(t, stack, ask(stack, bearer(token)), 'invalid_token')
  }
  t.equal((await app.redeem({ code, verifier })).status, 200, 'and trying changed nothing')
})
