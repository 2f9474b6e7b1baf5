/**
 * The threat: an authorization code in the wrong hands. It is worth nothing without the verifier, in another
 * app, at another address or a second time, and no request talks the gateway out of PKCE (RFC 7636 §1, RFC 9700
 * §4.5, requirements C-08 to C-16). Over real sockets, with as many hands at once as it takes.
 */
import { createHash, randomBytes } from 'node:crypto'
import t, { type Test } from 'tap'
import { Browser, redirectOf } from '../support/browser.ts'
import { startGatewayStack } from '../support/gateway-stack.ts'
import { type Answer, NativeApp } from '../support/native-app.ts'
import { recordTraffic } from '../support/traffic.ts'

const traffic = recordTraffic(t as unknown as Test)
const stack = await startGatewayStack(t as unknown as Test, (config) => ({
  ...config,
  // A thief may be as quick as the app.
  lifetimes: { duplicateSeconds: 0 },
  clients: [
    config.clients[0]!,
    { clientId: 'other', redirectUris: config.clients[0]!.redirectUris, scopes: ['orders.read'] },
  ],
}))
const app = new NativeApp(stack)
const other = new NativeApp(stack, { clientId: 'other' })
const newVerifier = () => randomBytes(32).toString('base64url')
const exchanges = () => stack.provider.calls.get('/token') ?? 0

/** The one answer to every code that cannot be redeemed (RFC 6749 §10.10, C-20). */
function refusedGrant(t: Test, answer: Answer): void {
  t.equal(answer.status, 400)
  t.same(answer.json, {
    error: 'invalid_grant',
    error_description: 'The grant is invalid, expired, revoked or was issued to another client.',
  })
  t.equal(answer.headers.get('cache-control'), 'no-store')
}

/** The provider has been asked, in the background, to end a refresh token. */
async function revocation(refreshToken: string): Promise<void> {
  const isIt = ({ path, body, status }: (typeof traffic)[number]) =>
    path === '/token/revocation' && status === 200 && body.includes(refreshToken)
  while (!traffic.some(isIt)) await new Promise((resolve) => setTimeout(resolve, 10))
}

function issuedByProvider(): { refresh_token: string } {
  return JSON.parse(
    traffic.findLast(({ port, path }) => port === stack.provider.port && path === '/token')!.answer,
  )
}

for (const [name, thief, parameters] of [
  ['with another verifier', app, { code_verifier: newVerifier() }],
  [
    'with another verifier and no redirect URI',
    app,
    { code_verifier: newVerifier(), redirect_uri: undefined },
  ],
  ['by another client, without a redirect URI', other, { redirect_uri: undefined }],
  ['by another client', other, {}],
  ['at another redirect URI of the client', app, { redirect_uri: 'http://127.0.0.1/callback' }],
] as const) {
  t.test(`a stolen code ${name}: invalid_grant, and burnt for its owner too (C-12, C-13)`, async (t) => {
    const good = await app.code()
    const before = exchanges()
    refusedGrant(t, await thief.redeem(good, parameters))
    refusedGrant(t, await app.redeem(good))
    t.equal(exchanges(), before, 'AS=0 (C-16)')
  })
}

t.test('a loopback redirect is held to its port (RFC 8252 §7.3, C-13)', async (t) => {
  const desktop = new NativeApp(stack, { redirectUri: 'http://127.0.0.1:49152/callback' })
  const before = exchanges()
  for (const redirect_uri of [
    'http://127.0.0.1:49153/callback',
    'http://127.0.0.1/callback',
    'http://127.0.0.1:49152/callback/',
    'http://127.0.0.1:049152/callback',
  ]) {
    const good = await desktop.code()
    refusedGrant(t, await desktop.redeem(good, { redirect_uri }))
  }
  t.equal(exchanges(), before)
  t.equal((await desktop.redeem(await desktop.code())).status, 200)
})

