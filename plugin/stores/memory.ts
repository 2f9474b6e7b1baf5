import cluster from 'node:cluster'
import { Watchers } from './channel.ts'
import { type Store, type StoredRecord, StoreError, type StoreWatcher } from './store.ts'

/** Options of `memoryStore`. */
export interface MemoryStoreOptions {
  /** Records and reservations at most; a full store refuses new ones rather than evict. Default 100,000. */
  maxRecords?: number
  /** Allows `NODE_ENV=production`: state is lost at every restart and cannot be shared. Default false. */
  dangerouslyAllowInProduction?: boolean
  /** Milliseconds since the epoch. For tests; default `Date.now`. */
  now?: () => number
}

/**
 * The embedded default: one process, development and tests.
 *
 * @throws Error when started in a cluster worker, or in production without `dangerouslyAllowInProduction`:
 * a second process would not see the first one's grants (requirements G-13).
 */
export function memoryStore(options: MemoryStoreOptions = {}): Store {
  const { maxRecords = 100_000, now = Date.now } = options
  if (!Number.isSafeInteger(maxRecords) || maxRecords < 1) {
    throw new RangeError('memoryStore: maxRecords must be a positive integer')
  }
  const problem = memoryStoreProblem(options)
  if (problem !== undefined) throw new Error(problem)
  return new MemoryStore(maxRecords, now)
}

/** Why this process may have no memory store, or undefined (requirements G-13). */
export function memoryStoreProblem({
  dangerouslyAllowInProduction = false,
}: Pick<MemoryStoreOptions, 'dangerouslyAllowInProduction'> = {}): string | undefined {
  if (cluster.isWorker) {
    return 'memoryStore: a cluster worker shares no memory with the others; use redisStore or postgresStore'
  }
  if (process.env.NODE_ENV === 'production' && !dangerouslyAllowInProduction) {
    return 'memoryStore: NODE_ENV is production and this store loses every session at a restart; use redisStore or postgresStore, or set dangerouslyAllowInProduction'
  }
  return undefined
}

interface Entry extends StoredRecord {
  readonly expiresAt: number
}

/** Once a second, about a millisecond of work: a million entries are seen within two minutes. */
const SWEEP_INTERVAL_MS = 1000
const SWEEP_ENTRIES = 10_000
/** When full, a new record is preceded by a smaller sweep: refusing a flood must stay cheap. */
const FULL_SWEEP_ENTRIES = 1000

class MemoryStore implements Store {
  readonly name = 'memory'
  readonly now: () => number
  readonly #maxRecords: number
  readonly #records = new Map<string, Entry>()
  /** Key → when it may be reserved again. */
  readonly #reservations = new Map<string, number>()
  /** Index → member → when it leaves. */
  readonly #indexes = new Map<string, Map<string, number>>()
  readonly #watchers = new Watchers()
  readonly #expiry = this.#dropExpired()
  readonly #janitor = setInterval(() => this.#sweep(SWEEP_ENTRIES), SWEEP_INTERVAL_MS).unref()
  #closed = false

  constructor(maxRecords: number, now: () => number) {
    this.#maxRecords = maxRecords
    this.now = now
    this.#watchers.resume()
  }

  async create(key: string, value: string, ttlMs: number): Promise<boolean> {
    this.#mustBeOpen('create')
    const present = this.#records.get(key)
    if (present !== undefined && present.expiresAt > this.now()) return false
    this.#ensureCapacity('create', present !== undefined)
    this.#write(key, 1, value, ttlMs)
    return true
  }

  async read(key: string): Promise<StoredRecord | null> {
    this.#mustBeOpen('read')
    return this.#live(key) ?? null
  }

  async replace(key: string, version: number, value: string, ttlMs: number): Promise<boolean> {
    this.#mustBeOpen('replace')
    if (this.#live(key)?.version !== version) return false
    this.#write(key, version + 1, value, ttlMs)
    this.#watchers.change(key)
    return true
  }

  async reserve(key: string, ttlMs: number): Promise<boolean> {
    this.#mustBeOpen('reserve')
    const now = this.now()
    const reservedUntil = this.#reservations.get(key)
    if (reservedUntil !== undefined && reservedUntil > now) return false
    this.#ensureCapacity('reserve', reservedUntil !== undefined)
    this.#reservations.set(key, now + ttlMs)
    return true
  }

  async addToIndex(indexes: readonly string[], member: string, ttlMs: number): Promise<void> {
    this.#mustBeOpen('addToIndex')
    const expiresAt = this.now() + ttlMs
    for (const index of indexes) {
      const members = this.#indexes.get(index) ?? new Map<string, number>()
      members.set(member, Math.max(expiresAt, members.get(member) ?? 0))
      this.#indexes.set(index, members)
    }
  }

  async readIndex(index: string): Promise<string[]> {
    this.#mustBeOpen('readIndex')
    const now = this.now()
    const members = this.#indexes.get(index) ?? new Map<string, number>()
    return [...members].filter(([, expiresAt]) => expiresAt > now).map(([member]) => member)
  }

  async removeFromIndex(indexes: readonly string[], member: string): Promise<void> {
    this.#mustBeOpen('removeFromIndex')
    for (const index of indexes) this.#indexes.get(index)?.delete(member)
  }

  async watch(watcher: StoreWatcher): Promise<() => void> {
    this.#mustBeOpen('watch')
    return this.#watchers.add(watcher)
  }

  /** Told in the same turn: nothing can be lost. */
  provedUntil(): number {
    return Number.POSITIVE_INFINITY
  }

  async check(): Promise<void> {
    this.#mustBeOpen('check')
  }

  async close(): Promise<void> {
    this.#closed = true
    clearInterval(this.#janitor)
    this.#records.clear()
    this.#reservations.clear()
    this.#indexes.clear()
    this.#watchers.clear()
  }

  /** Expiry is judged here, at every call: the janitor only gives memory back (requirements G-06). */
  #live(key: string): Entry | undefined {
    const entry = this.#records.get(key)
    return entry !== undefined && entry.expiresAt > this.now() ? entry : undefined
  }

  #write(key: string, version: number, value: string, ttlMs: number): void {
    this.#records.set(key, { value, version, expiresAt: this.now() + ttlMs })
  }

  #ensureCapacity(operation: string, reusesExpired: boolean): void {
    if (reusesExpired || this.#hasCapacity()) return
    this.#sweep(FULL_SWEEP_ENTRIES)
    if (!this.#hasCapacity()) {
      throw new StoreError(this.name, operation, `full: it holds maxRecords (${this.#maxRecords}) entries`)
    }
  }

  #hasCapacity(): boolean {
    return this.#records.size + this.#reservations.size < this.#maxRecords
  }

  #sweep(entries: number): void {
    for (let seen = 0; seen < entries; seen += 1) this.#expiry.next()
  }

  /** Visits all entries in turn for ever, one at each step, so that the work can stop and go on anywhere. */
  *#dropExpired(): Generator<void, never> {
    for (;;) {
      for (const [key, { expiresAt }] of this.#records) {
        if (expiresAt <= this.now()) this.#records.delete(key)
        yield
      }
      for (const [key, expiresAt] of this.#reservations) {
        if (expiresAt <= this.now()) this.#reservations.delete(key)
        yield
      }
      for (const [index, members] of this.#indexes) {
        for (const [member, expiresAt] of members) {
          if (expiresAt <= this.now()) members.delete(member)
          yield
        }
        if (members.size === 0) this.#indexes.delete(index)
        yield
      }
      yield
    }
  }

  #mustBeOpen(operation: string): void {
    if (this.#closed) throw new StoreError(this.name, operation, 'closed')
  }
}
