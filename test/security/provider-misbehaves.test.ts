/**
 * The threat: the provider, or somebody in its place, answers late, never, too much or nonsense. Each case has
 * one outcome for the app, one request at the provider, no session, and nothing of the answer in ours
 * (requirements C-17, C-18, F-04, F-08, F-09, F-15, D-09, D-10).
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import t, { type Test } from 'tap'
import type { GatewayInput } from '../../gateway/config/schemas/gateway.ts'
import { type GatewayStack, type StackOptions, startGatewayStack } from '../support/gateway-stack.ts'
import { type Answer, NativeApp } from '../support/native-app.ts'
import { testStore } from '../support/plugin-app.ts'
import { recordTraffic } from '../support/traffic.ts'

const traffic = recordTraffic(t as unknown as Test)

const TIMEOUTS = { connectMs: 1000, headersMs: 1500, bodyMs: 1500, totalMs: 2000 }
/** Some words of the provider that nobody else may hear. */
const INSIDE = 'inside-the-provider'

function startStack(t: Test, change: Partial<GatewayInput> = {}, options: StackOptions = {}) {
  return startGatewayStack(
    t,
    (config) => ({ ...config, ...change, provider: { ...config.provider, timeouts: TIMEOUTS } }),
    options,
  )
}

type Misbehaviour = (response: ServerResponse, stack: GatewayStack) => unknown

/** The next request to `path` of the provider is answered by `misbehaviour`. */
function once({ provider }: GatewayStack, path: string, misbehaviour: (response: ServerResponse) => unknown) {
  const stop = provider.onRequest((request: IncomingMessage, response) => {
    if (request.url !== path) return undefined
    stop()
    misbehaviour(response)
    return true
  })
}

function json(body: unknown, status = 200): Misbehaviour {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(body))
  }
}

const raw =
  (bytes: string): Misbehaviour =>
  (response) =>
    response.socket!.end(bytes)

const drip: Misbehaviour = (response) => {
  response.writeHead(200, { 'content-type': 'application/json' })
  const timer = setInterval(() => response.write(' '), 50)
  response.on('close', () => clearInterval(timer))
}

const token = { access_token: INSIDE, token_type: 'Bearer', expires_in: 3600 }

/** What a provider can do at its token endpoint, and what the app is told. */
const cases: Record<string, readonly [status: number, error: string, Misbehaviour]> = {
  'never answers': [503, 'temporarily_unavailable', () => {}],
  'sends a head and stops': [
    503,
    'temporarily_unavailable',
    (response) => response.writeHead(200, { 'content-type': 'application/json' }).flushHeaders(),
  ],
  'drips, slower than its deadline': [503, 'temporarily_unavailable', drip],
  'closes without an answer': [503, 'temporarily_unavailable', (response) => response.socket!.destroy()],
  'dies in mid-answer': [
    503,
    'temporarily_unavailable',
    (response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': 1000 })
      response.write(JSON.stringify(token).slice(0, -1), () => response.socket!.destroy())
    },
  ],
  'answers 500': [503, 'temporarily_unavailable', json({ error: INSIDE }, 500)],
  'answers 429': [503, 'temporarily_unavailable', json({ error: INSIDE }, 429)],
  'says temporarily_unavailable': [
    503,
    'temporarily_unavailable',
    json({ error: 'temporarily_unavailable', error_description: INSIDE }, 400),
  ],
  'refuses the code': [
    400,
    'invalid_grant',
    json({ error: 'invalid_grant', error_description: INSIDE }, 400),
  ],
  'refuses it under status 200': [400, 'invalid_grant', json({ error: 'invalid_grant' })],
  'refuses us': [502, 'server_error', json({ error: 'invalid_client', error_description: INSIDE }, 401)],
  'says something unheard of': [502, 'server_error', json({ error: INSIDE }, 400)],
  'answers 204': [502, 'server_error', (response) => response.writeHead(204).end()],
  'answers a page': [
    502,
    'server_error',
    (response) => response.setHeader('content-type', 'text/html').end(`<h1>${INSIDE}</h1>`),
  ],
  'answers broken JSON': [
    502,
    'server_error',
    (response) => response.setHeader('content-type', 'application/json').end(`{"access_token":"${INSIDE}"`),
  ],
  'answers an array': [502, 'server_error', json([token])],
  'answers no token': [502, 'server_error', json({ ...token, access_token: undefined })],
  'answers a token of another kind': [502, 'server_error', json({ ...token, token_type: 'mac' })],
  'answers a token that is two header lines': [
    502,
    'server_error',
    json({ ...token, access_token: `${INSIDE}\r\nX-Admin: 1` }),
  ],
  'answers no id_token where one was asked for': [502, 'server_error', json(token)],
  'answers an id_token without a signature': [
    502,
    'server_error',
    json({ ...token, id_token: 'eyJhbGciOiJub25lIn0.eyJzdWIiOiJhbGljZSJ9.' }),
  ],
  'answers 10 MB': [502, 'server_error', json({ ...token, padding: INSIDE.repeat(500_000) })],
  'answers a compressed bomb': [
    502,
    'server_error',
    (response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
      response.end(gzipSync(Buffer.alloc(20_000_000)))
    },
  ],
  'answers a header of 20 KB': [
    502,
    'server_error',
    raw(`HTTP/1.1 200 OK\r\nX-Padding: ${'x'.repeat(20_000)}\r\nContent-Length: 0\r\n\r\n`),
  ],
  'answers something that is not HTTP': [502, 'server_error', raw(`${INSIDE}\r\n\r\n`)],
  'answers with two lengths': [
    502,
    'server_error',
    raw('HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello'),
  ],
  'redirects to the API': [
    502,
    'server_error',
    (response, { api }) => response.writeHead(307, { location: `${api.origin}/api/orders` }).end(),
  ],
}

