/** Instances that die, or stand still, in the middle of something that cannot be done twice. */
import t, { type Test } from 'tap'
import { credentialsIn, leaks } from '../support/credentials.ts'
import { type FaultProxy, startFaultProxy } from '../support/fault-proxy.ts'
import { markOf } from '../support/fault-stack.ts'
import { type Instances, startInstances } from '../support/instances.ts'
import { type Answer, NativeApp } from '../support/native-app.ts'
import { startSharedStore } from '../support/shared-store.ts'
import type { Behaviour } from '../support/stub-provider.ts'
import { recordTraffic } from '../support/traffic.ts'
import { deferred, until } from '../support/wait.ts'

/** The provider's deadline, and the lease that outlives it by five seconds (D-06). */
const TOTAL_MS = 1000
const LEASE_MS = TOTAL_MS + 5000
/** Half of the provider token's life, after which a refresh asks the provider. */
const NEAR_EXPIRY_MS = 600

const [VICTIM, SURVIVOR] = [0, 1]
const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Two instances behind one network, and an app that can say which of them serves it. */
interface Pair {
  readonly stack: Instances
  readonly proxy: FaultProxy
  readonly app: NativeApp
  readonly mark: string
  /** The victim serves this request. */
  atVictim(request: () => Promise<Answer>): Promise<Answer | 'broken off'>
  /** As an app does that is told to come again: at the survivor, until the lease is over at the latest. */
  patiently(request: () => Promise<Answer>): Promise<{ answer: Answer; tookMs: number }>
  /** A login whose provider token is to be renewed now. */
  refreshToken(): Promise<string>
  /** Records in the store, by the status of their grant. */
  statuses(): Promise<Record<string, number>>
}

async function startPair(t: Test, kind: 'redis' | 'postgres'): Promise<Pair | string> {
  const store = await startSharedStore(t, kind)
  if (typeof store === 'string') return store
  const url = new URL(store.settings.url ?? '')
  const proxy = await startFaultProxy(Number(url.port))
  t.teardown(() => proxy.stop())
  url.port = `${proxy.port}`
  const stack = await startInstances(t, {
    count: 2,
    store,
    provider: 'stub',
    change: (config) => ({
      ...config,
      store: { ...config.store, url: url.href },
      provider: { ...config.provider, timeouts: { totalMs: TOTAL_MS } },
      // A repetition is a replay at once: what it ends shows what the crash has left behind.
      lifetimes: { duplicateSeconds: 0 },
    }),
  })
  if (typeof stack === 'string') return stack
  const app = new NativeApp(stack)
  // The scripts, and the statements of the first connections, are known from now on.
  for (const instance of [VICTIM, SURVIVOR]) {
    stack.balancer.use(instance)
    await app.revoke((await app.login()).refresh_token)
  }
  return {
    stack,
    proxy,
    app,
    mark: markOf(store, 'replace'),
    async atVictim(request) {
      stack.balancer.next(VICTIM)
      return request().catch(() => 'broken off' as const)
    },
    async patiently(request) {
      const startedAt = performance.now()
      for (;;) {
        const answer = await request()
        const tookMs = performance.now() - startedAt
        if (answer.status !== 503 || tookMs > 2 * LEASE_MS) return { answer, tookMs }
      }
    },
    async refreshToken() {
      stack.setProviderLife(1)
      const { refresh_token } = await app.login()
      stack.setProviderLife(3600)
      await pause(NEAR_EXPIRY_MS)
      return refresh_token
    },
    async statuses() {
      const found = (await store.dump()).flatMap(
        ({ row }) => /\\*"status\\*":\\*"(\w+)/.exec(JSON.stringify(row))?.[1] ?? [],
      )
      return Object.fromEntries(
        [...new Set(found)].map((status) => [status, found.filter((one) => one === status).length]),
      )
    },
  }
}

/** Calls of an endpoint of the provider during `work`. */
async function asked<T>({ stub }: Instances, path: string, work: () => Promise<T>): Promise<[T, number]> {
  const before = stub.count(path)
  const result = await work()
  return [result, stub.count(path) - before]
}

