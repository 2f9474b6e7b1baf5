/**
 * The threat: one human begins a login and another one finishes it. PKCE binds the beginning to the redemption,
 * not to the browser in between, so an attacker could have a victim log in to the attacker's transaction, or slip
 * his own finished login to a victim (RFC 9700 §4.7, requirements A-18, B-04).
 */
import t, { type Test } from 'tap'
import { Browser, redirectOf } from '../support/browser.ts'
import { type GatewayStack, startGatewayStack } from '../support/gateway-stack.ts'
import { type Answer, NativeApp } from '../support/native-app.ts'

const stack = await startGatewayStack(t as unknown as Test, (config) => ({
  ...config,
  clients: [{ ...config.clients[0]!, redirectUris: ['https://app.example.com/callback'] }],
}))
const app = new NativeApp(stack, { redirectUri: 'https://app.example.com/callback' })

/** A refusal that tells nobody anything: a page, no redirect, no code, and the provider is not asked. */
function refusedLocally(t: Test, { provider }: GatewayStack, answer: Answer, exchanges: number): void {
  t.equal(answer.status, 400)
  t.equal(answer.headers.get('location'), null)
  t.equal(redirectOf(answer), null)
  t.notMatch(answer.text, /pkc_/)
  t.equal(answer.headers.get('cache-control'), 'no-store')
  t.equal(provider.calls.get('/token') ?? 0, exchanges, 'AS=0')
}

const exchanges = () => stack.provider.calls.get('/token') ?? 0
const lastEvent = () => stack.events.at(-1)?.event

t.test('the victim finishes the login that the attacker began: no code, and it is over', async (t) => {
  const before = exchanges()
  const [attacker, victim] = [new Browser(stack), new Browser(stack)]
  const attempt = app.begin()
  const callback = await victim.signIn(await attacker.begin(attempt.url), 'victim')
  refusedLocally(t, stack, await victim.open(callback), before)
  t.equal(lastEvent(), 'callback.browser_mismatch')
  refusedLocally(t, stack, await attacker.open(callback), before)
})

t.test('login CSRF: the attacker slips his finished login to the victim', async (t) => {
  const [attacker, victim] = [new Browser(stack), new Browser(stack)]
  const own = app.begin()
  const ownLogin = await victim.begin(own.url)
  const before = exchanges()
  const callback = await attacker.signIn(await attacker.begin(app.begin().url), 'mallory')
  refusedLocally(t, stack, await victim.open(callback), before)

  const redirect = redirectOf(await victim.open(await victim.signIn(ownLogin, 'victim')))!
  t.equal(redirect.searchParams.get('state'), own.state, "the victim's own login goes on")
  const answer = await app.redeem({ ...own, code: redirect.searchParams.get('code')! })
  t.equal(answer.status, 200)
})

t.test("the attacker's code in the answer to the victim's state is none of the victim's", async (t) => {
  const [attacker, victim] = [new Browser(stack), new Browser(stack)]
  const own = app.begin()
  const ownCallback = await victim.signIn(await victim.begin(own.url), 'victim')
  const foreign = await attacker.signIn(await attacker.begin(app.begin().url), 'mallory')
  // Injected at the provider's front channel: their code, our verifier.
  ownCallback.searchParams.set('code', foreign.searchParams.get('code')!)
  const redirect = redirectOf(await victim.open(ownCallback))!
  const answer = await app.redeem({ ...own, code: redirect.searchParams.get('code')! })
  t.equal(answer.status, 400, 'the provider holds the code to the verifier of its own transaction (RFC 7636)')
  t.equal(answer.json.error, 'invalid_grant')
})

for (const [name, forge] of [
  ['no cookie', () => ''],
  ['an empty one', (cookie: string) => `${cookie.split('=')[0]}=`],
  ['a guessed secret', (cookie: string) => `${cookie.split('=')[0]}=${'A'.repeat(43)}`],
  ['a secret with one character more', (cookie: string) => `${cookie}A`],
  ["the secret under another transaction's name", (cookie: string) => `pkce-x=${cookie.split('=')[1]}`],
  ['the state in its place', (cookie: string, state: string) => `${cookie.split('=')[0]}=${state}`],
] as const) {
  t.test(`${name} -> 400, and the transaction is over (B-04)`, async (t) => {
    const before = exchanges()
    const browser = new Browser(stack)
    const callback = await browser.signIn(await browser.begin(app.begin().url))
    const [[cookieName, secret] = []] = [...browser.jar.get(stack.publicUrl)!]
    const forger = new Browser(stack)
    const cookie = forge(`${cookieName}=${secret}`, callback.searchParams.get('state')!)
    if (cookie !== '') {
      const [forgedName = '', forged = ''] = cookie.split(/=(.*)/s)
      forger.jar.set(stack.publicUrl, new Map([[forgedName, forged]]))
    }
    refusedLocally(t, stack, await forger.open(callback), before)
    refusedLocally(t, stack, await browser.open(callback), before)
  })
}

t.test('two logins in one browser finish in any order, each with its own cookie (A-18)', async (t) => {
  const browser = new Browser(stack)
  const [first, second] = [app.begin(), app.begin()]
  const [toFirst, toSecond] = [await browser.begin(first.url), await browser.begin(second.url)]
  t.equal(browser.jar.get(stack.publicUrl)?.size, 2)
  for (const [attempt, url] of [
    [second, toSecond],
    [first, toFirst],
  ] as const) {
    const redirect = redirectOf(await browser.open(await browser.signIn(url)))!
    t.equal(redirect.searchParams.get('state'), attempt.state)
    t.equal((await app.redeem({ ...attempt, code: redirect.searchParams.get('code')! })).status, 200)
  }
  t.equal(browser.jar.get(stack.publicUrl)?.size, 0, 'and no cookie stays behind')
})

t.test('a browser keeps at most five transactions, and the cookie is for us alone', async (t) => {
  const browser = new Browser(stack)
  for (let count = 0; count < 7; count += 1) {
    const answer = await browser.open(app.begin().url)
    const setCookie = answer.headers.getSetCookie().at(-1)!
    t.match(setCookie, /^pkce-[\w-]{22}=[\w-]{43}; /)
    t.match(setCookie, /HttpOnly/)
    t.match(setCookie, /SameSite=Lax/)
    t.match(setCookie, /Path=\/(;|$)/)
    t.notMatch(setCookie, /Domain/i)
  }
  t.equal(browser.jar.get(stack.publicUrl)?.size, 5)
})

t.test('a link preview, a form post and a reload change nothing (B-01, B-15)', async (t) => {
  const browser = new Browser(stack)
  const attempt = app.begin()
  const callback = await browser.signIn(await browser.begin(attempt.url))
  t.equal((await browser.open(callback, { method: 'HEAD' })).status, 405)
  t.equal((await browser.open(callback, { method: 'POST' })).status, 405)
  const answers = await Promise.all(Array.from({ length: 20 }, () => browser.open(callback)))
  const codes = answers.map(redirectOf).filter((redirect) => redirect !== null)
  t.equal(codes.length, 1, 'one of twenty parallel visits gets a code (B-03)')
  t.equal((await browser.open(callback)).status, 400)
  const answer = await app.redeem({ ...attempt, code: codes[0]!.searchParams.get('code')! })
  t.equal(answer.status, 200, 'and it stays good')
})
