/**
 * The threat: an answer of another authorization server is taken for our provider's, and its code is sent to the
 * wrong place (RFC 9207, RFC 9700 §4.4, requirements B-05). The `iss` of every answer is held to the letter.
 */
import t, { type Test } from 'tap'
import { Browser, redirectOf } from '../support/browser.ts'
import { type GatewayStack, startGatewayStack } from '../support/gateway-stack.ts'
import { NativeApp } from '../support/native-app.ts'

const HTTPS = 'https://app.example.com/callback'

function startStack(t: Test, explicitEndpoints = false): Promise<GatewayStack> {
  return startGatewayStack(t, (config) => {
    const { issuer } = config.provider
    return {
      ...config,
      provider: {
        ...config.provider,
        ...(explicitEndpoints && {
          authorizationEndpoint: `${issuer}/auth`,
          tokenEndpoint: `${issuer}/token`,
          jwksUri: `${issuer}/jwks`,
          userinfoEndpoint: `${issuer}/me`,
        }),
      },
      clients: [{ ...config.clients[0]!, redirectUris: [HTTPS] }],
    }
  })
}

const stack = await startStack(t as unknown as Test)
const app = new NativeApp(stack, { redirectUri: HTTPS })

async function arrive(at: GatewayStack, change: (query: URLSearchParams) => void) {
  const browser = new Browser(at)
  const attempt = new NativeApp(at, { redirectUri: HTTPS }).begin()
  const callback = await browser.signIn(await browser.begin(attempt.url))
  const good = new URL(callback)
  change(callback.searchParams)
  const exchanges = at.provider.calls.get('/token') ?? 0
  const answer = await browser.open(callback)
  const asked = (at.provider.calls.get('/token') ?? 0) - exchanges
  return { attempt, browser, good, answer, asked }
}

const wrong: Record<string, (query: URLSearchParams) => void> = {
  'a missing iss': (query) => query.delete('iss'),
  'an empty iss': (query) => query.set('iss', ''),
  'another iss': (query) => query.set('iss', 'https://evil.example.com'),
  'our own iss': (query) => query.set('iss', stack.publicUrl),
  'iss with a slash': (query) => query.set('iss', `${stack.provider.issuer}/`),
  'iss in capitals': (query) => query.set('iss', stack.provider.issuer.toUpperCase()),
  'iss of another port': (query) => query.set('iss', stack.provider.issuer.replace(/\d+$/, '1')),
}
for (const [name, change] of Object.entries(wrong)) {
  t.test(`${name} -> 400 without redirect, and the transaction is over (RFC 9207 §2.4)`, async (t) => {
    const { answer, browser, good, asked } = await arrive(stack, change)
    t.equal(answer.status, 400)
    t.equal(redirectOf(answer), null)
    t.equal(asked, 0, 'AS=0')
    t.equal(stack.events.at(-1)?.event, 'callback.iss_mismatch')
    t.equal((await browser.open(good)).status, 400, 'the true answer comes too late')
  })

  t.test(`${name}, on an error`, async (t) => {
    const { answer } = await arrive(stack, (query) => {
      query.delete('code')
      query.set('error', 'access_denied')
      change(query)
    })
    t.equal(answer.status, 400)
    t.equal(redirectOf(answer), null, 'the app hears nothing from a stranger')
  })
}

for (const name of ['iss', 'state', 'code']) {
  t.test(`${name} twice -> 400, and nothing is touched (RFC 6749 §3.1, B-06)`, async (t) => {
    const { answer, browser, good, attempt } = await arrive(stack, (query) =>
      query.append(name, query.get(name)!),
    )
    t.equal(answer.status, 400)
    t.equal(redirectOf(answer), null)
    const redirect = redirectOf(await browser.open(good))!
    t.equal((await app.redeem({ ...attempt, code: redirect.searchParams.get('code')! })).status, 200)
  })
}

t.test("a good answer becomes ours: our iss, the app's state, our code (RFC 9207 §2, B-11)", async (t) => {
  const { answer, attempt, good } = await arrive(stack, () => {})
  const redirect = redirectOf(answer)!
  t.same([...redirect.searchParams.keys()].sort(), ['code', 'iss', 'state'])
  t.equal(redirect.searchParams.get('iss'), stack.publicUrl)
  t.equal(redirect.searchParams.get('state'), attempt.state)
  t.match(redirect.searchParams.get('code'), /^pkc_[\w-]{64}$/)
  t.notMatch(redirect.href, good.searchParams.get('code')!, "the provider's code stays here (B-09)")
})

t.test('a true error reaches the app under its own name, without the words of the provider', async (t) => {
  for (const [error, expected] of [
    ['access_denied', 'access_denied'],
    ['<script>alert(1)</script>', 'server_error'],
  ]) {
    const { answer, attempt } = await arrive(stack, (query) => {
      query.delete('code')
      query.set('error', error!)
      query.set('error_description', 'line\r\nSet-Cookie: x=y')
      query.set('error_uri', 'https://evil.example.com')
      query.set('redirect_uri', 'https://evil.example.com')
    })
    t.equal(answer.status, 302)
    t.equal(
      answer.headers.get('location'),
      `${HTTPS}?${new URLSearchParams({ error: expected!, state: attempt.state, iss: stack.publicUrl })}`,
    )
  }
})

t.test('a provider that promises no iss: none is accepted, another one is not (B-05)', async (t) => {
  const quiet = await startStack(t, true)
  const without = await arrive(quiet, (query) => query.delete('iss'))
  t.equal(without.answer.status, 302)
  const other = await arrive(quiet, (query) => query.set('iss', 'https://evil.example.com'))
  t.equal(other.answer.status, 400)
  t.equal(redirectOf(other.answer), null)
})
