/** Redis stores on real servers, what they notify, and how their calls fail. */

import type { Test } from 'tap'
import { storeContract } from '../../plugin/stores/contract/index.ts'
import { type RedisClient, redisStore } from '../../plugin/stores/redis/store.ts'
import type { Store, StoreWatcher } from '../../plugin/stores/store.ts'
import { startRedis, startRelay } from './redis-server.ts'

export const longMs = 60_000
/** A second, and as much again for a busy machine. */
export const promptMs = 2000
export const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

/** A client and a store on it, closed with the test. */
export function open(t: Test, client: RedisClient, prefix?: string): Store {
  const store = redisStore({ client, ...(prefix !== undefined && { prefix }) })
  t.teardown(async () => {
    await store.close()
    client.disconnect()
  })
  return store
}

export async function serverFor(t: Test, args: string[] = []) {
  const server = await startRedis(args)
  t.teardown(() => server.stop())
  return server
}

/** Remembers what it was told, and when; `until` resolves as soon as the condition holds. */
export function notes() {
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
export function calls(store: Store, key: string): Record<string, () => Promise<unknown>> {
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
export async function failures(calls: Record<string, () => Promise<unknown>>) {
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

export async function eventually<T>(attempt: () => Promise<T>, withinMs = 10_000): Promise<T> {
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
export function contract(t: Test, title: string, connect: (port?: number) => RedisClient, relayed?: number) {
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

export const redisUrl = (port: number | undefined) => `redis://127.0.0.1:${port}`