t.test('a request that is malformed leaves the code usable (C-08, C-11, Appendix A)', async (t) => {
  const good = await app.code()
  const malformed = {
    'no verifier': { code_verifier: undefined },
    'a short one': { code_verifier: 'a'.repeat(42) },
    'a long one': { code_verifier: 'a'.repeat(129) },
    'one with another character': { code_verifier: `${good.verifier}=` },
    'no code': { code: undefined },
  }
  for (const [name, parameters] of Object.entries(malformed)) {
    const answer = await app.redeem(good, parameters)
    t.same([answer.status, answer.json.error], [400, 'invalid_request'], name)
  }
  t.equal((await app.redeem(good, { scope: 'admin' })).json.error, 'invalid_scope')
  t.equal(
    (await app.redeem({ ...good, code: good.code.slice(0, -43) + newVerifier() })).json.error,
    'invalid_grant',
  )
  t.equal((await app.redeem(good)).status, 200)
})

t.test('PKCE downgrade: no request gets a code without S256 (RFC 9700 §2.1.1, A-08, A-09)', async (t) => {
  const downgrades: Record<string, Record<string, string | undefined>> = {
    'no challenge': { code_challenge: undefined },
    'an empty challenge': { code_challenge: '' },
    'no PKCE at all': { code_challenge: undefined, code_challenge_method: undefined },
    'no method, which would mean plain': { code_challenge_method: undefined },
    plain: { code_challenge_method: 'plain' },
    'another case': { code_challenge_method: 's256' },
    'a method that is none': { code_challenge_method: 'S512' },
    'a short challenge': { code_challenge: 'a'.repeat(42) },
  }
  const asked = stack.provider.calls.get('/request')
  for (const [name, parameters] of Object.entries(downgrades)) {
    const answer = await new Browser(stack).open(app.begin(parameters).url)
    t.equal(redirectOf(answer)?.searchParams.get('error'), 'invalid_request', name)
    t.equal(answer.headers.getSetCookie().length, 0)
  }
  t.equal(stack.provider.calls.get('/request'), asked, 'the provider hears of none of them')
})

t.test(
  'PKCE downgrade at the token endpoint: the stored challenge and S256 decide (C-09, C-10)',
  async (t) => {
    const attempts = {
      'the challenge as its own verifier': ({ challenge }: { challenge: string }) => ({
        code_verifier: challenge,
      }),
      'and said to be plain': ({ challenge }: { challenge: string }) => ({
        code_verifier: challenge,
        code_challenge_method: 'plain',
      }),
      'with a challenge of one’s own': () => {
        const code_verifier = newVerifier()
        return {
          code_verifier,
          code_challenge: createHash('sha256').update(code_verifier).digest('base64url'),
          code_challenge_method: 'S256',
        }
      },
    }
    const before = exchanges()
    for (const [name, parameters] of Object.entries(attempts)) {
      await t.test(name, async (t) => {
        const good = await app.code()
        refusedGrant(t, await app.redeem(good, parameters(good)))
        refusedGrant(t, await app.redeem(good))
      })
    }
    t.equal(exchanges(), before)
  },
)

t.test('100 parallel redemptions: one 200, one exchange, and the session stands (C-12, C-15)', async (t) => {
  const good = await app.code()
  const before = exchanges()
  // The provider answers when everybody has come: otherwise some would be replays, and end the grant.
  let release = () => {}
  const held = new Promise<void>((resolve) => {
    release = resolve
  })
  const stop = stack.provider.onRequest((request, response) => {
    if (request.url !== '/token') return undefined
    stop()
    const { end } = response
    response.end = ((...values: unknown[]) => {
      void held.then(() => (end as (...of: unknown[]) => unknown).apply(response, values))
      return response
    }) as typeof end
    return undefined
  })
  const losers: Answer[] = []
  const winners: Answer[] = []
  await Promise.all(
    Array.from({ length: 100 }, async () => {
      const answer = await app.redeem(good)
      if (answer.status === 200) winners.push(answer)
      else losers.push(answer)
      if (losers.length === 99) release()
    }),
  )
  t.equal(winners.length, 1)
  t.equal(exchanges() - before, 1)
  t.same(new Set(losers.map(({ status, text }) => `${status} ${text}`)).size, 1, 'all the same (C-20)')
  refusedGrant(t, losers[0]!)
  t.equal((await app.call(String(winners[0]!.json.access_token))).status, 200)
  t.equal(stack.events.filter(({ event }) => event === 'code.duplicate').length, 99)
})

