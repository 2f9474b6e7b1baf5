/**
 * Three gateway processes on one store behind a round robin, as they are deployed: every step of a login on
 * another instance, races over all of them, a revocation on one that the others heed, a change of secrets.
 */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import t, { type Test } from 'tap'
import { type Instance, type Instances, type InstancesOptions, startInstances } from '../support/instances.ts'
import { type Answer, NativeApp, type Tokens } from '../support/native-app.ts'
import { measureRevocationLag } from '../support/revocation-lag.ts'
import { startSharedStore } from '../support/shared-store.ts'
import { deferred, until } from '../support/wait.ts'

t.setTimeout(180_000)

const [A, B, C] = [0, 1, 2]

function tally(answers: readonly Answer[]): Record<number, number> {
  const counts: Record<number, number> = {}
  for (const { status } of answers) counts[status] = (counts[status] ?? 0) + 1
  return counts
}

/** As many requests at once, over all instances. */
function parallel<T>(count: number, ask: () => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, ask))
}

function call(instance: Instance, accessToken: string): Promise<Answer> {
  return instance.send('/api/orders', { headers: { authorization: `Bearer ${accessToken}` } })
}

/** Each instance has the session in its cache. */
async function warm({ instances }: Instances, accessToken: string): Promise<number[]> {
  const answers = await Promise.all(instances.map((instance) => call(instance, accessToken)))
  return answers.map(({ status }) => status)
}

/** Instances for the test, or the reason to skip it, which has been said. */
async function started(t: Test, options: InstancesOptions): Promise<Instances | undefined> {
  const stack = await startInstances(t, options)
  if (typeof stack !== 'string') return stack
  t.pass('instances', { skip: stack })
  return undefined
}

for (const kind of ['redis', 'postgres'] as const) {
  t.test(`three instances on ${kind}`, async (t) => {
    const store = await startSharedStore(t, kind)
    if (typeof store === 'string') return void t.pass(kind, { skip: store })

    await t.test(
      'authorize on A, callback on B, token on C, forward on A, with a real provider',
      async (t) => {
        const stack = await started(t, { store })
        if (!stack) return
        const app = new NativeApp(stack)
        stack.balancer.next(A, B, C, A)
        const tokens = await app.login()
        t.equal((await app.call(tokens.access_token)).status, 200)
        t.same(
          stack.instances.map((instance) => instance.events().map(({ event }) => event)),
          [[], [], ['session.activated']],
        )
        stack.balancer.next(B, C, A)
        const next = (await app.refresh(tokens.refresh_token)).json as unknown as Tokens
        t.equal((await app.call(next.access_token)).status, 200)
        t.equal((await app.revoke(next.refresh_token)).text, '{}')
        for (const instance of stack.instances) {
          await until(async () => (await call(instance, next.access_token)).status === 401)
        }
        t.equal(stack.tokenCalls(), 1)
        await until(() => stack.provider.calls.get('/token/revocation') === 1)
      },
    )

    await t.test('races', async (t) => {
      const stack = await started(t, { store, provider: 'stub' })
      if (!stack) return
      await races(t, stack)
      await revocations(t, stack)
      if (kind === 'redis') await keyRotation(t, stack)
    })
  })
}

