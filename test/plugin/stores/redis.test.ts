import { once } from 'node:events'
import { createServer } from 'node:net'
import { inspect } from 'node:util'
import { Cluster, Redis } from 'ioredis'
import t, { type Test } from 'tap'
import { ServerClock } from '../../../plugin/stores/clock.ts'
import { storeContract } from '../../../plugin/stores/contract/index.ts'
import { checkRedis } from '../../../plugin/stores/redis/check.ts'
import { createRedisClient } from '../../../plugin/stores/redis/client.ts'
import { crc16 } from '../../../plugin/stores/redis/names.ts'
import { type RedisClient, redisStore } from '../../../plugin/stores/redis/store.ts'
import { parseRedisUrl } from '../../../plugin/stores/redis/url.ts'
import { type Store, StoreError, type StoreWatcher } from '../../../plugin/stores/store.ts'
import { noRedis, startCluster, startRedis, startRelay, startSentinel } from '../../support/redis-server.ts'

const longMs = 60_000
/** A second, and as much again for a busy machine. */
const promptMs = 2000
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** A client and a store on it, closed with the test. */
function open(t: Test, client: RedisClient, prefix?: string): Store {
  const store = redisStore({ client, ...(prefix !== undefined && { prefix }) })
  t.teardown(async () => {
    await store.close()
    client.disconnect()
  })
  return store
}

async function serverFor(t: Test, args: string[] = []) {
  const server = await startRedis(args)
  t.teardown(() => server.stop())
  return server
}

/** Remembers what it was told, and when; `until` resolves as soon as the condition holds. */
function notes() {
  const told: string[] = []
  const looks = new Set<() => void>()
  const tell = (what: string) => {
    told.push(what)
    for (const look of looks) look()
  }
  const watcher: StoreWatcher = {
    onChange: (key) => tell(`change ${key}`),
    onGap: () => tell('gap'),
    onResume: () => tell('resume'),
  }
  const until = (what: string, times = 1, withinMs = 10_000) =>
    new Promise<number>((resolve, reject) => {
      const startedAt = performance.now()
      const timer = setTimeout(() => reject(new Error(`no ${what} within ${withinMs} ms`)), withinMs)
      const look = () => {
        if (told.filter((item) => item === what).length < times) return
        clearTimeout(timer)
        looks.delete(look)
        resolve(performance.now() - startedAt)
      }
      looks.add(look)
      look()
    })
  return { told, watcher, until }
}

/** Every call of a store, on a record of version 1. */
function calls(store: Store, key: string): Record<string, () => Promise<unknown>> {
  return {
    create: () => store.create(`${key}.new`, 'secret-value', longMs),
    read: () => store.read(key),
    replace: () => store.replace(key, 1, 'secret-value', longMs),
    reserve: () => store.reserve(`${key}.new`, longMs),
    addToIndex: () => store.addToIndex([key], 'secret-member', longMs),
    readIndex: () => store.readIndex(key),
    removeFromIndex: () => store.removeFromIndex([key], 'secret-member'),
    check: () => store.check(),
    watch: () => store.watch(notes().watcher),
  }
}

/** All at once; resolves to what each threw and after how long. */
async function failures(calls: Record<string, () => Promise<unknown>>) {
  const startedAt = performance.now()
  return Promise.all(
    Object.entries(calls).map(async ([name, call]) => {
      const error = await call().then(
        () => undefined,
        (thrown: unknown) => thrown,
      )
      return { name, error, afterMs: performance.now() - startedAt }
    }),
  )
}

async function eventually<T>(attempt: () => Promise<T>, withinMs = 10_000): Promise<T> {
  const deadline = performance.now() + withinMs
  for (;;) {
    try {
      return await attempt()
    } catch (error) {
      if (performance.now() > deadline) throw error
      await sleep(50)
    }
  }
}

