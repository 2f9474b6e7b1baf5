/**
 * Two providers in one gateway, of which one answers by a form, at stubs as strict as they are and under their own host
 * names (M-04, M-05).
 */
import t, { type Test } from 'tap'
import { Browser, redirectOf } from '../../support/browser.ts'
import type { Answer, Attempt, Tokens } from '../../support/native-app.ts'
import { authorizationResponse } from '../../support/providers/authorization-response.ts'
import { freePublicUrl, startGatewayAt } from '../../support/providers/gateway.ts'
import { startStub } from '../../support/providers/stub.ts'
import { FACTS, withBlanks } from '../../support/providers/stubs.ts'
import { until } from '../../support/wait.ts'

const DAY_SECONDS = 86_400
const NAMES = ['google', 'apple'] as const
type Name = (typeof NAMES)[number]
const HOSTS = { google: 'accounts.google.com', apple: 'appleid.apple.com' }
const ISSUERS = { google: 'https://accounts.google.com', apple: 'https://appleid.apple.com' }
const OTHER = { google: 'apple', apple: 'google' } as const

type Stack = Awaited<ReturnType<typeof setUp>>

/** @param down refuses connections from before the start. */
async function setUp(t: Test, { down }: { down?: Name } = {}) {
  const publicUrl = await freePublicUrl()
  const stubs = { google: await startStub(t, FACTS.google), apple: await startStub(t, FACTS.apple) }
  for (const name of NAMES) stubs[name].redirectUri = `${publicUrl}/oauth2/callback/${name}`
  const comeBack = down && stubs[down].leave()
  const providers = { google: withBlanks('google')!, apple: withBlanks('apple')! }
  const stack = await startGatewayAt(t, publicUrl, { providers })
  return { ...stack, stubs, comeBack: async () => comeBack?.() }
}

/** A login that the provider has answered, and whose answer has not arrived. */
interface Answered extends Attempt {
  readonly browser: Browser
  readonly name: Name
  readonly response: URLSearchParams
}

async function answered(stack: Stack, name: Name, browser = new Browser(stack)): Promise<Answered> {
  const attempt = stack.app.begin({ identity_provider: name })
  const response = await authorizationResponse(await browser.begin(attempt.url))
  return { ...attempt, browser, name, response }
}

/** What a test changes of the way back. */
interface Detour {
  readonly at?: Name
  readonly method?: 'GET' | 'POST'
  readonly more?: Readonly<Record<string, string>>
}

/** The answer arrives: at its own callback, and as that callback takes it, unless the test says otherwise. */
function deliver(
  { publicUrl }: Stack,
  { browser, name, response }: Answered,
  detour: Detour = {},
): Promise<Answer> {
  const { at = name, more = {} } = detour
  const { method = at === 'apple' ? 'POST' : 'GET' } = detour
  const parameters = new URLSearchParams({ ...Object.fromEntries(response), ...more })
  const callback = `${publicUrl}/oauth2/callback/${at}`
  return method === 'POST'
    ? browser.open(callback, { method, body: parameters })
    : browser.open(`${callback}?${parameters}`)
}

async function login(stack: Stack, name: Name): Promise<Tokens> {
  const login = await answered(stack, name)
  const code = redirectOf(await deliver(stack, login))!.searchParams.get('code')!
  const answer = await stack.app.redeem({ code, verifier: login.verifier })
  if (answer.status !== 200) throw new Error(`no tokens: ${answer.status} ${answer.text}`)
  return answer.json as unknown as Tokens
}

const identity = async ({ app }: Stack, { access_token }: Tokens) => {
  const { 'x-auth-subject': sub, 'x-auth-issuer': iss } = (await app.call(access_token)).json
    .headers as Record<string, string>
  return { sub, iss }
}

