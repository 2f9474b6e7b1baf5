import { Redis } from 'ioredis'
import t from 'tap'
import { createRedisClient } from '../../../../plugin/stores/redis/client.ts'
import type { RedisClient } from '../../../../plugin/stores/redis/store.ts'
import { StoreError } from '../../../../plugin/stores/store.ts'
import { noRedis } from '../../../support/redis-server.ts'
import {
  calls,
  eventually,
  failures,
  longMs,
  notes,
  open,
  promptMs,
  redisUrl,
  serverFor,
} from '../../../support/redis-store.ts'

t.test('the Redis store, on real servers', { skip: noRedis }, async (t) => {
  t.jobs = 4

  for (const [kind, connect] of Object.entries({
    'our own client': (port: number) => createRedisClient({ url: redisUrl(port) }),
    "an app's client with ioredis' defaults": (port: number): RedisClient => new Redis(port, '127.0.0.1'),
  })) {
    t.test(
      `${kind}, black hole: every call fails within 1 s, a gap within 2 s, and all heals (G-08, G-11, G-17)`,
      { buffered: true },
      async (t) => {
        const server = await serverFor(t)
        t.teardown(() => server.resume())
        const store = open(t, connect(server.port))
        const { told, watcher, until } = notes()
        await store.watch(watcher)
        await store.create('grant', 'v', longMs)

        server.pause()
        const gap = until('gap', 1, 2 * promptMs)
        for (const { name, error, afterMs } of await failures(calls(store, 'grant'))) {
          if (name === 'watch' && error === undefined) continue // the channel still stood: a gap will follow
          t.ok(error instanceof StoreError, `${name} throws StoreError`)
          t.ok(afterMs < promptMs, `${name} failed after ${Math.round(afterMs)} ms`)
        }
        await gap
        for (const { name, error, afterMs } of await failures(calls(store, 'grant'))) {
          t.ok(error instanceof StoreError, `${name} throws StoreError, in the middle of the outage`)
          t.ok(afterMs < promptMs, `${name} failed after ${Math.round(afterMs)} ms`)
        }

        server.resume()
        await until('resume', 2)
        const record = await eventually(async () => {
          const found = await store.read('grant')
          if (found === null) throw new Error('absent')
          return found
        })
        t.ok(await store.replace('grant', record.version, 'healed', longMs))
        await until('change grant')
        t.same(
          told.filter((what) => !what.startsWith('change')),
          ['resume', 'gap', 'resume'],
        )
      },
    )
  }

  t.test('emptied (FLUSHALL): a gap, as nobody notifies of that (G-17)', { buffered: true }, async (t) => {
    const server = await serverFor(t)
    const client = createRedisClient({ url: server.url })
    const store = open(t, client)
    const { watcher, until } = notes()
    await store.watch(watcher)
    await store.create('grant', 'v', longMs)
    await until('resume')
    // The record, and what the second beat has left.
    await eventually(async () => {
      if ((await (client as Redis).dbsize()) < 2) throw new Error('no mark')
    })
    await (client as Redis).flushall()
    t.ok((await until('gap')) < promptMs)
    await until('resume', 2)
    t.equal(await store.read('grant'), null)
  })

  t.test(
    'killed and restarted empty: a gap, then absent records, and on (G-08)',
    { buffered: true },
    async (t) => {
      const server = await serverFor(t)
      const store = open(t, createRedisClient({ url: server.url }))
      const { watcher, until } = notes()
      await store.watch(watcher)
      await store.create('grant', 'v', longMs)
      await server.kill()
      t.ok((await until('gap')) < 1400, 'a closed connection is a gap before any beat is missed')
      for (const { name, error, afterMs } of await failures(calls(store, 'grant'))) {
        t.ok(error instanceof StoreError, `${name} throws StoreError`)
        t.ok(afterMs < promptMs, `${name} failed after ${Math.round(afterMs)} ms`)
      }
      await server.restart()
      await until('resume', 2)
      t.equal(await eventually(() => store.read('grant')), null)
      t.ok(await store.create('grant', 'new', longMs))
      t.ok(await store.replace('grant', 1, 'newer', longMs))
      await until('change grant')
    },
  )
})
