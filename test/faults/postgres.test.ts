import pg from 'pg'
import t from 'tap'
import { startFaultStack } from '../support/fault-stack.ts'
import { startSharedStore } from '../support/shared-store.ts'
import { storeIsLost } from './outage.ts'
import { faultEachStep } from './steps.ts'

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

t.test('PostgreSQL', async (t) => {
  const store = await startSharedStore(t, 'postgres')
  if (typeof store === 'string') {
    t.skip(store, () => {})
    return
  }
  const server = store.postgres

  await t.test('lost at each step from authorize to forward', (t) => faultEachStep(t, store))

  await t.test('every connection cut: 503 at every door, and recovery (G-08)', (t) =>
    storeIsLost(t, store, ({ proxy }) => proxy.cut()),
  )

  await t.test('a black hole: 503 within a second at every door, and recovery (G-11, G-17)', (t) =>
    storeIsLost(t, store, ({ proxy }) => proxy.blackHole(), { silently: true }),
  )

  await t.test('a backend terminated in the middle of a swap: nothing was written (G-08)', async (t) => {
    const stack = await startFaultStack(t, store)
    const { native } = stack
    const [holder, admin] = [new pg.Client(server.url()), new pg.Client(server.url())]
    await Promise.all([holder.connect(), admin.connect()])
    t.teardown(() => Promise.all([holder.end(), admin.end()]))
    /** Holds the rows, so that a swap waits; ends the backend that waits as soon as there is one. */
    async function terminated<T>(swap: () => Promise<T>): Promise<T> {
      await holder.query('BEGIN; SELECT 1 FROM pkce.records FOR UPDATE')
      const swapping = swap()
      for (let ended = 0; ended === 0; ) {
        const { rowCount } = await admin.query(
          `SELECT pg_terminate_backend(pid) FROM pg_stat_activity
           WHERE wait_event_type = 'Lock' AND query LIKE '%UPDATE%pg_notify%'`,
        )
        ended = rowCount ?? 0
        if (ended === 0) await pause(5)
      }
      const answer = await swapping
      await holder.query('ROLLBACK')
      return answer
    }

    const code = await stack.code()
    stack.counts()
    t.equal((await terminated(() => native.redeem(code))).status, 503, 'the swap to redeeming')
    t.same(stack.counts(), { token: 0, revoke: 0, api: 0 }, 'the provider was not asked')
    const redeemed = await native.redeem(code)
    t.equal(redeemed.status, 200, 'the code is as good as it was')
    const { access_token, refresh_token } = redeemed.json as Record<string, string>
    t.equal((await terminated(() => native.refresh(refresh_token ?? ''))).status, 503, 'the rotation')
    t.equal((await native.refresh(refresh_token ?? '')).status, 200)
    t.equal((await terminated(() => native.revoke(refresh_token ?? ''))).status, 503, 'the end')
    t.equal((await native.call(access_token)).status, 200, 'it has not ended')
    t.equal((await native.revoke(refresh_token ?? '')).status, 200)
    t.equal((await native.call(access_token)).status, 401)
  })

  await t.test('restarted: every session is still there (G-12)', async (t) => {
    const stack = await startFaultStack(t, store)
    const { native } = stack
    const returned = await stack.atProvider()
    const code = await stack.code()
    const { access_token, refresh_token } = await native.login()
    await server.restart()
    await stack.recover()
    t.equal((await native.call(access_token)).status, 200)
    t.equal((await native.refresh(refresh_token)).status, 200)
    t.equal((await native.redeem(code)).status, 200)
    t.equal((await stack.callback(returned)).status, 302)
  })
})