interface Failed {
  readonly stack: GatewayStack
  readonly answer: Answer
  readonly since: Counts
  /** The same request may succeed later: a refresh, and not a code that is burnt. */
  readonly canRepeat?: boolean
}

/** The outcome of C-17: this answer, in time, from one request at the provider, and none to the API. */
async function failed(
  t: Test,
  { stack, answer, since, canRepeat = false }: Failed,
  [status, error]: readonly [number, string, ...unknown[]],
): Promise<void> {
  t.equal(answer.status, status)
  t.same(Object.keys(answer.json), ['error', 'error_description'])
  t.equal(answer.json.error, error)
  t.equal(answer.headers.get('retry-after') !== null, canRepeat && status === 503)
  t.equal(answer.headers.get('cache-control'), 'no-store')
  t.notMatch(answer.text, INSIDE)
  t.notMatch(JSON.stringify([...answer.headers]), INSIDE)
  t.equal(counts(stack).exchanges - since.exchanges, 1, 'one request at the provider')
  t.equal(counts(stack).api - since.api, 0)
}

type Counts = ReturnType<typeof counts>
function counts({ provider, api }: GatewayStack) {
  return { exchanges: provider.calls.get('/token') ?? 0, api: api.requests }
}

/** Waits until the provider has been asked to take a token back, and has answered. */
async function revocation({ provider }: GatewayStack, revoked: string): Promise<void> {
  const isIt = ({ port, path, body, status }: (typeof traffic)[number]) =>
    port === provider.port &&
    path === '/token/revocation' &&
    status === 200 &&
    new URLSearchParams(body).get('token') === revoked
  while (!traffic.some(isIt)) await new Promise((resolve) => setTimeout(resolve, 10))
}

function issued({ provider }: GatewayStack): { access_token: string; refresh_token: string } {
  return JSON.parse(traffic.findLast(({ port, path }) => port === provider.port && path === '/token')!.answer)
}

t.test('at the code exchange, a provider that', async (t) => {
  const stack = await startStack(t)
  const app = new NativeApp(stack)
  for (const [name, expected] of Object.entries(cases)) {
    await t.test(`${name} -> ${expected[0]} ${expected[1]}`, async (t) => {
      const good = await app.code()
      const since = counts(stack)
      const startedAt = Date.now()
      once(stack, '/token', (response) => expected[2](response, stack))
      const answer = await app.redeem(good)
      t.ok(Date.now() - startedAt < 8000, 'in time (F-08)')
      await failed(t, { stack, answer, since }, expected)

      const again = await app.redeem(good)
      t.equal(again.status, 400)
      t.equal(again.json.error, 'invalid_grant', 'the code is used up')
      t.equal(counts(stack).exchanges - since.exchanges, 1, 'and nobody asks again')
      t.equal((await app.call((await app.login()).access_token)).status, 200, 'the next login is fine')
    })
  }
})

t.test('a token that is refused here is taken back there (F-15)', async (t) => {
  const stack = await startStack(t)
  const app = new NativeApp(stack)
  const good = await app.code()
  once(stack, '/token', (response) =>
    json({ ...token, token_type: 'mac', refresh_token: 'r1' })(response, stack),
  )
  t.equal((await app.redeem(good)).status, 502)
  await revocation(stack, 'r1')
})

for (const [name, access_token] of [
  ['longer than a header here', 'a'.repeat(8193)],
  ['of other characters than a bearer token has', 'EAAB|inside-the-provider'],
] as const) {
  t.test(`an access token ${name} is fine for the API and refused where it is relayed`, async (t) => {
    const answers = { opaque: 200, relay: 502 } as const
    for (const tokens of ['opaque', 'relay'] as const) {
      const stack = await startGatewayStack(t, (config) => ({
        ...config,
        tokens,
        provider: { ...config.provider, scope: 'offline_access' },
      }))
      const app = new NativeApp(stack)
      const good = await app.code()
      once(stack, '/token', (response) => json({ ...token, access_token })(response, stack))
      const answer = await app.redeem(good)
      t.equal(answer.status, answers[tokens])
      if (tokens === 'relay') await revocation(stack, access_token)
      else t.equal((await app.call(String(answer.json.access_token))).status, 200)
    }
  })
}

