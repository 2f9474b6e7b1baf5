import { randomBytes } from 'node:crypto'
import { Redis } from 'ioredis'
import t from 'tap'
import { startFaultStack } from '../support/fault-stack.ts'
import { startGatewayStack } from '../support/gateway-stack.ts'
import { NativeApp } from '../support/native-app.ts'
import { noRedis, startRedis, startSentinel } from '../support/redis-server.ts'
import { startSharedStore } from '../support/shared-store.ts'
import { until } from '../support/wait.ts'
import { storeIsLost } from './outage.ts'
import { faultEachStep } from './steps.ts'

const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** Tries again while it throws. */
async function eventually<T>(attempt: () => Promise<T>, withinMs = 20_000): Promise<T> {
  const deadline = performance.now() + withinMs
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > deadline) throw error
      await pause(50)
    }
  }
}

t.test('Redis', { skip: noRedis }, async (t) => {
  const store = await startSharedStore(t, 'redis')
  if (typeof store === 'string') throw new Error(store)
  const [server] = store.redis

  await t.test('lost at each step from authorize to forward', (t) => faultEachStep(t, store))

  await t.test('every connection cut: 503 at every door, and recovery (G-08)', (t) =>
    storeIsLost(t, store, ({ proxy }) => proxy.cut()),
  )

  await t.test('a black hole: 503 within a second at every door, and recovery (G-11, G-17)', (t) =>
    storeIsLost(t, store, ({ proxy }) => proxy.blackHole(), { silently: true }),
  )

  await t.test(
    'killed and restarted empty: what was there is refused, and new logins work (G-08)',
    async (t) => {
      const stack = await startFaultStack(t, store)
      const { native } = stack
      const returned = await stack.atProvider()
      const code = await stack.code()
      const [cold, warm] = [await native.login(), await native.login()]
      t.equal((await native.call(warm.access_token)).status, 200)
      stack.counts()

      await server?.kill()
      // Once the end of the connection has been heard, nothing comes from the cache.
      await until(async () => (await native.call(warm.access_token)).status === 503)
      stack.counts()
      t.equal((await native.redeem(code)).status, 503)
      await server?.restart()
      await stack.recover()
      t.same(stack.counts(), { token: 0, revoke: 0, api: 0 })

      t.equal((await stack.callback(returned)).status, 400, 'a login under way starts again')
      t.match((await native.redeem(code)).json, { error: 'invalid_grant' })
      for (const { access_token, refresh_token } of [cold, warm]) {
        const forwarded = await native.call(access_token)
        t.equal(forwarded.status, 401)
        t.match(forwarded.headers.get('www-authenticate'), /error="invalid_token"/)
        t.match((await native.refresh(refresh_token)).json, { error: 'invalid_grant' })
        t.equal((await native.revoke(refresh_token)).status, 200, 'RFC 7009 §2.2')
      }
      t.same(stack.counts(), { token: 0, revoke: 0, api: 0 }, 'nothing was let through')

      const { access_token } = await native.login()
      t.equal((await native.call(access_token)).status, 200)
    },
  )
})

t.test('a Sentinel failover to a replica that lags behind (G-09)', { skip: noRedis }, async (t) => {
  const master = await startRedis()
  t.teardown(() => master.stop())
  const replica = await startRedis([
    '--replicaof',
    '127.0.0.1',
    `${master.port}`,
    '--repl-diskless-sync-delay',
    '0',
  ])
  t.teardown(() => replica.stop())
  const sentinel = await startSentinel(master.port)
  t.teardown(() => sentinel.stop())
  const [onMaster, onReplica, observer] = [master, replica, sentinel].map(
    ({ port }) => new Redis(port, '127.0.0.1', { retryStrategy: () => 100 }),
  ) as [Redis, Redis, Redis]
  for (const client of [onMaster, onReplica, observer]) {
    client.on('error', () => {})
    t.teardown(() => client.disconnect())
  }
  await eventually(async () => {
    const link = await onReplica.info('replication')
    if (!link.includes('master_link_status:up')) throw new Error('the replica has no link yet')
    const known = await observer.call('SENTINEL', 'replicas', 'main')
    if (!String(known).includes(`${replica.port}`)) throw new Error('Sentinel does not know it yet')
  })
  const stack = await startGatewayStack(t, (config) => ({
    ...config,
    secrets: [randomBytes(32).toString('base64url')],
    store: { type: 'redis', url: `redis+sentinel://127.0.0.1:${sentinel.port}/main` },
  }))
  const app = new NativeApp(stack)
  const [code, other] = [await app.code(), await app.code()]
  t.equal(await onMaster.wait(1, 5000), 1, 'the replica has both authorizations')

  // The replica cannot log in at its master any more, and stays where it is.
  await onReplica.config('SET', 'masterauth', 'wrong')
  await onReplica.call('CLIENT', 'KILL', 'TYPE', 'master')

  await onMaster.config('SET', 'min-replicas-to-write', '1')
  await eventually(async () => {
    if (!(await onMaster.info('replication')).includes('min_slaves_good_slaves:0')) throw new Error('linked')
  })
  t.equal(
    (await app.redeem(other)).status,
    503,
    'with min-replicas-to-write nothing can be written, and so lost',
  )
  t.equal(stack.provider.calls.get('/token'), undefined, 'the provider was not asked')
  await onMaster.config('SET', 'min-replicas-to-write', '0')

  const first = await app.redeem(code)
  t.equal(first.status, 200, 'redeemed on the master, which nobody follows')
  const { access_token } = first.json as { access_token: string }
  t.equal((await app.call(access_token)).status, 200)
  await master.kill()
  t.equal((await app.call(access_token)).status, 503)
  await eventually(async () => {
    const { store } = await stack.app.pkce.readiness()
    if (store !== null) throw new Error(store)
  })
  t.match(await onReplica.info('replication'), /role:master/)

  const forwarded = stack.api.requests
  t.equal((await app.call(access_token)).status, 401, 'the new master knows nothing of the session')
  t.equal(stack.api.requests, forwarded)
  const exchanges = stack.provider.calls.get('/token') ?? 0
  const replayed = await app.redeem(code)
  t.equal(replayed.status, 400, 'our code has risen again, and the provider remembers its own')
  t.match(replayed.json, { error: 'invalid_grant' })
  t.equal(stack.provider.calls.get('/token'), exchanges + 1)
  t.same(await stack.app.pkce.sessionsOf('alice'), [], 'no second session')
  t.match((await app.redeem(code)).json, { error: 'invalid_grant' }, 'and now it is used here as well')
  t.equal(stack.provider.calls.get('/token'), exchanges + 1)

  t.equal((await app.redeem(other)).status, 200, 'what was refused before is as good as it was')
  const next = await app.login()
  t.equal((await app.call(next.access_token)).status, 200, 'all is well again, without a restart')
})
