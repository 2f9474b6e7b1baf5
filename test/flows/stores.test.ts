/**
 * The same flows and races on every store: two apps with clients of their own on one store, as two instances
 * are. What holds here holds wherever the store contract does.
 */
import t, { type Test } from 'tap'
import type { PkceOptions } from '../../plugin/index.ts'
import { parseHandle } from '../../plugin/secrets/handles.ts'
import { type PluginApp, startPluginApp, type Tokens } from '../support/plugin-app.ts'
import { type SharedStore, type StoreKind, startSharedStore } from '../support/shared-store.ts'
import { type StubProvider, startStubProvider } from '../support/stub-provider.ts'
import { deferred, until } from '../support/wait.ts'

t.setTimeout(120_000)

/** One server secret: what one app seals, the other opens. */
const secrets = [Buffer.alloc(32, 5).toString('base64url')]
const kinds: StoreKind[] = ['memory', 'redis', 'redis-cluster', 'postgres']
/** Any secret but the right one, behind a selector that is. */
const WRONG_SECRET = 'A'.repeat(42)

/** Two instances, and the provider of both. */
interface Deployment {
  readonly a: PluginApp
  readonly b: PluginApp
  readonly provider: StubProvider
  /** Audit events of both, by name. */
  events(name: string): number
}

async function deploy(t: Test, store: SharedStore, options: Partial<Omit<PkceOptions, 'provider'>> = {}) {
  const provider = await startStubProvider()
  t.teardown(() => provider.close())
  const start = () =>
    startPluginApp(
      t,
      { secrets, ...options, store: store.open(t), provider: { scope: 'openid' } },
      { provider },
    )
  const [a, b] = await Promise.all([start(), start()])
  const events = (name: string) => [...a.events, ...b.events].filter(({ event }) => event === name).length
  return { a, b, provider, events } satisfies Deployment
}

/** As many answers as asked for, from both instances in turn. */
function fromBoth<T>({ a, b }: Deployment, count: number, ask: (app: PluginApp) => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, (_, n) => ask(n % 2 === 0 ? a : b)))
}

/** How often each status occurred. */
function tally(answers: readonly { statusCode: number }[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const { statusCode } of answers) counts[statusCode] = (counts[statusCode] ?? 0) + 1
  return counts
}

/** Holds the provider's answers back until they are let go. */
function slow(provider: StubProvider): () => void {
  const { promise, resolve } = deferred()
  const { token } = provider.behave
  provider.behave.token = async (request, response) => {
    await promise
    return token(request, response)
  }
  return resolve
}

/** The provider's tokens live so long from now on. */
function lifeOf(provider: StubProvider, expires_in: number): void {
  const { token } = provider.behave
  provider.behave.token = (request, response) => {
    const { end } = response
    response.end = ((body: string) =>
      end.call(response, JSON.stringify({ ...JSON.parse(body), expires_in }), 'utf8')) as typeof end
    return token(request, response)
  }
}

