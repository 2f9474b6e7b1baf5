/** The real store as one instance has it, in a world whose time stands still, and in which the instance can die. */
import { AsyncLocalStorage } from 'node:async_hooks'
import type { Store, StoredRecord, StoreWatcher } from '../../plugin/index.ts'
import { deferred } from '../support/wait.ts'

/** What all instances on one store have in common. */
export class World {
  /** Milliseconds since the epoch. It moves by `advance` alone, on every store, so that a model can know it. */
  nowMs = Math.ceil(Date.now() / 1000) * 1000
  /** What must never be, in words. */
  violations: string[] = []
  /** When a record is over by our clock; the server's own is late, and right about nothing here. */
  readonly #deadlines = new Map<string, number>()
  readonly #statuses = new Map<string, string>()
  #replaced = 0

  get replaced(): number {
    return this.#replaced
  }

  advance(seconds: number): void {
    this.nowMs += seconds * 1000
  }

  /** Of the records that have been made since `forget`. */
  get keys(): ReadonlySet<string> {
    return new Set(this.#statuses.keys())
  }

  knows(key: string): boolean {
    return this.#statuses.has(key)
  }

  /** Nobody asks for the records of before any more. */
  forget(): void {
    this.violations = []
    this.#deadlines.clear()
    this.#statuses.clear()
  }

  isLive(key: string): boolean {
    return (this.#deadlines.get(key) ?? 0) > this.nowMs
  }

  member(key: string, ttlMs: number): void {
    this.#deadlines.set(key, Math.max(this.#deadlines.get(key) ?? 0, this.nowMs + ttlMs))
  }

  /** Nothing leaves `ended`, and nothing goes back but a code whose exchange was never sent (C-17). */
  written(key: string, value: string, ttlMs: number): void {
    const { status } = JSON.parse(value) as { status: string }
    const before = this.#statuses.get(key)
    if (before !== undefined) {
      this.#replaced += 1
      if (!FOLLOWERS[before]?.includes(status))
        this.violations.push(`a grant went from ${before} to ${status}`)
    }
    this.#statuses.set(key, status)
    this.#deadlines.set(key, this.nowMs + ttlMs)
  }
}

const FOLLOWERS: Readonly<Record<string, readonly string[]>> = {
  authorizing: ['authorized', 'ended'],
  authorized: ['redeeming', 'ended'],
  redeeming: ['authorized', 'active', 'ended'],
  active: ['active', 'ended'],
  ended: [],
}

/** Death comes at an operation of the store: the `at`-th from now, which is still made or is not. */
export interface Crash {
  readonly at: number
  readonly made: boolean
  /** A new process takes the place of the dead one; otherwise one that has been there all the time. */
  readonly fresh: boolean
}

/** How one instance sees the store, and how a test holds it. */
export interface InstanceStore extends Store {
  /** Does `request` in the life of the instance that ends at `crash`; undefined when that comes first. */
  live<T>(request: () => Promise<T>): Promise<T | undefined>
  /** From now on until it is called again. */
  crashAt(crash: Crash | undefined): void
  /** Lives that have ended. */
  readonly deaths: number
  /** Each operation waits for so many turns of the event loop, one number after the other, round and round. */
  turns: readonly number[]
  /** Operations so far. */
  readonly operations: number
  /** Nothing is under way, and it has heard of every change on whichever instance. */
  isQuiet(): boolean
  /** Tells those who wait for a change to look again. */
  wake(): void
  /** Ends the watch of its own. */
  unwatch(): void
}

interface Life {
  isOver: boolean
  readonly death: ReturnType<typeof deferred>
}

/** @param inner the store of the process; another instance may take it over. */
export async function instanceStore(inner: Store, world: World): Promise<InstanceStore> {
  const lives = new AsyncLocalStorage<Life>()
  let life: Life = { isOver: false, death: deferred() }
  let deaths = 0
  const watchers = new Set<StoreWatcher>()
  let crash: Crash | undefined
  /** Operations until it dies. */
  let left = 0
  let pending = 0
  let count = 0
  let heard = world.replaced

  const unwatch = await inner.watch({
    onChange: (key) => {
      if (world.knows(key)) heard += 1
    },
    onGap: () => {},
    onResume: () => {},
  })

  /** Who is dead goes on with nothing: what he waits for never comes. */
  async function operate<T>(operation: () => Promise<T>): Promise<T> {
    const own = lives.getStore()
    const turn = store.turns[count % store.turns.length] ?? 0
    count += 1
    let result: Promise<T> | undefined
    pending += 1
    try {
      for (let waited = 0; waited < turn; waited++) await new Promise((resolve) => setImmediate(resolve))
      const isLast = own?.isOver === false && crash !== undefined && --left === 0
      if (isLast ? crash?.made : !own?.isOver) result = operation()
      if (isLast) {
        own.isOver = true
        deaths += 1
        life = { isOver: false, death: deferred() }
      }
      await result
      if (isLast) own.death.resolve()
    } finally {
      pending -= 1
    }
    return own?.isOver || !result ? new Promise<never>(() => {}) : result
  }

  const store: InstanceStore = {
    name: inner.name,
    turns: [],
    unwatch,
    live: (request) => {
      const { death } = life
      return Promise.race([lives.run(life, request), death.promise.then(() => undefined)])
    },
    get deaths() {
      return deaths
    },
    get operations() {
      return count
    },
    crashAt(next) {
      crash = next
      left = next?.at ?? 0
    },
    isQuiet: () => pending === 0 && heard >= world.replaced,
    wake() {
      for (const key of world.keys) for (const watcher of watchers) watcher.onChange(key)
    },
    now: () => world.nowMs,
    create: (key, value, ttlMs) =>
      operate(async () => {
        const isNew = await inner.create(key, value, ttlMs)
        if (isNew) world.written(key, value, ttlMs)
        return isNew
      }),
    read: (key) =>
      operate(async (): Promise<StoredRecord | null> => {
        const record = await inner.read(key)
        return world.isLive(key) ? record : null
      }),
    replace: (key, version, value, ttlMs) =>
      operate(async () => {
        const isReplaced = world.isLive(key) && (await inner.replace(key, version, value, ttlMs))
        if (isReplaced) world.written(key, value, ttlMs)
        return isReplaced
      }),
    reserve: (key, ttlMs) => operate(() => inner.reserve(key, ttlMs)),
    addToIndex: (indexes, member, ttlMs) =>
      operate(async () => {
        await inner.addToIndex(indexes, member, ttlMs)
        for (const index of indexes) world.member(`${index} ${member}`, ttlMs)
      }),
    readIndex: (index) =>
      operate(async () =>
        (await inner.readIndex(index)).filter((member) => world.isLive(`${index} ${member}`)),
      ),
    removeFromIndex: (indexes, member) => operate(() => inner.removeFromIndex(indexes, member)),
    async watch(watcher) {
      watchers.add(watcher)
      const end = await inner.watch(watcher)
      return () => {
        watchers.delete(watcher)
        end()
      }
    },
    check: () => operate(() => inner.check()),
    close: async () => {},
  }
  return store
}