t.test('the provider dies between its answer and our commit', async (t) => {
  /** Answers for real, and is gone afterwards. */
  function dieAfter(stack: GatewayStack, path: string) {
    const stop = stack.provider.onRequest((request, response) => {
      if (request.url !== path) return undefined
      stop()
      response.on('finish', () => void stack.stopProvider())
      return undefined
    })
  }

  await t.test('nothing more is needed of it: the app gets its 200', async (t) => {
    const stack = await startStack(t, {
      clients: [
        { clientId: 'com.example.app', redirectUris: ['com.example.app:/callback'], scopes: ['orders.read'] },
      ],
    })
    const app = new NativeApp(stack)
    await app.login()
    const good = await app.code()
    dieAfter(stack, '/token')
    const answer = await app.redeem(good)
    t.equal(answer.status, 200)
    t.equal((await app.call(String(answer.json.access_token))).status, 200)
  })

  await t.test('its userinfo is lost: the app gets its 200, without those claims (F-17)', async (t) => {
    const stack = await startStack(t)
    const app = new NativeApp(stack)
    await app.login()
    const good = await app.code()
    dieAfter(stack, '/token')
    const answer = await app.redeem(good)
    t.equal(answer.status, 200)
    t.equal((await app.call(String(answer.json.access_token))).status, 200)
  })
})

t.test('the store fails between its answer and our commit: 503, no handle, taken back (C-18)', async (t) => {
  for (const tokens of ['opaque', 'relay'] as const) {
    await t.test(`tokens ${tokens}`, async (t) => {
      const store = testStore()
      const stack = await startStack(t, { tokens, secrets: ['s'.repeat(43)] }, { store })
      const app = new NativeApp(stack)
      const good = await app.code()
      const since = counts(stack)
      store.fail('replace', 2)
      await failed(t, { stack, answer: await app.redeem(good), since }, [503, 'temporarily_unavailable'])
      const lost = issued(stack)
      await revocation(stack, lost.refresh_token)
      t.equal((await app.call(lost.access_token)).status, 401)
      t.equal(stack.api.requests, 0)
    })
  }
})

t.test(
  'userinfo of somebody else -> 502, and the tokens are taken back (OIDC Core §5.3.2, F-17)',
  async (t) => {
    const stack = await startStack(t)
    const app = new NativeApp(stack)
    const good = await app.code()
    const since = counts(stack)
    once(stack, '/me', (response) => json({ sub: 'mallory', email: INSIDE })(response, stack))
    await failed(t, { stack, answer: await app.redeem(good), since }, [502, 'server_error'])
    await revocation(stack, issued(stack).refresh_token)
  },
)

t.test('at a refresh, a provider that', async (t) => {
  const stack = await startStack(t, { tokens: 'relay' })
  const app = new NativeApp(stack)
  for (const name of [
    'never answers',
    'dies in mid-answer',
    'answers 500',
    'refuses us',
    'answers a page',
    'answers 10 MB',
    'redirects to the API',
  ]) {
    const expected = cases[name]!
    await t.test(`${name} -> ${expected[0]}, and the grant lives on (D-09, D-10)`, async (t) => {
      const { access_token, refresh_token } = await app.login()
      const since = counts(stack)
      once(stack, '/token', (response) => expected[2](response, stack))
      const answer = await app.refresh(refresh_token)
      await failed(t, { stack, answer, since, canRepeat: true }, expected)
      t.equal((await app.call(access_token)).status, 200)
      t.equal(
        (await app.refresh(refresh_token)).status,
        200,
        'the same refresh token, once the provider is well',
      )
    })
  }

  await t.test('refuses the refresh token -> 400, and the grant has ended (D-10)', async (t) => {
    const { access_token, refresh_token } = await app.login()
    const since = counts(stack)
    once(stack, '/token', (response) => cases['refuses the code']![2](response, stack))
    await failed(t, { stack, answer: await app.refresh(refresh_token), since }, [400, 'invalid_grant'])
    t.equal((await app.call(access_token)).status, 401)
  })
})

t.test('while the provider hangs, sessions that exist are served (D-17)', async (t) => {
  const stack = await startStack(t)
  const app = new NativeApp(stack)
  const { access_token } = await app.login()
  const good = await app.code()
  const asked = new Promise<void>((resolve) => once(stack, '/token', () => resolve()))
  const waiting = app.redeem(good)
  await asked
  t.equal((await app.call(access_token)).status, 200)
  t.equal((await app.redeem(good)).json.error, 'invalid_grant', 'a duplicate waits for nothing (C-15)')
  t.equal((await waiting).status, 503)
})

t.test('five failures in a row open the breaker: the sixth does not reach the provider (F-12)', async (t) => {
  const stack = await startStack(t)
  const app = new NativeApp(stack)
  const codes = []
  for (let count = 0; count < 6; count += 1) codes.push(await app.code())
  const stop = stack.provider.onRequest((request, response) => {
    if (request.url !== '/token') return undefined
    response.writeHead(503).end()
    return true
  })
  t.teardown(stop)
  const before = counts(stack).exchanges
  for (const code of codes) t.equal((await app.redeem(code)).status, 503)
  t.equal(counts(stack).exchanges - before, 5)
})
