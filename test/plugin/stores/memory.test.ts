import { spawnSync } from 'node:child_process'
import t, { type Test } from 'tap'
import { memoryStore, StoreError } from '../../../plugin/index.ts'
import { storeContract } from '../../../plugin/stores/contract/index.ts'
import type { Store, StoreWatcher } from '../../../plugin/stores/store.ts'

const start = Date.UTC(2030, 0, 1)

function storeWithClock(t: Test, options: { maxRecords?: number } = {}) {
  const clock = { now: start }
  const store = memoryStore({ ...options, now: () => clock.now })
  t.teardown(() => store.close())
  return { store, clock }
}

for (const { title, run } of storeContract({
  async create() {
    let now = start
    const store = memoryStore({ now: () => now })
    return {
      store,
      async advance(ms) {
        now += ms
      },
      close: () => store.close(),
    }
  },
})) {
  t.test(`memoryStore, ${title}`, run)
}

/** Stores that break one rule each: the suite must find every one of them. */
const faulty: Record<string, (store: Store) => Partial<Store>> = {
  'create: of 200 parallel callers': (store) => ({
    async create(key, value, ttlMs) {
      const taken = (await store.read(key)) !== null
      await new Promise(setImmediate)
      return !taken && ((await store.create(key, value, ttlMs)) || true)
    },
  }),
  'replace: of 200 parallel callers': (store) => ({
    async replace(key, version, value, ttlMs) {
      const same = (await store.read(key))?.version === version
      await new Promise(setImmediate)
      const current = await store.read(key)
      return same && current !== null && store.replace(key, current.version, value, ttlMs)
    },
  }),
  'reserve: of 200 parallel callers': () => ({ reserve: async () => true }),
  'a record lives until its time': (store) => ({
    create: (key, value, ttlMs) => store.create(key, value, ttlMs * 2),
  }),
  'versions: 1 after create': (store) => ({
    async read(key) {
      const record = await store.read(key)
      return record && { ...record, version: 1 }
    },
  }),
  'an index: each member lives for the longest': (store) => ({
    async addToIndex(indexes, member, ttlMs) {
      await store.removeFromIndex(indexes, member)
      await store.addToIndex(indexes, member, ttlMs)
    },
  }),
  'keys that nearly are one another': (store) => ({
    create: (key, value, ttlMs) => store.create(key.toLowerCase(), value, ttlMs),
  }),
  'watch: a replace is notified on every instance': () => ({ watch: async () => () => {} }),
  'watch: onResume by the time it resolves': (store) => ({
    watch: (watcher) => store.watch({ onChange: watcher.onChange, onGap: watcher.onGap, onResume: () => {} }),
  }),
  'close: every later call throws': () => ({ read: async () => null }),
  'now: the clock': () => ({ now: () => start }),
}

for (const [rule, breakRule] of Object.entries(faulty)) {
  t.test(`the contract finds a store that breaks "${rule}"`, async (t) => {
    const [found] = storeContract({
      async create() {
        let now = start
        const store = memoryStore({ now: () => now })
        return {
          store: overriding(store, breakRule(store)),
          async advance(ms) {
            now += ms
          },
          close: () => store.close(),
        }
      },
    }).filter(({ title }) => title.includes(rule))
    t.ok(found)
    await t.rejects(found?.run() ?? Promise.resolve(), { name: 'AssertionError' })
  })
}

function overriding(store: Store, methods: Partial<Store>): Store {
  return new Proxy(store, {
    get(target, name: keyof Store) {
      const member = methods[name] ?? target[name]
      return typeof member === 'function' ? member.bind(target) : member
    },
  })
}

const faultyReads: Record<string, () => Promise<null>> = {
  hangs: () => new Promise<null>(() => {}),
  'answers "absent"': async () => null,
  'throws another error': () => Promise.reject(new Error('down')),
}
for (const [fault, readWhenDown] of Object.entries(faultyReads)) {
  t.test(`the contract finds a store whose read ${fault} in an outage (G-08)`, async (t) => {
    const outage = outageOf({ read: readWhenDown })
    await t.rejects(outage.run(), { name: 'AssertionError', message: /read must/ })
  })
}

t.test('the contract passes a store that fails and comes back (G-08)', async () => {
  await outageOf({}).run()
})

/** The contract's outage case on a memory store that answers like a closed one, or by `whenDown`. */
function outageOf(whenDown: Partial<Store>) {
  const [outage] = storeContract({
    async create() {
      const [store, unavailable] = [memoryStore(), memoryStore()]
      await unavailable.close()
      const down = new Set<Store>()
      return {
        store: new Proxy(store, {
          get(_, name: keyof Store) {
            const [answering] = [...down, store]
            const member = (down.size > 0 ? whenDown[name] : undefined) ?? answering?.[name]
            return typeof member === 'function' ? member.bind(answering) : member
          },
        }),
        async advance() {},
        async break() {
          down.add(unavailable)
        },
        async heal() {
          down.clear()
        },
        close: () => store.close(),
      }
    },
  }).filter(({ title }) => title.includes('outage'))
  if (outage === undefined) throw new Error('the contract has no outage case')
  return outage
}

