import { Redis } from 'ioredis'
import t from 'tap'
import { createRedisClient } from '../../../../plugin/stores/redis/client.ts'
import { crc16 } from '../../../../plugin/stores/redis/names.ts'
import { redisStore } from '../../../../plugin/stores/redis/store.ts'
import { noRedis, startRelay } from '../../../support/redis-server.ts'
import {
  eventually,
  failures,
  longMs,
  notes,
  open,
  promptMs,
  redisUrl,
  serverFor,
  sleep,
} from '../../../support/redis-store.ts'

t.test('the Redis store, on real servers', { skip: noRedis }, async (t) => {
  t.jobs = 4

  t.test('on one server', { buffered: true }, async (t) => {
    const server = await serverFor(t)
    const admin = new Redis(server.port, '127.0.0.1')
    t.teardown(() => admin.disconnect())
    const connect = () => createRedisClient({ url: server.url })

    t.test('the other instance is notified before it can read the new version (G-17)', async (t) => {
      const [here, there] = [open(t, connect()), open(t, connect())]
      const { told, watcher } = notes()
      await there.watch(watcher)
      await here.create('ordered', 'v', longMs)
      let late = 0
      for (let version = 1; version <= 200; version++) {
        await here.replace('ordered', version, 'v', longMs)
        await there.read('ordered')
        if (told.filter((what) => what === 'change ordered').length < version) late++
      }
      t.equal(late, 0)
    })

    t.test('scripts that the server has forgotten are sent again (SCRIPT FLUSH)', async (t) => {
      const store = open(t, connect())
      await store.create('flushed', 'v', longMs)
      await admin.script('FLUSH')
      t.ok(await store.replace('flushed', 1, 'w', longMs))
      await admin.script('FLUSH')
      t.same(await store.read('flushed'), { value: 'w', version: 2 })
    })

    t.test(
      'a write that the client sends again after its answer was lost is done once, and told so (G-11)',
      async (t) => {
        const relay = await startRelay(server.port)
        t.teardown(() => relay.stop())
        const resending = open(t, new Redis(relay.port, '127.0.0.1', { retryStrategy: () => 10 }))
        const { told, watcher } = notes()
        const other = open(t, connect())
        await other.watch(watcher)
        // The server knows the scripts, so that it is a result that is lost, and not its "NOSCRIPT".
        await other.create('known', 'v', longMs)
        await other.replace('known', 1, 'w', longMs)
        await other.reserve('known', longMs)
        await resending.check()

        relay.loseNextAnswer()
        t.equal(await resending.create('resent', 'v', longMs), true)
        relay.loseNextAnswer()
        t.equal(await resending.replace('resent', 1, 'w', longMs), true)
        relay.loseNextAnswer()
        t.equal(await resending.reserve('resent', longMs), true)
        t.same(await other.read('resent'), { value: 'w', version: 2 })
        t.equal(await other.replace('resent', 1, 'x', longMs), false)
        t.equal(told.filter((what) => what === 'change resent').length, 1)
      },
    )

    t.test(
      'our own client sends nothing twice: a lost answer is an unknown outcome, a StoreError (G-11)',
      async (t) => {
        const relay = await startRelay(server.port)
        t.teardown(() => relay.stop())
        const store = open(t, createRedisClient({ url: redisUrl(relay.port) }))
        await store.check()
        relay.loseNextAnswer()
        await t.rejects(store.create('unknown', 'v', longMs), { name: 'StoreError', statusCode: 503 })
        t.same(await eventually(() => store.read('unknown')), { value: 'v', version: 1 })
      },
    )

    t.test('what another program wrote is absent or a StoreError, never a record (G-15)', async (t) => {
      const store = open(t, connect())
      const name = (key: string) => `pkce:{${crc16(key) % 256}}:record:${key}`
      await admin.set(name('text'), 'text', 'PX', longMs)
      await t.rejects(store.read('text'), { name: 'StoreError', message: /another kind \(WRONGTYPE\)/ })
      await t.rejects(store.create('text', 'v', longMs), { name: 'StoreError' })
      await t.rejects(store.replace('text', 1, 'v', longMs), { name: 'StoreError' })
      await admin.hset(name('half'), 'version', '1')
      await admin.hset(name('odd'), 'version', 'one', 'value', 'v')
      await admin.hset(name('none'), 'value', 'v')
      for (const key of ['half', 'odd', 'none']) t.equal(await store.read(key), null)
      await admin.set('pkce:index:text', 'text', 'PX', longMs)
      await t.rejects(store.readIndex('text'), { name: 'StoreError' })
    })

    t.test('everything expires by itself: no key without a time to live (G-06)', async (t) => {
      const store = open(t, connect(), 'expiring:')
      await store.create('a', 'v', longMs)
      await store.create('b', 'v', longMs)
      await store.replace('b', 1, 'w', 1500)
      await store.reserve('c', longMs)
      await store.addToIndex(['d'], 'one', 1500)
      await store.addToIndex(['d'], 'two', longMs)
      await store.addToIndex(['e'], 'one', 1500)
      await store.check()
      const keys = await admin.keys('expiring:*')
      t.equal(keys.length, 5, 'and the check leaves nothing')
      for (const key of keys) t.ok((await admin.pttl(key)) > 0, `${key} expires`)
      await sleep(1550)
      t.same((await admin.keys('expiring:*d')).length, 1)
      await store.addToIndex(['d'], 'three', longMs)
      t.equal(
        await admin.zcard('expiring:index:d'),
        2,
        'members that have left are trimmed by the next addition',
      )
      t.equal(await admin.exists('expiring:index:e'), 0)
    })

    t.test('several indexes are one round trip', async (t) => {
      const relay = await startRelay(server.port)
      t.teardown(() => relay.stop())
      const store = open(t, createRedisClient({ url: redisUrl(relay.port) }))
      await store.addToIndex(['warm'], 'member', longMs)
      const before = relay.turns()
      await store.addToIndex(['one', 'two', 'three'], 'member', longMs)
      t.equal(relay.turns() - before, 1)
    })

    t.test(
      'close: the subscription ends, nothing is left on the client, and the client goes on',
      async (t) => {
        const client = createRedisClient({ url: server.url })
        t.teardown(() => client.disconnect())
        await client.connect()
        const listeners = () => client.eventNames().map((name) => [name, client.listenerCount(name)])
        const before = listeners()
        const store = redisStore({ client })
        await store.watch(notes().watcher)
        const clientsOpen = () =>
          admin.client('LIST').then((list) => String(list).match(/sub=[1-9]/g)?.length ?? 0)
        const during = await clientsOpen()
        await store.close()
        await eventually(async () => {
          if ((await clientsOpen()) !== during - 1) throw new Error('the subscription is still there')
        })
        t.same(listeners(), before)
        t.equal(await client.ping(), 'PONG')
      },
    )

    t.test('the last watcher to leave ends the subscription; the next one opens it again', async (t) => {
      const store = open(t, connect())
      const [first, second] = [notes(), notes()]
      const unwatch = await store.watch(first.watcher)
      unwatch()
      await store.watch(second.watcher)
      await store.create('again', 'v', longMs)
      await store.replace('again', 1, 'w', longMs)
      await second.until('change again')
      t.same(first.told, ['resume'])
    })

    t.test('the first watch waits for a slow server, five seconds and not for ever (Q-08)', async (t) => {
      const relay = await startRelay(server.port)
      t.teardown(() => relay.stop())
      const opened = async () => {
        const store = open(t, createRedisClient({ url: redisUrl(relay.port) }))
        await store.check()
        return store
      }
      relay.deafen('hole')
      const { name, error, afterMs } = (
        await failures({ watch: async () => (await opened()).watch(notes().watcher) })
      )[0]!
      t.match({ name, error }, { name: 'watch', error: { name: 'StoreError', statusCode: 503 } })
      t.ok(afterMs > 4500 && afterMs < 5000 + promptMs, `${Math.round(afterMs)} ms`)

      const { watcher, until } = notes()
      const watching = (await opened()).watch(watcher)
      setTimeout(relay.heal, 1500)
      await watching
      await until('resume')
    })

    t.test('two instances of other prefixes do not meet (G-14)', async (t) => {
      const [one, two] = [open(t, connect(), 'one:'), open(t, connect(), 'two:')]
      t.ok(await one.create('same', '1', longMs))
      t.ok(await two.create('same', '2', longMs))
      t.equal((await one.read('same'))?.value, '1')
    })
  })
})

t.test('options that cannot be used are refused', async (t) => {
  const client = createRedisClient({ url: 'redis://127.0.0.1:1' })
  t.teardown(() => client.disconnect())
  for (const prefix of ['a{b}', 'a b', 'ä', 'x'.repeat(65)])
    t.throws(() => redisStore({ client, prefix }), RangeError)
  for (const commandTimeoutMs of [0, -1, 1.5, Number.NaN]) {
    t.throws(() => redisStore({ client, commandTimeoutMs }), RangeError)
  }
})