async function races(t: Test, stack: Instances): Promise<void> {
  const app = new NativeApp(stack)
  const slow = () => {
    const { promise, resolve } = deferred()
    const { token } = stack.stub.behave
    stack.stub.behave.token = async (request, response) => {
      await promise
      return token(request, response)
    }
    return () => {
      stack.stub.behave.token = token
      resolve()
    }
  }

  await t.test('100 parallel redemptions of one code -> one 200, one provider call (C-15)', async (t) => {
    const attempt = await app.code()
    const letGo = slow()
    let refused = 0
    const answers = await parallel(100, async () => {
      const answer = await app.redeem(attempt)
      refused += 1
      if (refused === 99) letGo()
      return answer
    })
    t.same(tally(answers), { 200: 1, 400: 99 })
    t.equal(new Set(answers.filter(({ status }) => status === 400).map(({ json }) => json.error)).size, 1)
    t.equal(stack.tokenCalls(), 1)
    const { access_token } = answers.find(({ status }) => status === 200)!.json as unknown as Tokens
    t.same(await warm(stack, access_token), [200, 200, 200])
    const duplicates = stack.instances.map((instance) => instance.events())
    t.ok(
      duplicates.every((events) => events.some(({ event }) => event === 'code.duplicate')),
      'on each of them',
    )
  })

  await t.test(
    '50 parallel refreshes near the provider token’s end -> one call, one successor (D-06)',
    async (t) => {
      stack.setProviderLife(2)
      const { refresh_token } = await app.login()
      await sleep(1100)
      stack.setProviderLife(3600)
      const before = stack.tokenCalls()
      const letGo = slow()
      setTimeout(letGo, 300)
      const busy: string[] = []
      const answers = await parallel(50, async () => {
        for (;;) {
          const answer = await app.refresh(refresh_token)
          if (answer.status !== 503) return answer
          // A machine that is too busy to answer in time says so, and the app tries again.
          busy.push(answer.text)
        }
      })
      if (busy.length > 0) t.comment(`${busy.length} answers of 503, e.g. ${busy[0]}`)
      t.same(tally(answers), { 200: 50 })
      t.equal(new Set(answers.map(({ json }) => json.refresh_token)).size, 1)
      t.equal(new Set(answers.map(({ json }) => json.access_token)).size, 1)
      t.equal(stack.tokenCalls() - before, 1)
      t.same(await warm(stack, String(answers[0]!.json.access_token)), [200, 200, 200])
    },
  )

  await t.test(
    '100 forwards at the provider token’s end -> 401 for each, the provider is not asked (D-17)',
    async (t) => {
      stack.setProviderLife(2)
      const { access_token, expires_in } = await app.login()
      stack.setProviderLife(3600)
      t.ok(expires_in <= 2)
      t.same(await warm(stack, access_token), [200, 200, 200])
      const [tokenCalls, forwarded] = [stack.tokenCalls(), stack.api.requests]
      await sleep(2100)
      const answers = await parallel(100, () => app.call(access_token))
      t.same(tally(answers), { 401: 100 })
      for (const { headers } of answers) {
        if (!headers.get('www-authenticate')?.includes('error="invalid_token"')) t.fail('no invalid_token')
      }
      t.equal(stack.tokenCalls(), tokenCalls)
      t.equal(stack.api.requests, forwarded)
    },
  )
}

async function revocations(t: Test, stack: Instances): Promise<void> {
  await t.test('revoked on A -> refused by B and C from the notification on (E-02)', async (t) => {
    const lag = await measureRevocationLag(stack, 30)
    t.comment(`lag over 30: median ${lag.medianMs} ms, p99 ${lag.p99Ms} ms, max ${lag.maxMs} ms`)
    t.ok(lag.maxMs < 1000, 'far below the age at which a cached session is looked at again')
  })
}

/** Its sessions outlive a change of the server secret: first known to all, then used by all, then the old one goes. */
async function keyRotation(t: Test, stack: Instances): Promise<void> {
  await t.test('a rolling change of the server secret keeps every session (G-05)', async (t) => {
    const app = new NativeApp(stack)
    const [old] = stack.secrets
    const fresh = randomBytes(32).toString('base64url')
    const rolling = stack.instances.slice(0, 2)
    stack.balancer.use(A, B)
    await stack.instances[C]!.end()
    const quiet = await app.login()
    let active = await app.login()
    for (const secrets of [
      [old!, fresh],
      [fresh, old!],
    ]) {
      for (const instance of rolling) {
        await instance.end()
        await instance.start((config) => ({ ...config, secrets }))
        // Whatever the one seals, the other opens, in the middle of the roll too.
        const login = await app.login()
        active = (await app.refresh(active.refresh_token)).json as unknown as Tokens
        for (const { access_token } of [quiet, active, login]) {
          t.same(
            (await Promise.all(rolling.map((one) => call(one, access_token)))).map(({ status }) => status),
            [200, 200],
          )
        }
      }
    }
    const [last] = rolling as [Instance]
    await last.end()
    await last.start((config) => ({ ...config, secrets: [fresh] }))
    t.equal((await call(last, active.access_token)).status, 200, 'resealed by its refresh')
    t.equal((await call(last, quiet.access_token)).status, 401, 'sealed with a secret that is gone')
  })
}