const tests: Record<string, (t: Test, store: SharedStore) => Promise<void>> = {
  'every step of a login on another instance than the one before (design, Stores)': async (t, store) => {
    const { a, b, provider } = await deploy(t, store)
    const authorized = await a.authorize()
    const redirect = new URL(String((await b.callback(authorized)).headers.location))
    const answer = await a.redeem(redirect.searchParams.get('code')!)
    t.equal(answer.statusCode, 200)
    const first = answer.json() as Tokens
    t.equal((await b.call(first.access_token)).statusCode, 200)
    const second = (await b.refresh(first.refresh_token)).json() as Tokens
    t.equal((await a.call(second.access_token)).statusCode, 200)
    t.equal((await a.call(first.access_token)).statusCode, 200, 'to its own expiry')
    const me = await b.app.inject({
      url: '/oauth2/userinfo',
      headers: { authorization: `Bearer ${second.access_token}` },
    })
    t.same(me.json(), { sub: 'alice' })
    t.equal(provider.count('/token'), 1)
    t.equal((await b.post('revoke', { client_id: 'app', token: second.refresh_token })).body, '{}')
    for (const { access_token } of [first, second]) {
      t.equal((await b.call(access_token)).statusCode, 401)
      await until(async () => (await a.call(access_token)).statusCode === 401)
    }
    t.equal((await a.refresh(second.refresh_token)).statusCode, 400)
    await until(() => provider.count('/revoke') === 1)
  },

  '100 parallel redemptions of one code -> one 200, one provider call, a live session (RFC 6749 §4.1.2, C-15)':
    async (t, store) => {
      const deployment = await deploy(t, store)
      const { a, b, provider, events } = deployment
      const { code } = await a.code()
      const letGo = slow(provider)
      let refused = 0
      const redemptions = fromBoth(deployment, 100, async (app) => {
        const answer = await app.redeem(code)
        refused += 1
        if (refused === 99) letGo()
        return answer
      })
      const answers = await redemptions
      t.same(tally(answers), { 200: 1, 400: 99 })
      for (const { body } of answers.filter(({ statusCode }) => statusCode === 400)) {
        if (JSON.parse(body).error !== 'invalid_grant') t.fail(body)
      }
      t.equal(provider.count('/token'), 1)
      t.equal(events('code.duplicate'), 99)
      const { access_token } = answers.find(({ statusCode }) => statusCode === 200)!.json() as Tokens
      t.equal((await a.call(access_token)).statusCode, 200)
      t.equal((await b.call(access_token)).statusCode, 200)
    },

  'one bad verifier among parallel redemptions never leads to a second success (RFC 7636 §4.6, C-12)': async (
    t,
    store,
  ) => {
    const deployment = await deploy(t, store)
    const { code } = await deployment.a.code()
    let asked = 0
    const answers = await fromBoth(deployment, 20, (app) => {
      asked += 1
      return app.redeem(code, asked % 5 === 0 ? { code_verifier: 'x'.repeat(43) } : {})
    })
    t.ok((tally(answers)[200] ?? 0) <= 1)
    t.equal((tally(answers)[200] ?? 0) + (tally(answers)[400] ?? 0), 20)
    t.ok(deployment.provider.count('/token') <= 1)
  },

  'a wrong verifier on one instance ends the code on the other (RFC 7636 §4.6, C-12)': async (t, store) => {
    const { a, b, provider } = await deploy(t, store)
    const { code } = await a.code()
    t.equal((await b.redeem(code, { code_verifier: 'x'.repeat(43) })).json().error, 'invalid_grant')
    t.equal((await a.redeem(code)).json().error, 'invalid_grant')
    t.equal(provider.count('/token'), 0)
  },

  'a right selector with a wrong secret has no effect (design, Handles)': async (t, store) => {
    const { a, b } = await deploy(t, store)
    const { code } = await a.code()
    t.equal((await b.redeem(code.slice(0, 26) + WRONG_SECRET)).statusCode, 400)
    const tokens = (await b.redeem(code)).json() as Tokens
    t.equal((await a.call(tokens.access_token.slice(0, 26) + WRONG_SECRET)).statusCode, 401)
    t.equal((await a.refresh(tokens.refresh_token.slice(0, 26) + WRONG_SECRET)).statusCode, 400)
    t.equal((await a.refresh(tokens.refresh_token)).statusCode, 200)
  },

  '50 parallel callbacks with one state -> one code (B-03)': async (t, store) => {
    const deployment = await deploy(t, store)
    const authorized = await deployment.a.authorize()
    const answers = await fromBoth(deployment, 50, (app) => app.callback(authorized))
    const codes = answers.flatMap(({ headers }) => {
      const code = headers.location && new URL(String(headers.location)).searchParams.get('code')
      return code ? [code] : []
    })
    t.equal(codes.length, 1)
    t.same(tally(answers), { 302: 1, 400: 49 })
    t.equal((await deployment.b.redeem(codes[0]!)).statusCode, 200)
  },

  '50 parallel refreshes -> the same successor for all, no provider call while its token lives (D-05)':
    async (t, store) => {
      const deployment = await deploy(t, store)
      const { a, b, provider } = deployment
      const tokens = await a.login()
      const answers = await fromBoth(deployment, 50, (app) => app.refresh(tokens.refresh_token))
      t.same(tally(answers), { 200: 50 })
      t.equal(new Set(answers.map((answer) => (answer.json() as Tokens).refresh_token)).size, 1)
      t.equal(new Set(answers.map((answer) => (answer.json() as Tokens).access_token)).size, 1)
      t.equal(provider.count('/token'), 1, 'of the login')
      const { access_token } = answers[0]!.json() as Tokens
      t.equal((await b.call(access_token)).statusCode, 200)
    },

  '50 parallel refreshes of a token that runs out -> one provider call, the same successor (D-06, D-07)':
    async (t, store) => {
      const deployment = await deploy(t, store, { lifetimes: { accessTokenSeconds: 60 } })
      const { a, provider } = deployment
      lifeOf(provider, 2)
      const tokens = await a.login()
      // Half of its life: from then on a refresh renews it.
      await new Promise((resolve) => setTimeout(resolve, 1100))
      lifeOf(provider, 3600)
      const letGo = slow(provider)
      setTimeout(letGo, 100)
      const answers = await fromBoth(deployment, 50, (app) => app.refresh(tokens.refresh_token))
      t.same(tally(answers), { 200: 50 })
      t.equal(new Set(answers.map((answer) => (answer.json() as Tokens).refresh_token)).size, 1)
      t.equal(provider.count('/token'), 2)
      t.equal((await a.call((answers[0]!.json() as Tokens).access_token)).statusCode, 200)
    },

  'relayed tokens: found by either instance, renewed once for parallel refreshes, dead after a revocation (E-02)':
    async (t, store) => {
      const deployment = await deploy(t, store, { tokens: 'relay' })
      const { a, b, provider } = deployment
      const tokens = await a.login()
      t.match(tokens.access_token, /^provider-access/)
      t.equal((await b.call(tokens.access_token)).statusCode, 200)
      const letGo = slow(provider)
      setTimeout(letGo, 100)
      const answers = await fromBoth(deployment, 20, (app) => app.refresh(tokens.refresh_token))
      t.same(tally(answers), { 200: 20 })
      t.equal(provider.count('/token'), 2)
      const { access_token } = answers[0]!.json() as Tokens
      t.equal((await b.call(access_token)).statusCode, 200)
      await a.post('revoke', { client_id: 'app', token: access_token })
      await until(async () => (await b.call(access_token)).statusCode === 401)
    },

  'a valid replay of a used code on another instance ends the grant everywhere (RFC 6749 §4.1.2, C-14)':
    async (t, store) => {
      const { a, b, provider, events } = await deploy(t, store, { lifetimes: { duplicateSeconds: 0 } })
      const { code } = await a.code()
      const tokens = (await a.redeem(code)).json() as Tokens
      t.equal((await b.call(tokens.access_token)).statusCode, 200)
      t.equal((await b.redeem(code)).json().error, 'invalid_grant')
      t.equal((await b.call(tokens.access_token)).statusCode, 401)
      await until(async () => (await a.call(tokens.access_token)).statusCode === 401)
      t.equal(events('code.replay'), 1)
      await until(() => provider.count('/revoke') === 1)
    },

  'reuse of an old refresh token on another instance ends the grant everywhere (RFC 9700 §4.14.2, D-04)':
    async (t, store) => {
      const { a, b, provider, events } = await deploy(t, store)
      const first = await a.login()
      const second = (await b.refresh(first.refresh_token)).json() as Tokens
      const third = (await a.refresh(second.refresh_token)).json() as Tokens
      t.equal((await b.call(third.access_token)).statusCode, 200)
      t.equal((await b.refresh(first.refresh_token)).json().error, 'invalid_grant')
      t.equal((await b.call(third.access_token)).statusCode, 401)
      await until(async () => (await a.call(third.access_token)).statusCode === 401)
      t.equal((await a.refresh(third.refresh_token)).statusCode, 400)
      t.equal(events('refresh.reuse'), 1)
      await until(() => provider.count('/revoke') === 1)
    },

  'an answer that was lost: the predecessor gets the same successor from another instance (D-05)': async (
    t,
    store,
  ) => {
    const { a, b } = await deploy(t, store)
    const { refresh_token } = await a.login()
    const [first, again] = [await a.refresh(refresh_token), await b.refresh(refresh_token)]
    t.equal(again.statusCode, 200)
    t.equal((again.json() as Tokens).refresh_token, (first.json() as Tokens).refresh_token)
  },

  'a logout of a subject ends all its grants, whichever instance made them (G-10)': async (t, store) => {
    const { a, b } = await deploy(t, store)
    const logins = [await a.login(), await b.login(), await a.login()]
    for (const { access_token } of logins) t.equal((await b.call(access_token)).statusCode, 200)
    t.equal((await b.app.pkce.sessionsOf('alice')).length, 3)
    const ended = await Promise.all([a, b].map(({ app }) => app.pkce.endSession({ subject: 'alice' })))
    t.equal(ended[0]! + ended[1]!, 3, 'each is ended by one caller')
    for (const { access_token } of logins) {
      t.equal((await a.call(access_token)).statusCode, 401)
      await until(async () => (await b.call(access_token)).statusCode === 401)
    }
    t.same(await b.app.pkce.sessionsOf('alice'), [])
  },

  'a logout of the subject while a code is redeemed wins over the redemption (G-10)': async (t, store) => {
    const { a, b, provider } = await deploy(t, store)
    const { code } = await a.code()
    const reached = deferred()
    const letGo = slow(provider)
    const { token } = provider.behave
    provider.behave.token = (request, response) => {
      reached.resolve()
      return token(request, response)
    }
    const redemption = a.redeem(code)
    await reached.promise
    t.equal(await b.app.pkce.endSession({ grantId: parseHandle('code', code)!.selector }), 1)
    letGo()
    t.equal((await redemption).statusCode, 400)
    await until(() => provider.count('/revoke') === 1)
  },

  'a login that ends on another instance no longer counts against its address (A-20)': async (t, store) => {
    const { a, b } = await deploy(t, store, { limits: { transactionsPerAddress: 3 } })
    for (let login = 0; login < 5; login++) {
      let authorized = await a.authorize()
      await until(async () => {
        if (authorized.response.statusCode !== 302) authorized = await a.authorize()
        return authorized.response.statusCode === 302
      })
      t.equal((await b.callback(authorized)).statusCode, 302)
    }
  },
}

for (const kind of kinds) {
  t.test(`flows and races on ${kind}`, async (t) => {
    const store = await startSharedStore(t, kind)
    if (typeof store === 'string') return void t.pass(kind, { skip: store })
    for (const [title, run] of Object.entries(tests)) {
      await t.test(title, (t) => run(t, store))
    }
  })
}