/** The store contract: two instances, each with a client of its own. `relayed`: with an outage. */
function contract(t: Test, title: string, connect: (port?: number) => RedisClient, relayed?: number) {
  for (const { title: rule, run } of storeContract({
    async create() {
      const relay = relayed === undefined ? undefined : await startRelay(relayed)
      const clients = [connect(relay?.port), connect(relay?.port)] as const
      const [store, other] = clients.map((client) => redisStore({ client })) as [Store, Store]
      // Connected before the first short lifetime begins.
      await Promise.all([store.check(), other.check()])
      return {
        store,
        other,
        advance: sleep,
        ...(relay && {
          break: async () => relay.cut(),
          heal: async () => relay.heal(),
        }),
        async close() {
          await Promise.all([store.close(), other.close()])
          for (const client of clients) client.disconnect()
          await relay?.stop()
        },
      }
    },
  })) {
    t.test(`${title}, ${rule}`, { buffered: true }, run)
  }
}

const redisUrl = (port: number | undefined) => `redis://127.0.0.1:${port}`

t.test('the Redis store, on real servers', { skip: noRedis }, async (t) => {
  t.jobs = 4

  t.test(
    'the store contract on a single server (G-06, G-07, G-08, G-14, G-17)',
    { buffered: true },
    async (t) => {
      t.jobs = 4
      const server = await serverFor(t)
      contract(t, 'redisStore', (port) => createRedisClient({ url: redisUrl(port) }), server.port)
    },
  )

  t.test("the store contract on an app's own client, with unusual options", { buffered: true }, async (t) => {
    t.jobs = 4
    const server = await serverFor(t)
    const options = {
      keyPrefix: 'app:',
      protocol: 2 as const,
      stringNumbers: true,
      enableAutoPipelining: true,
      retryStrategy: () => 100,
    }
    contract(t, 'redisStore', (port = 0) => new Redis(port, '127.0.0.1', options), server.port)
  })

  t.test('the store contract on a Cluster of three masters (G-10)', { buffered: true }, async (t) => {
    t.jobs = 4
    const cluster = await startCluster()
    t.teardown(() => cluster.stop())
    const hosts = cluster.servers.map(({ port }) => `127.0.0.1:${port}`).join(',')
    contract(t, 'redisStore on a Cluster', () => createRedisClient({ url: `redis+cluster://${hosts}` }))
    contract(
      t,
      "redisStore on an app's own Cluster client",
      () =>
        new Cluster(
          cluster.servers.map(({ port }) => ({ host: '127.0.0.1', port })),
          { keyPrefix: 'app:' },
        ),
    )
  })

  t.test(
    'a Sentinel pair: the contract, then a failover that heals by itself (G-09)',
    { buffered: true },
    async (t) => {
      const master = await serverFor(t)
      const replica = await serverFor(t, [
        '--replicaof',
        '127.0.0.1',
        String(master.port),
        '--repl-diskless-sync-delay',
        '0',
      ])
      const sentinel = await startSentinel(master.port)
      t.teardown(() => sentinel.stop())
      const connect = () => createRedisClient({ url: `redis+sentinel://127.0.0.1:${sentinel.port}/main` })
      await t.test('contract', async (t) => {
        t.jobs = 4
        contract(t, 'redisStore by Sentinel', connect)
      })

      const [here, there] = [open(t, connect()), open(t, connect())]
      const { told, watcher, until } = notes()
      await there.watch(watcher)
      const direct = new Redis(replica.port, '127.0.0.1')
      t.teardown(() => direct.disconnect())
      await eventually(async () => {
        const linked = await direct.info('replication')
        if (!linked.includes('master_link_status:up')) throw new Error('the replica has no link yet')
      })
      const observer = new Redis(sentinel.port, '127.0.0.1')
      t.teardown(() => observer.disconnect())
      await eventually(async () => {
        const replicas = await observer.call('SENTINEL', 'replicas', 'main')
        if (!String(replicas).includes(String(replica.port)))
          throw new Error('Sentinel has not seen the replica yet')
      })
      await here.create('grant', 'before', longMs)
      const onMaster = new Redis(master.port, '127.0.0.1')
      await onMaster.set('last', '1')
      t.equal(await onMaster.wait(1, 5000), 1, 'the replica has everything')
      onMaster.disconnect()

      await master.kill()
      await until('gap')
      const [failure] = await failures({ read: () => here.read('grant') })
      t.ok(failure?.error instanceof StoreError, 'an outage is never "absent"')
      t.ok((failure?.afterMs ?? 9999) < promptMs)

      const record = await eventually(async () => {
        await here.check()
        return here.read('grant')
      }, 20_000)
      t.same(record, { value: 'before', version: 1 })
      await until('resume', 2)
      t.ok(await here.replace('grant', 1, 'after', longMs))
      await until('change grant')
      t.same(told, ['resume', 'gap', 'resume', 'change grant'])
      t.match(await direct.info('replication'), /role:master/, 'the replica is the master now')
    },
  )

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

  t.test(
    'Cluster: a master that hangs, a slot that moves (G-08, G-10, G-17)',
    { buffered: true },
    async (t) => {
      const cluster = await startCluster()
      t.teardown(() => cluster.stop())
      const hosts = cluster.servers.map(({ port }) => `127.0.0.1:${port}`).join(',')
      const url = `redis+cluster://${hosts}`
      const [here, there] = [open(t, createRedisClient({ url })), open(t, createRedisClient({ url }))]
      const { watcher, until } = notes()
      await there.watch(watcher)
      const keys = Array.from({ length: 30 }, (_, n) => `grant-${n}`)
      for (const key of keys) t.ok(await here.create(key, 'v', longMs))

      // The slot of one record's tag, with the record, to another master: as `redis-cli --cluster reshard` does.
      const moved = keys[0] ?? ''
      const slot = crc16(String(crc16(moved) % 256)) % 16_384
      const from = Math.floor(slot / Math.ceil(16_384 / 3))
      const to = (from + 1) % 3
      const nodes = cluster.servers.map(({ port }) => new Redis(port, '127.0.0.1'))
      t.teardown(() => {
        for (const node of nodes) node.disconnect()
      })
      const ids = await Promise.all(nodes.map(async (node) => String(await node.call('CLUSTER', 'MYID'))))
      const [source, target] = [nodes[from], nodes[to]]
      const [sourceId = '', targetId = ''] = [ids[from], ids[to]]
      await target?.call('CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', sourceId)
      await source?.call('CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', targetId)
      const held = (await source?.call('CLUSTER', 'GETKEYSINSLOT', String(slot), '1000')) as string[]
      const targetPort = String(cluster.servers[to]?.port)
      await source?.call('MIGRATE', '127.0.0.1', targetPort, '', '0', '1000', 'KEYS', ...held)
      t.equal((await here.read(moved))?.value, 'v', 'read where it has gone, while the slot is moving')
      for (const node of [target, source])
        await node?.call('CLUSTER', 'SETSLOT', String(slot), 'NODE', targetId)
      await until('gap')
      await until('resume', 2)
      t.ok(await here.replace(moved, 1, 'moved', longMs))
      await until(`change ${moved}`)

      const hanging = cluster.servers[from]
      t.teardown(() => hanging?.resume())
      hanging?.pause()
      const gap = until('gap', 2, 2 * promptMs)
      const reads = await failures(Object.fromEntries(keys.map((key) => [key, () => here.read(key)])))
      t.ok(
        reads.some(({ error }) => error instanceof StoreError),
        'the records of this master cannot be read',
      )
      t.ok(reads.every(({ error }) => error === undefined || error instanceof StoreError))
      t.ok(reads.every(({ afterMs }) => afterMs < promptMs))
      await gap
      hanging?.resume()
      await until('resume', 3, 20_000)
      for (const key of keys) {
        await eventually(async () => {
          const version = (await here.read(key))?.version ?? 0
          if (!(await here.replace(key, version, 'healed', longMs))) throw new Error('lost')
        })
      }
      await until(`change ${keys[29]}`)
    },
  )

  t.test('the rest, on one server', { buffered: true }, async (t) => {
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
      t.equal(keys.length, 6)
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

    t.test(
      'the first watch waits for a slow server, longer than a call does, and not for ever',
      async (t) => {
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
        t.ok(afterMs > 2500 && afterMs < 2 * promptMs, `${Math.round(afterMs)} ms`)

        const { watcher, until } = notes()
        const watching = (await opened()).watch(watcher)
        setTimeout(relay.heal, 1500)
        await watching
        await until('resume')
      },
    )

    t.test('two instances of other prefixes do not meet (G-14)', async (t) => {
      const [one, two] = [open(t, connect(), 'one:'), open(t, connect(), 'two:')]
      t.ok(await one.create('same', '1', longMs))
      t.ok(await two.create('same', '2', longMs))
      t.equal((await one.read('same'))?.value, '1')
    })
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

  t.test(
    'errors hold no address, credential, key or value, in any depth (J-01, G-16)',
    { buffered: true },
    async (t) => {
      const server = await serverFor(t, ['--requirepass', 'right-password'])
      const secrets = [
        'wrong-password',
        'right-password',
        '127.0.0.1',
        String(server.port),
        'secret-',
        'grant-key',
      ]
      const told: unknown[] = []
      for (const url of [
        `redis://:wrong-password@127.0.0.1:${server.port}`,
        `redis://user:wrong-password@127.0.0.1:${server.port}`,
        `redis://127.0.0.1:${server.port}`,
        'redis://:wrong-password@127.0.0.1:1',
        'redis://:wrong-password@host.invalid:6379',
        'redis+sentinel://:wrong-password@127.0.0.1:1/main',
        'redis+cluster://:wrong-password@host.invalid:6379',
        `redis+sentinel://:wrong-password@127.0.0.1:${server.port}/main`,
        `redis+cluster://:wrong-password@127.0.0.1:${server.port}`,
        `redis+cluster://:right-password@127.0.0.1:${server.port}`,
      ]) {
        const client = createRedisClient({ url })
        const store = open(t, client)
        const failed = await failures({ ...calls(store, 'grant-key'), start: () => checkRedis(client, 1000) })
        for (const { name, error } of failed) t.ok(error instanceof StoreError, `${name} throws StoreError`)
        told.push(...failed.map(({ error }) => error))
      }
      const full = open(t, new Redis(server.port, '127.0.0.1', { password: 'right-password' }))
      const admin = new Redis(server.port, '127.0.0.1', { password: 'right-password' })
      t.teardown(() => admin.disconnect())
      await admin.config('SET', 'maxmemory', '1')
      told.push(
        ...(await failures({ create: calls(full, 'grant-key').create ?? (async () => {}) })).map(
          ({ error }) => error,
        ),
      )
      const text = told
        .map((error) => inspect(error, { depth: 10, showHidden: true }).replace(/\n +at .*/g, ''))
        .join('\n')
      for (const secret of secrets) t.notOk(text.includes(secret), `no ${secret}`)
      t.match(text, /redis store: start: the user name or password is wrong \(WRONGPASS\)/)
      t.match(text, /redis store: start: the server requires a password \(NOAUTH\)/)
      t.match(text, /redis store: start: the connection was refused \(ECONNREFUSED\)/)
      t.match(text, /redis store: start: the host name is unknown|could not be resolved/)
      t.match(text, /redis store: start: no Sentinel answers, or none knows the master/)
      t.match(text, /redis store: start: the server is not a node of a Cluster/)
      t.match(text, /redis store: create: the server has reached its memory limit \(OOM\)/)
    },
  )

  t.test('checkRedis, at start (G-09)', { buffered: true }, async (t) => {
    const server = await serverFor(t, ['--maxmemory-policy', 'allkeys-lru'])
    const client = createRedisClient({ url: server.url })
    t.teardown(() => client.disconnect())
    const warnings = await checkRedis(client)
    t.match(warnings.join('\n'), /maxmemory-policy is not noeviction/)
    t.match(warnings.join('\n'), /appendonly is off/)

    const durable = await serverFor(t, ['--appendonly', 'yes', '--maxmemory-policy', 'noeviction'])
    const good = createRedisClient({ url: durable.url })
    const careless = new Redis(durable.port, '127.0.0.1')
    t.teardown(() => {
      good.disconnect()
      careless.disconnect()
    })
    t.same(await checkRedis(good), [])
    t.match(await checkRedis(careless), [/no socketTimeout/])

    await careless.call('ACL', 'SETUSER', 'limited', 'on', '>password', '~*', '&*', '+@all', '-info')
    // Without INFO, ioredis must be told not to ask for it either.
    const limited = new Redis(durable.port, '127.0.0.1', {
      username: 'limited',
      password: 'password',
      enableReadyCheck: false,
      socketTimeout: 1000,
    })
    t.teardown(() => limited.disconnect())
    t.match(await checkRedis(limited), [/INFO is not permitted/])

    const detecting = new Redis(durable.port, '127.0.0.1', { failoverDetector: true, socketTimeout: 1000 })
    t.teardown(() => detecting.disconnect())
    t.match(await checkRedis(detecting), [/failoverDetector/])

    const replica = await serverFor(t, ['--replicaof', '127.0.0.1', String(server.port)])
    const onReplica = createRedisClient({ url: replica.url })
    t.teardown(() => onReplica.disconnect())
    await t.rejects(checkRedis(onReplica), { name: 'StoreError', message: /is a read replica/ })
    await t.rejects(open(t, onReplica).check(), {
      name: 'StoreError',
      message: /is a read replica \(READONLY\)/,
    })

    const node = await serverFor(t, ['--cluster-enabled', 'yes'])
    const single = createRedisClient({ url: node.url })
    t.teardown(() => single.disconnect())
    await t.rejects(checkRedis(single), {
      name: 'StoreError',
      message: /node of a Cluster; use a Cluster client/,
    })
  })
})

t.test('checkRedis refuses a server older than 6.2 (G-09)', async (t) => {
  const info = 'redis_version:6.0.16\r\nrole:master\r\n'
  const old = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (data) => {
      for (const command of data.toString().match(/hello|info|client/gi) ?? []) {
        if (/hello/i.test(command)) socket.write('-ERR unknown command `HELLO`\r\n')
        else if (/info/i.test(command) && !/setinfo/i.test(data.toString()))
          socket.write(`$${info.length}\r\n${info}\r\n`)
        else if (/client/i.test(command)) socket.write('-ERR unknown subcommand\r\n')
      }
    })
  })
  old.listen(0, '127.0.0.1')
  await once(old, 'listening')
  t.teardown(() => old.close())
  const address = old.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const client = new Redis(port ?? 0, '127.0.0.1', { disableClientInfo: true, socketTimeout: 1000 })
  t.teardown(() => client.disconnect())
  await t.rejects(checkRedis(client), {
    name: 'StoreError',
    message: 'redis store: start: the server is Redis 6.0.16; 6.2 or newer is needed',
  })
})