// Most of their time is spent waiting for a lease to end.
t.jobs = 2
for (const kind of ['redis', 'postgres'] as const) {
  t.test(`two instances on ${kind}`, { buffered: true }, async (t) => {
    const traffic = recordTraffic(t)
    const pair = await startPair(t, kind)
    if (typeof pair === 'string') {
      t.skip(pair, () => {})
      return
    }
    const { stack, proxy, app, mark, atVictim, patiently } = pair
    const victim = stack.instances[VICTIM]!
    const wellAgain = async (t: Test) => {
      await victim.start()
      const { access_token, refresh_token } = await app.login()
      t.equal((await app.call(access_token)).status, 200, 'the survivor needs no restart')
      await app.revoke(refresh_token)
    }

    for (const [title, arrives] of [
      ['its commit never left', false],
      ['its commit arrived', true],
    ] as const) {
      await t.test(`killed between the provider's answer and the 200, ${title} (C-15, C-18)`, async (t) => {
        const code = await app.code()
        const [, exchanges] = await asked(stack, '/token', async () => {
          const struck = proxy.strike(mark, 'hold', 2)
          const redeeming = atVictim(() => app.redeem(code))
          await struck
          await victim.end('SIGKILL')
          if (!arrives) proxy.lose()
          proxy.heal()
          t.equal(await redeeming, 'broken off')
          const [retry, revocations] = await asked(stack, '/revoke', async () => {
            const answer = await app.redeem(code)
            await pause(100)
            return answer
          })
          t.equal(retry.status, 400)
          t.match(retry.json, { error: 'invalid_grant' }, 'and the app starts again')
          t.equal(
            revocations,
            arrives ? 1 : 0,
            'a session that nobody holds is taken back, where there is one',
          )
        })
        t.equal(exchanges, 1, "the provider's code is redeemed once")
        t.notOk('active' in (await pair.statuses()), 'no session is left that nobody holds')
        await wellAgain(t)
      })
    }

    await t.test('killed while it holds the lease: another one takes over after it (D-06)', async (t) => {
      const refreshToken = await pair.refreshToken()
      const { token } = stack.stub.behave
      const killed = deferred()
      stack.stub.behave.token = async () => {
        stack.stub.behave.token = token
        await victim.end('SIGKILL')
        killed.resolve()
      }
      const [{ answer, tookMs }, calls] = await asked(stack, '/token', async () => {
        const refreshing = atVictim(() => app.refresh(refreshToken))
        await killed.promise
        t.equal(await refreshing, 'broken off')
        return patiently(() => app.refresh(refreshToken))
      })
      t.equal(answer.status, 200)
      t.ok(tookMs > LEASE_MS - 2000 && tookMs < LEASE_MS + 1000, `after ${Math.round(tookMs)} ms`)
      t.equal(calls, 2, 'the provider is asked once by each')
      t.equal((await app.call(String(answer.json.access_token))).status, 200)
      await wellAgain(t)
    })

    await t.test(
      'stopped before it hears the provider, and resumed after its lease: it has lost, and revokes (D-07)',
      async (t) => {
        const refreshToken = await pair.refreshToken()
        const { token } = stack.stub.behave
        const stopped = deferred()
        const answerStopped: Behaviour = async (request, response) => {
          stack.stub.behave.token = token
          victim.signal('SIGSTOP')
          await token(request, response)
          stopped.resolve()
        }
        stack.stub.behave.token = answerStopped
        await overtaken(t, refreshToken, () => stopped.promise)
      },
    )

    await t.test(
      'stopped while it writes, and resumed after its lease: the write is refused, and it revokes (D-07)',
      async (t) => {
        const refreshToken = await pair.refreshToken()
        const struck = proxy.strike(mark, 'hold', 2)
        await overtaken(t, refreshToken, async () => {
          await struck
          victim.signal('SIGSTOP')
        })
      },
    )

    /** The victim stands still in the middle of a refresh, the survivor does it, the victim comes back. */
    async function overtaken(
      t: Test,
      refreshToken: string,
      untilStopped: () => Promise<void>,
    ): Promise<void> {
      const [, revocations] = await asked(stack, '/revoke', async () => {
        const late = atVictim(() => app.refresh(refreshToken))
        await untilStopped()
        const { answer, tookMs } = await patiently(() => app.refresh(refreshToken))
        t.equal(answer.status, 200, answer.text)
        t.ok(tookMs < LEASE_MS + 1000, `the app waited ${Math.round(tookMs)} ms`)
        const winner = answer.json
        const [tokens] = stack.stub.requests.filter(({ path }) => path === '/token').slice(-1)
        t.equal(tokens?.form.get('grant_type'), 'refresh_token')

        victim.signal('SIGCONT')
        proxy.heal()
        const answered = await late
        if (answered === 'broken off') throw new Error('the victim did not answer')
        t.equal(answered.status, 200, answered.text)
        t.equal(
          answered.json.refresh_token,
          winner.refresh_token,
          'the same successor, within its grace (D-05)',
        )
        await until(() => stack.stub.requests.at(-1)?.path === '/revoke')
        t.match(stack.stub.requests.at(-1)?.form.get('token'), /^provider-refresh-/)
        t.equal((await app.call(String(winner.access_token))).status, 200)
        t.equal((await app.refresh(String(winner.refresh_token))).status, 200, 'the session goes on')
      })
      t.equal(revocations, 1, "the loser's new tokens, and no others")
    }

    for (const instance of stack.instances) {
      const found = leaks(instance.log(), credentialsIn(traffic))
      t.same(found, [], `no credential in the log of instance ${instance.index} (J-01)`)
    }
  })
}