t.test(
  'a full memoryStore refuses new records and reservations with StoreError, evicts none (G-13)',
  async (t) => {
    const { store, clock } = storeWithClock(t, { maxRecords: 3 })
    await store.create('a', '1', 1000)
    await store.create('b', '2', 5000)
    await store.reserve('c', 5000)

    await t.rejects(store.create('d', '4', 1000), {
      name: 'StoreError',
      statusCode: 503,
      operation: 'create',
    })
    await t.rejects(store.reserve('d', 1000), { name: 'StoreError', statusCode: 503, operation: 'reserve' })
    t.equal(await store.create('a', 'again', 1000), false, 'an existing key is an answer, not an outage')
    t.equal(await store.reserve('c', 1000), false)
    const record = await store.read('b')
    t.equal(await store.replace('b', record?.version ?? 0, 'changed', 5000), true, 'live records go on')

    clock.now += 1000
    t.equal(await store.create('d', '4', 1000), true, 'what has expired makes room without the janitor')
    t.equal((await store.read('b'))?.value, 'changed')
  },
)

t.test('refused records leave a full memoryStore as it was (G-13, A-20)', async (t) => {
  const { store } = storeWithClock(t, { maxRecords: 1000 })
  for (let n = 0; n < 1000; n += 1) await store.create(`live ${n}`, 'value', 60_000)
  let refused = 0
  for (let n = 0; n < 2000; n += 1) {
    await store.create(`flood ${n}`, 'value', 60_000).catch((error: unknown) => {
      if (error instanceof StoreError) refused += 1
    })
  }
  t.equal(refused, 2000)
  t.equal((await store.read('live 0'))?.value, 'value')
})

t.test('the error of a full memoryStore names no key and no value (J-01)', async (t) => {
  const { store } = storeWithClock(t, { maxRecords: 1 })
  await store.create('first', 'value', 1000)
  await t.rejects(store.create('secret-key', 'secret-value', 1000), {
    message: 'memory store: create: full: it holds maxRecords (1) entries',
  })
})

t.test('the janitor gives memory back: records, reservations, index members and indexes', async (t) => {
  const clock = { now: start }
  let looks = 0
  const timers = t.capture(globalThis, 'setInterval', globalThis.setInterval)
  const store = memoryStore({
    now: () => {
      looks += 1
      return clock.now
    },
  })
  t.teardown(() => store.close())
  const [timer] = timers()
  const sweep = timer?.args[0] as () => void
  for (let n = 0; n < 25_000; n += 1) {
    await store.create(`record ${n}`, 'value', 1000)
    await store.reserve(`reservation ${n}`, 1000)
  }
  await store.addToIndex(['index'], 'member', 1000)
  clock.now += 1000
  looks = 0
  sweep()
  t.ok(looks > 0 && looks <= 10_000, 'one round is bounded work')
  for (let round = 0; round < 10; round += 1) sweep()
  looks = 0
  sweep()
  t.equal(looks, 0, 'nothing is left to look at')
})

t.test(
  'watchers have run when replace returns its promise: before the caller can go on (G-17)',
  async (t) => {
    const { store } = storeWithClock(t)
    const changes: string[] = []
    const watcher: StoreWatcher = { onChange: (key) => changes.push(key), onGap() {}, onResume() {} }
    const unwatchFirst = await store.watch(watcher)
    await store.watch(watcher)
    await store.create('key', 'value', 1000)
    const record = await store.read('key')
    const replaced = store.replace('key', record?.version ?? 0, 'changed', 1000)
    t.same(changes, ['key', 'key'])
    await replaced
    unwatchFirst()
    await store.replace('key', (await store.read('key'))?.version ?? 0, 'changed', 1000)
    t.equal(changes.length, 3, 'the same watcher, watching twice, ends one by one')
  },
)

t.test('maxRecords must be a positive integer', async (t) => {
  for (const maxRecords of [0, -1, 1.5, Number.NaN]) {
    t.throws(() => memoryStore({ maxRecords }), { name: 'RangeError' })
  }
})

/** What a fresh process says when it makes a memoryStore. */
function memoryStoreInProcess(t: Test, env: Record<string, string>, options: string, inWorker = false) {
  const storeUrl = new URL('../../../plugin/stores/memory.ts', import.meta.url).href
  const directory = t.testdir({
    'main.mjs': `
      import cluster from 'node:cluster'
      if (${inWorker} && cluster.isPrimary) {
        cluster.fork()
      } else {
        const { memoryStore } = await import(${JSON.stringify(storeUrl)})
        try { memoryStore(${options}); console.log('made') } catch (error) { console.log(error.message) }
        cluster.worker?.disconnect()
      }`,
  })
  const child = spawnSync(process.execPath, ['--import=ts-blank-space/register', `${directory}/main.mjs`], {
    encoding: 'utf8',
    timeout: 20_000,
    env: { PATH: process.env.PATH, ...env },
  })
  return child.stdout.trim() + child.stderr.trim()
}

t.test(
  'NODE_ENV=production: memoryStore refuses to start, unless dangerouslyAllowInProduction (G-13)',
  async (t) => {
    t.match(memoryStoreInProcess(t, { NODE_ENV: 'production' }, '{}'), /^memoryStore: NODE_ENV is production/)
    const allowed = '{ dangerouslyAllowInProduction: true }'
    t.equal(memoryStoreInProcess(t, { NODE_ENV: 'production' }, allowed), 'made')
    t.equal(memoryStoreInProcess(t, {}, '{}'), 'made', 'and its janitor does not keep the process alive')
  },
)

t.test('a cluster worker: memoryStore refuses to start (G-13)', async (t) => {
  const said = memoryStoreInProcess(t, {}, '{ dangerouslyAllowInProduction: true }', true)
  t.match(said, /^memoryStore: a cluster worker shares no memory/)
})