t.test('the forms of a Redis URL; a wrong one is refused and not repeated (G-16)', async (t) => {
  t.match(parseRedisUrl('redis://127.0.0.1'), {
    kind: 'single',
    isTls: false,
    hosts: [{ host: '127.0.0.1', port: 6379 }],
  })
  t.match(parseRedisUrl('rediss://user:p%40ss%2F@cache.example.com:6380/2'), {
    kind: 'single',
    isTls: true,
    username: 'user',
    password: 'p@ss/',
    hosts: [{ host: 'cache.example.com', port: 6380 }],
    path: '2',
  })
  t.match(parseRedisUrl('redis+sentinel://:p@s1,[::1]:26380/main'), {
    kind: 'sentinel',
    username: '',
    password: 'p',
    hosts: [
      { host: 's1', port: 26_379 },
      { host: '::1', port: 26_380 },
    ],
    path: 'main',
  })
  t.match(parseRedisUrl('rediss+cluster://h1:1,h2:2'), {
    kind: 'cluster',
    isTls: true,
    hosts: [{ port: 1 }, { port: 2 }],
  })
  for (const wrong of [
    'http://:secret@host',
    'redis://:secret@host:99999',
    'redis://:secret@one,two',
    'redis://:secret@host/name',
    'redis://:sec@ret@host',
    'redis://:secret%zz@host',
    'redis+sentinel://:secret@host',
    'redis+cluster://:secret@host/3',
    'redis://:secret@',
    ' redis://:secret@host',
  ]) {
    t.throws(() => createRedisClient({ url: wrong }), {
      name: 'TypeError',
      message: /^the Redis URL must be (?!.*secret)/,
    })
  }
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

t.test("the server's clock is followed within the bounds of each answer (G-06)", async (t) => {
  let monotonic = 1000
  const clock = new ServerClock(
    () => monotonic,
    () => 500_000,
  )
  t.equal(clock.now(), 500_000, "the host's, until the first answer")
  const startedAt = clock.start()
  monotonic += 10
  clock.observe(700_000, startedAt)
  t.ok(clock.now() >= 700_000 && clock.now() <= 700_010)
  const before = clock.now()
  const slow = clock.start()
  monotonic += 5000
  clock.observe(702_000, slow)
  t.equal(clock.now(), before + 5000, 'an answer that took long says little, and changes nothing')
  monotonic += 1000
  clock.observe(Number.NaN, clock.start())
  t.equal(clock.now(), before + 6000)
})
