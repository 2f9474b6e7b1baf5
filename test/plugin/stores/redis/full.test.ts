/** A Redis that has reached maxmemory under `noeviction`: what can still be done, and that an end is an end. */
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { createRedisClient } from '../../../../plugin/stores/redis/client.ts'
import { noRedis, startCluster } from '../../../support/redis-server.ts'
import { longMs, notes, open, serverFor } from '../../../support/redis-store.ts'

const full = { name: 'StoreError', message: /the server has reached its memory limit \(OOM\)/ }

async function fullServer(t: Test) {
  const server = await serverFor(t, ['--maxmemory-policy', 'noeviction'])
  const admin = new Redis(server.port, '127.0.0.1')
  t.teardown(() => admin.disconnect())
  return { url: server.url, fill: () => admin.config('SET', 'maxmemory', '1'), admin }
}

t.test('the Redis store, when Redis is full', { skip: noRedis }, async (t) => {
  t.jobs = 4

  t.test(
    'a record that does not grow is replaced, and its watchers hear of it (Q-06)',
    { buffered: true },
    async (t) => {
      const { url, fill, admin } = await fullServer(t)
      const [here, there] = [open(t, createRedisClient({ url })), open(t, createRedisClient({ url }))]
      const { watcher, until, told } = notes()
      await there.watch(watcher)
      await here.create('grant', 'active and long', longMs)
      await fill()

      t.ok(await here.replace('grant', 1, 'ended', longMs))
      await until('change grant')
      t.same(
        await there.read('grant'),
        { value: 'ended', version: 2 },
        'it has not come back, nor is it gone',
      )
      t.ok(
        (await admin.pttl((await admin.keys('*grant'))[0]!)) > longMs / 2,
        'and it is kept as long as it was to be',
      )
      t.notOk(await here.replace('grant', 1, 'active', longMs), 'a late writer has lost')
      t.ok(await here.replace('grant', 2, 'other', longMs), 'as large is not larger')
      await t.rejects(here.replace('grant', 3, 'larger', longMs), full)
      t.same(
        await there.read('grant'),
        { value: 'other', version: 3 },
        'what was refused has changed nothing',
      )
      t.notOk(told.includes('gap'), 'the channel stands')
    },
  )

  t.test('of parallel ends one wins (Q-06, G-07)', { buffered: true }, async (t) => {
    const { url, fill } = await fullServer(t)
    const store = open(t, createRedisClient({ url }))
    await store.create('grant', 'active', longMs)
    await fill()
    const ends = await Promise.all(
      Array.from({ length: 50 }, () => store.replace('grant', 1, 'ended', longMs)),
    )
    t.equal(ends.filter(Boolean).length, 1)
  })

  t.test(
    'whatever takes memory is refused, and the check says so; what reads or frees is not (Q-06)',
    { buffered: true },
    async (t) => {
      const { url, fill } = await fullServer(t)
      const store = open(t, createRedisClient({ url }))
      await store.addToIndex(['index'], 'member', longMs)
      await fill()
      await t.rejects(store.check(), full)
      await t.rejects(store.create('new', 'v', longMs), full)
      await t.rejects(store.reserve('once', longMs), full)
      t.equal(await store.read('new'), null)
      t.same(await store.readIndex('index'), ['member'])
      await store.removeFromIndex(['index'], 'member')
      t.same(await store.readIndex('index'), [])
      const { watcher, told } = notes()
      await store.watch(watcher)
      t.same(told, ['resume'], 'a start does not fail for it')
    },
  )

  t.test('on a Cluster, too (Q-06, G-10)', { buffered: true }, async (t) => {
    const cluster = await startCluster()
    t.teardown(() => cluster.stop())
    const hosts = cluster.servers.map(({ port }) => `127.0.0.1:${port}`).join(',')
    const store = open(t, createRedisClient({ url: `redis+cluster://${hosts}` }))
    await store.create('grant', 'active', longMs)
    for (const { port } of cluster.servers) {
      const admin = new Redis(port, '127.0.0.1')
      await admin.config('SET', 'maxmemory', '1')
      admin.disconnect()
    }
    await t.rejects(store.check(), full)
    t.ok(await store.replace('grant', 1, 'ended', longMs))
    t.same(await store.read('grant'), { value: 'ended', version: 2 })
  })
})