for (const name of NAMES) {
  t.test(
    `${name}, beside ${OTHER[name]}: the app names it, and a session begins and goes on (M-04)`,
    async (t) => {
      const stack = await setUp(t)
      const tokens = await login(stack, name)
      t.same(await identity(stack, tokens), { sub: 'alice', iss: ISSUERS[name] })
      stack.store.advance(8 * DAY_SECONDS)
      const refreshed = await stack.app.refresh(tokens.refresh_token)
      t.equal(refreshed.status, 200)
      const access_token = String(refreshed.json.access_token)
      t.same(await identity(stack, { ...tokens, access_token }), { sub: 'alice', iss: ISSUERS[name] })
      t.equal(stack.stubs[name].at('token').length, 2)
      t.same(
        stack.stubs[OTHER[name]].requests.map(({ path }) => path),
        ['/.well-known/openid-configuration'],
      )
    },
  )

  t.test(`${name}, beside ${OTHER[name]}: the person chooses it on the page (M-04)`, async (t) => {
    const stack = await setUp(t)
    const browser = new Browser(stack)
    const attempt = stack.app.begin()
    const page = await browser.open(attempt.url)
    t.equal(page.status, 200)
    t.equal(browser.jar.get(stack.publicUrl)?.size, 0, 'nothing has begun')
    const links = [...page.text.matchAll(/<a href="([^"]*)">Continue with (\w+)<\/a>/g)]
    t.same(
      links.map(([, , label]) => label),
      ['Google', 'Apple'],
    )
    const [, href = ''] = links.find(([, , label]) => label?.toLowerCase() === name)!
    const there = await browser.begin(new URL(href.replaceAll('&amp;', '&'), stack.publicUrl))
    t.equal(new URL(there).host, HOSTS[name])
    const response = await authorizationResponse(there)
    const code = redirectOf(await deliver(stack, { ...attempt, browser, name, response }))!.searchParams.get(
      'code',
    )!
    const tokens = await stack.app.redeem({ code, verifier: attempt.verifier })
    t.same(await identity(stack, tokens.json as unknown as Tokens), { sub: 'alice', iss: ISSUERS[name] })
  })

  const mixed = [
    ['its answer at the other callback', { at: OTHER[name] }, 400],
    [
      'its answer at the other callback, in the way of its own',
      { at: OTHER[name], method: name === 'apple' ? 'POST' : 'GET' },
      405,
    ],
    ["its answer with the other's iss", { more: { iss: ISSUERS[OTHER[name]] } }, 400],
    [
      "its answer with the other's iss, at the other's callback",
      { at: OTHER[name], more: { iss: ISSUERS[OTHER[name]] } },
      400,
    ],
  ] as const
  for (const [what, how, status] of mixed) {
    t.test(`${name}: ${what} -> ${status}, nothing is redeemed (M-04, RFC 9700 §4.4)`, async (t) => {
      const stack = await setUp(t)
      const begun = await answered(stack, name)
      const answer = await deliver(stack, begun, how)
      t.equal(answer.status, status)
      t.equal(redirectOf(answer), null)
      t.equal(
        (await deliver(stack, begun)).status,
        status === 405 ? 200 : 400,
        'consumed, unless it was the method',
      )
      t.same(
        NAMES.map((one) => stack.stubs[one].at('token').length),
        [0, 0],
      )
    })
  }

  t.test(`${name}: another login's state, in this browser and in another one (M-04, B-04)`, async (t) => {
    const stack = await setUp(t)
    const [mine, other] = [await answered(stack, name), await answered(stack, OTHER[name])]
    const state = other.response.get('state')!
    t.equal((await deliver(stack, mine, { more: { state } })).status, 400)
    t.equal((await deliver(stack, other)).status, 400, 'that login is over')
    t.equal((await deliver(stack, mine)).status, 200, 'this one is not')
    t.same(
      NAMES.map((one) => stack.stubs[one].at('token').length),
      [0, 0],
    )
  })

  for (const from of NAMES) {
    t.test(
      `${name}: a code of another login at ${from} is refused there, and redeemed nowhere (M-04)`,
      async (t) => {
        const stack = await setUp(t)
        const [mine, other] = [await answered(stack, name), await answered(stack, from)]
        const arrived = await deliver(stack, mine, { more: { code: other.response.get('code')! } })
        const code = redirectOf(arrived)!.searchParams.get('code')!
        const answer = await stack.app.redeem({ code, verifier: mine.verifier })
        t.equal(answer.status, 400)
        t.equal(answer.json.error, 'invalid_grant')
        t.equal(stack.stubs[name].at('token').length, 1)
        t.equal(stack.stubs[OTHER[name]].at('token').length, 0)
        t.equal(stack.stubs[name].at('userinfo').length, 0)
      },
    )
  }

  t.test(`${name} is down from the start: it is named, the other's logins go on (M-04, M-06)`, async (t) => {
    const stack = await setUp(t, { down: name })
    const { gateway, app } = stack
    const { provider, ...rest } = await gateway.pkce.readiness()
    t.same(rest, { forwarding: null, store: null })
    t.match(provider, new RegExp(`^${name}: `))
    t.notMatch(provider, OTHER[name])
    t.same(await identity(stack, await login(stack, OTHER[name])), {
      sub: 'alice',
      iss: ISSUERS[OTHER[name]],
    })
    const refused = await new Browser(stack).open(app.begin({ identity_provider: name }).url)
    t.match(refused.text + refused.headers.get('location'), 'error=temporarily_unavailable')

    await stack.comeBack()
    await until(async () => (await gateway.pkce.readiness()).provider === null)
    t.same(await identity(stack, await login(stack, name)), { sub: 'alice', iss: ISSUERS[name] })
  })

  t.test(`${name} goes down: sessions of both go on, and so does the other (M-04)`, async (t) => {
    const stack = await setUp(t)
    const { app, store, stubs } = stack
    const [mine, others] = [await login(stack, name), await login(stack, OTHER[name])]
    const comeBack = stubs[name].leave()
    for (const { access_token } of [mine, others]) t.equal((await app.call(access_token)).status, 200)
    t.ok((await login(stack, OTHER[name])).access_token)

    store.advance(8 * DAY_SECONDS)
    t.equal((await app.refresh(others.refresh_token)).status, 200)
    const answer = await app.refresh(mine.refresh_token)
    t.equal(answer.status, 503, 'and the session is not over')
    t.ok(answer.headers.get('retry-after'))
    await comeBack()
    await until(async () => (await app.refresh(mine.refresh_token)).status === 200)
  })
}

t.test('alice at Google and alice at Apple are two people (M-05)', async (t) => {
  const stack = await setUp(t)
  const { app, gateway } = stack
  const [google, apple] = [await login(stack, 'google'), await login(stack, 'apple')]
  t.not((await identity(stack, google)).iss, (await identity(stack, apple)).iss)
  t.equal((await gateway.pkce.sessionsOf('alice', ISSUERS.google)).length, 1)
  t.equal(await gateway.pkce.endSession({ subject: 'alice', issuer: ISSUERS.apple }), 1)
  t.equal((await app.call(google.access_token)).status, 200)
  t.equal((await app.call(apple.access_token)).status, 401)
})

t.test('nobody comes back without a name, or with another one (M-04)', async (t) => {
  const stack = await setUp(t)
  const begun = await answered(stack, 'google')
  for (const path of ['callback', 'callback/', 'callback/other', 'callback/google/x', 'callback/Google']) {
    const url = `${stack.publicUrl}/oauth2/${path}?${begun.response}`
    t.equal((await begun.browser.open(url)).status, 404, path)
  }
  t.equal((await deliver(stack, begun)).status, 200)
})