t.test('a valid replay ends everything, here and at the provider (RFC 6749 §4.1.2, C-14)', async (t) => {
  const good = await app.code()
  const tokens = (await app.redeem(good)).json as { access_token: string; refresh_token: string }
  const { refresh_token } = issuedByProvider()
  const before = exchanges()
  refusedGrant(t, await app.redeem(good))
  t.equal((await app.call(tokens.access_token)).status, 401)
  refusedGrant(t, await app.refresh(tokens.refresh_token))
  t.equal(exchanges(), before)
  await revocation(refresh_token)
  t.ok(stack.events.some(({ event }) => event === 'code.replay'))
})

t.test('a replay that proves nothing changes nothing: no way to log others out (C-14)', async (t) => {
  const good = await app.code()
  const { access_token } = (await app.redeem(good)).json
  for (const parameters of [
    { code_verifier: newVerifier() },
    { code_verifier: good.challenge },
    { redirect_uri: 'http://127.0.0.1/callback' },
    { code: good.code.slice(0, -43) + newVerifier() },
  ]) {
    refusedGrant(t, await app.redeem(good, parameters))
  }
  refusedGrant(t, await other.redeem(good))
  t.equal((await app.call(String(access_token))).status, 200)
})

t.test('50 parallel refreshes: one rotation, and everybody gets it (D-03, D-05, D-06)', async (t) => {
  for (const tokens of ['opaque', 'relay'] as const) {
    await t.test(`tokens ${tokens}`, async (t) => {
      const racing = await startGatewayStack(t, (config) => ({ ...config, tokens }))
      const racer = new NativeApp(racing)
      const { refresh_token } = await racer.login()
      const before = racing.provider.calls.get('/token') ?? 0
      const answers = await Promise.all(Array.from({ length: 50 }, () => racer.refresh(refresh_token)))
      t.same(new Set(answers.map(({ status }) => status)), new Set([200]))
      t.equal(new Set(answers.map(({ json }) => json.refresh_token)).size, 1, 'the same successor')
      t.equal(new Set(answers.map(({ json }) => json.access_token)).size, 1)
      t.equal((racing.provider.calls.get('/token') ?? 0) - before, tokens === 'relay' ? 1 : 0)
      t.equal((await racer.call(String(answers[0]!.json.access_token))).status, 200)
    })
  }
})

t.test('a refresh token from before the predecessor is stolen goods: all of it ends (D-04)', async (t) => {
  const first = await app.login()
  const { refresh_token } = issuedByProvider()
  const second = (await app.refresh(first.refresh_token)).json
  const third = (await app.refresh(String(second.refresh_token))).json
  refusedGrant(t, await app.refresh(first.refresh_token.slice(0, -21) + newVerifier().slice(0, 21)))
  refusedGrant(t, await other.refresh(first.refresh_token))
  t.equal(
    (await app.call(String(third.access_token))).status,
    401,
    'a generation that never was is reuse too',
  )
  refusedGrant(t, await app.refresh(String(third.refresh_token)))
  await revocation(refresh_token)
})

t.test('a guessed family part has no effect at all (D-04, C-24)', async (t) => {
  const tokens = await app.login()
  const selector = tokens.refresh_token.slice(0, 26)
  refusedGrant(t, await app.refresh(selector + randomBytes(31).toString('base64url')))
  refusedGrant(t, await app.refresh(tokens.access_token))
  refusedGrant(t, await other.refresh(tokens.refresh_token))
  t.equal((await app.call(tokens.access_token)).status, 200)
  t.equal((await app.refresh(tokens.refresh_token)).status, 200)
})
