/**
 * A managed failover: one name, a primary that becomes a replica and keeps its connections. The clients answered
 * READONLY for ever, and the channel still stood, on a server to which nobody wrote any more.
 */
import { once } from 'node:events'
import { createServer } from 'node:net'
import { Redis } from 'ioredis'
import t from 'tap'
import { checkRedis } from '../../../../plugin/stores/redis/check.ts'
import { createRedisClient } from '../../../../plugin/stores/redis/client.ts'
import { describeFailure, isElsewhere } from '../../../../plugin/stores/redis/failure.ts'
import type { RedisClient } from '../../../../plugin/stores/redis/store.ts'
import { noRedis, startManagedRedis, startRedis, startRelay } from '../../../support/redis-server.ts'
import { eventually, longMs, notes, open, redisUrl, serverFor, sleep } from '../../../support/redis-store.ts'

t.test('the Redis store behind a name that moves', { skip: noRedis }, async (t) => {
  t.jobs = 4

  for (const [kind, connect] of Object.entries({
    'our own client': (port: number) => createRedisClient({ url: redisUrl(port) }),
    "an app's client with ioredis' defaults": (port: number): RedisClient => new Redis(port, '127.0.0.1'),
  })) {
    t.test(
      `${kind}: writes, reads and the channel follow to the new primary (Q-08)`,
      { buffered: true },
      async (t) => {
        const managed = await startManagedRedis(t)
        const [here, there] = [open(t, connect(managed.name.port)), open(t, connect(managed.name.port))]
        const { told, watcher, until } = notes()
        await there.watch(watcher)
        await here.create('kept', 'v', longMs)
        await managed.failOver()

        const startedAt = performance.now()
        t.ok(await eventually(() => here.replace('kept', 1, 'w', longMs)), 'nothing was lost')
        const tookMs = performance.now() - startedAt
        t.comment(`writes again after ${Math.round(tookMs)} ms`)
        t.ok(tookMs < 3000)
        await until('gap')
        await until('resume', 2)
        t.ok(await here.replace('kept', 2, 'x', longMs))
        await until('change kept')
        t.equal(
          (await there.read('kept'))?.value,
          'x',
          'an instance that only reads has followed, too: the beat of its channel was refused',
        )
        const admin = new Redis(managed.primaryPort(), '127.0.0.1')
        t.teardown(() => admin.disconnect())
        const clients = String(await admin.client('LIST'))
        t.equal(clients.match(/ cmd=(?!client|replconf|psync|replicaof|info)/g)?.length, 3, clients)
        t.same(
          told.filter((what) => !what.startsWith('change')),
          ['resume', 'gap', 'resume'],
        )
      },
    )
  }

  t.test(
    'a name that still leads to the replica is asked twice a second, not all the time (Q-08)',
    { buffered: true },
    async (t) => {
      const managed = await startManagedRedis(t)
      const store = open(t, createRedisClient({ url: managed.url }))
      await store.check()
      const old = managed.primaryPort()
      await managed.failOver()
      managed.name.moveTo(old)
      const admin = new Redis(old, '127.0.0.1')
      t.teardown(() => admin.disconnect())
      const connections = async () =>
        Number(/total_connections_received:(\d+)/.exec(await admin.info('stats'))?.[1])
      const before = await connections()
      const until = performance.now() + 2000
      while (performance.now() < until) {
        await t.rejects(store.create('key', 'v', longMs), { name: 'StoreError' })
        await sleep(50)
      }
      const made = (await connections()) - before
      t.ok(made >= 2 && made <= 6, `${made} connections in two seconds`)
    },
  )

  t.test('a start in the middle of a failover waits for its end (Q-08)', { buffered: true }, async (t) => {
    const managed = await startManagedRedis(t)
    const old = managed.primaryPort()
    await managed.failOver()
    managed.name.moveTo(old)
    const client = createRedisClient({ url: managed.url })
    t.teardown(() => client.disconnect())
    const checking = checkRedis(client)
    setTimeout(() => managed.name.moveTo(managed.primaryPort()), 1200)
    await checking
    t.ok(await open(t, client).create('key', 'v', longMs))
  })

  t.test(
    'a start waits five seconds for a server that comes, and no longer (Q-08)',
    { buffered: true },
    async (t) => {
      const gone = await serverFor(t)
      await gone.kill()
      const client = createRedisClient({ url: gone.url })
      t.teardown(() => client.disconnect())
      const checking = checkRedis(client)
      setTimeout(() => void gone.restart(), 2000)
      await checking

      const refusing = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
      await once(refusing, 'listening')
      t.teardown(() => refusing.close())
      const address = refusing.address()
      const nowhere = createRedisClient({
        url: redisUrl(typeof address === 'object' ? address?.port : undefined),
      })
      t.teardown(() => nowhere.disconnect())
      const startedAt = performance.now()
      await t.rejects(checkRedis(nowhere), { name: 'StoreError', operation: 'start' })
      const tookMs = performance.now() - startedAt
      t.ok(tookMs > 4500 && tookMs < 7000, `${Math.round(tookMs)} ms`)
    },
  )

  t.test(
    'a server that loads its data is left for whoever has taken its place (Q-08)',
    { buffered: true },
    async (t) => {
      const [first, second] = [await startRedis(), await startRedis()]
      t.teardown(() => Promise.all([first.stop(), second.stop()]))
      const name = await startRelay(first.port)
      t.teardown(() => name.stop())
      // A replica without its master, which is not to serve stale data: MASTERDOWN on the connections that it has.
      const admin = new Redis(first.port, '127.0.0.1')
      t.teardown(() => admin.disconnect())
      const store = open(t, createRedisClient({ url: redisUrl(name.port) }))
      await store.check()
      name.moveTo(second.port)
      await admin.config('SET', 'replica-serve-stale-data', 'no')
      await admin.replicaof('127.0.0.1', 1)
      await t.rejects(store.read('key'), {
        message: /a read replica that has lost its master \(MASTERDOWN\)/,
      })
      t.equal(await eventually(() => store.read('key')), null)
    },
  )
})

t.test('what sends a client away, in the words of each version (Q-08)', async (t) => {
  for (const message of [
    "READONLY You can't write against a read only replica. script: 8f, on @user_script:3.",
    "ERR Error running script (call to f_8f): @user_script:3: @user_script: 3: -READONLY You can't write against a read only replica.",
    'LOADING Redis is loading the dataset in memory',
    "MASTERDOWN Link with MASTER is down and replica-serve-stale-data is set to 'no'.",
  ]) {
    t.ok(isElsewhere(new Error(message)), message)
    t.match(describeFailure(new Error(message)), /\((READONLY|LOADING|MASTERDOWN)\)$/)
  }
  for (const message of [
    "OOM command not allowed when used memory > 'maxmemory'.",
    'NOREPLICAS Not enough good replicas to write.',
    'WRONGPASS',
  ])
    t.notOk(isElsewhere(new Error(message)), message)
})
