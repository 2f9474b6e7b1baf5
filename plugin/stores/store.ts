/**
 * The store contract, in words and types.
 *
 * A store keeps opaque strings under opaque keys and knows nothing of OAuth. It is small on purpose: every
 * step of a grant is one `replace`, a compare-and-swap on the version that `read` returned, so single use,
 * replay, rotation, leases and revocation are the same mechanism on every store.
 *
 * Rules that every store keeps, and that `fastify-pkce/store-contract` tests:
 * - Of any number of parallel `create` calls for one key, or `replace` calls for one version, one wins.
 * - A record past its time to live is absent for every call, whether or not a janitor has run.
 * - `replace` notifies every watcher, on every instance, in the same atomic step as the write.
 * - A store that cannot answer throws `StoreError` within a bounded time. It never answers "absent" instead.
 */
export interface Store {
  /** A short name for messages and metrics, e.g. `memory`. */
  readonly name: string

  /**
   * The store's clock in milliseconds since the epoch, as last seen, without a round trip. All lifetimes are
   * judged by it, so that instances with different clocks agree.
   */
  now(): number

  /** Writes a new record that lives for `ttlMs`. False if the key holds a live record. */
  create(key: string, value: string, ttlMs: number): Promise<boolean>

  /** The live record under `key`, or null. */
  read(key: string): Promise<StoredRecord | null>

  /**
   * Replaces the record if its version is still `version`, sets its life to `ttlMs` from now and notifies the
   * watchers, all in one atomic step. False if the record is gone or has changed.
   */
  replace(key: string, version: number, value: string, ttlMs: number): Promise<boolean>

  /** Claims `key` for `ttlMs`. True for exactly one caller: a once-only value such as a `jti`. */
  reserve(key: string, ttlMs: number): Promise<boolean>

  /** Adds `member` to each of the indexes for at least `ttlMs`. One round trip, whatever their number. */
  addToIndex(indexes: readonly string[], member: string, ttlMs: number): Promise<void>

  /** The live members of one index, in no order. A member may name a record that is gone. */
  readIndex(index: string): Promise<string[]>

  /** Removes `member` from each of the indexes. Absent members are no error. */
  removeFromIndex(indexes: readonly string[], member: string): Promise<void>

  /**
   * Optional: counts one more under `counter` and tells how many there have been since its window of `windowMs`
   * began, and how long it still lasts. With it, limits count across instances; without, each has its own.
   */
  count?(counter: string, windowMs: number): Promise<{ count: number; ttlMs: number }>

  /**
   * Reports every `replace` on any instance. The watcher's `onResume` is called once the channel stands, at
   * the latest when the returned promise resolves; from `onGap` until the next `onResume` notifications may
   * be lost. Returns the function that ends the watch.
   */
  watch(watcher: StoreWatcher): Promise<() => void>

  /**
   * Optional: until when the watch is proved, by `now()`. Up to then every change has been told, or `onGap` has been
   * called; one that is lost later is followed by `onGap` within two seconds. A watch over a server is proved by what
   * goes round the way of a notification, and is told in its order: a connection that is cut, deaf or slow is no proof.
   * With it, opened sessions are kept as long as `session.cacheSeconds`; without, for five seconds.
   */
  provedUntil?(): number

  /** One round trip, for readiness. @throws StoreError */
  check(): Promise<void>

  /** Releases what the store itself opened. Later calls throw `StoreError`. */
  close(): Promise<void>
}

/** A live record. */
export interface StoredRecord {
  readonly value: string
  /** 1 after `create`, and one more after every `replace`. */
  readonly version: number
}

/** Hears of every `replace`: its key, and the times when it may not have heard. @see Store.watch */
export interface StoreWatcher {
  onChange(key: string): void
  onGap(): void
  onResume(): void
}

/**
 * The store could not answer. Always a 503: never "not signed in", and never let through.
 * The message names the store and the operation; it holds no address, credential, key or value.
 */
export class StoreError extends Error {
  override readonly name = 'StoreError'
  readonly code = 'PKCE_STORE_UNAVAILABLE'
  readonly statusCode = 503
  readonly operation: string

  constructor(store: string, operation: string, failure: string, cause?: unknown) {
    super(`${store} store: ${operation}: ${failure}`, { cause })
    this.operation = operation
  }
}
