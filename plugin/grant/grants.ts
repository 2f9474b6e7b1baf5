import type { ResolvedOptions } from '../options/resolved.ts'
import type { Store } from '../stores/store.ts'
import type { EndReason } from './audit-events.ts'
import {
  type ActiveGrant,
  type AuthorizingGrant,
  decodeGrant,
  type EndedGrant,
  encodeGrant,
  type Grant,
} from './grant.ts'
import { indexesOf } from './indexes.ts'
import { end, timeToLiveMs } from './transitions.ts'

/** A grant as read, with the version that the next compare-and-swap must still find. */
export interface StoredGrant<T extends Grant = Grant> {
  readonly grant: T
  readonly version: number
}

/** True for a grant whose token exchange has succeeded, and that is not over. */
export function isActive(stored: StoredGrant | null): stored is StoredGrant<ActiveGrant> {
  return stored?.grant.status === 'active'
}

/** Hears of changes by grant, and of the times when it may not have. @see StoreWatcher */
export interface GrantWatcher {
  onChange(grantId: string): void
  onGap(): void
  onResume(): void
}

const KEY = 'grant:'

/** The grants in their store: one record under one key each, and every step one compare-and-swap. */
export class Grants {
  /** The store's clock, in milliseconds. On the path of every forwarded request. */
  readonly now: () => number
  /** Until when changes are known to have been told, by the store's clock. Undefined: the store does not prove it. */
  readonly provedUntil: (() => number) | undefined
  readonly #store: Store
  readonly #issuers: ReadonlySet<string>
  readonly #lifetimes: ResolvedOptions['lifetimes']
  readonly #waiting = new Map<string, Set<() => void>>()
  readonly #watchers = new Set<GrantWatcher>()

  /** @param issuers of the providers whose grants these are. */
  constructor(store: Store, issuers: readonly string[], lifetimes: ResolvedOptions['lifetimes']) {
    this.#store = store
    this.now = store.now.bind(store)
    this.provedUntil = store.provedUntil?.bind(store)
    this.#issuers = new Set(issuers)
    this.#lifetimes = lifetimes
  }

  /** False if the selector is taken, which 128 random bits make a sign of trouble. @throws StoreError */
  create(grant: AuthorizingGrant): Promise<boolean> {
    return this.#store.create(KEY + grant.id, encodeGrant(grant), this.#timeToLiveMs(grant))
  }

  /**
   * The grant, or null: absent, expired and unreadable are the same (G-15), and so is one of a provider that is not configured,
   * whose codes and tokens are nobody's business at this one. @throws StoreError
   */
  async read(grantId: string): Promise<StoredGrant | null> {
    const record = await this.#store.read(KEY + grantId)
    const grant = record && decodeGrant(record.value)
    return grant?.id === grantId && this.#issuers.has(grant.provider)
      ? { grant, version: record!.version }
      : null
  }

  /**
   * The next state as stored, or null if another writer was first.
   *
   * @throws StoreError when it may or may not have been written; here it counts as changed.
   */
  async replace<T extends Grant>(current: StoredGrant, next: T): Promise<StoredGrant<T> | null> {
    const { version } = current
    let isChanged = true
    try {
      isChanged = await this.#store.replace(
        KEY + next.id,
        version,
        encodeGrant(next),
        this.#timeToLiveMs(next),
      )
    } finally {
      // Here at once: the store's own notification may still be on its way when the response goes out, or be lost.
      if (isChanged) this.#changed(next.id)
    }
    return isChanged ? { grant: next, version: version + 1 } : null
  }

  /**
   * Ends a grant, whatever else is being written to it meanwhile: an end always wins.
   *
   * @returns the grant as it was just before, or null if it was over already. @throws StoreError
   */
  async end(from: StoredGrant, reason: EndReason): Promise<Exclude<Grant, EndedGrant> | null> {
    let current: StoredGrant | null = from
    while (current && current.grant.status !== 'ended') {
      if (await this.endUnlessChanged(current, reason)) return current.grant as Exclude<Grant, EndedGrant>
      current = await this.read(current.grant.id)
    }
    return null
  }

  /** Ends a grant only as it was read: for a verdict that a later change makes void. @throws StoreError */
  async endUnlessChanged({ grant, version }: StoredGrant, reason: EndReason): Promise<boolean> {
    if (!(await this.replace({ grant, version }, end(grant, reason, this.now())))) return false
    if (grant.status === 'active') {
      // The index may name grants that are over, so a failure here is not worth a failed logout.
      await this.#store.removeFromIndex(indexesOf(grant), grant.id).catch(() => {})
    }
    return true
  }

  /**
   * Resolves when the grant is not as it was read any more, or after `timeoutMs`: whoever waits looks again either way.
   *
   * @throws StoreError
   */
  async changeSince({ grant, version }: StoredGrant, timeoutMs: number): Promise<void> {
    const change = this.#nextChange(grant.id, timeoutMs)
    // It may have come since the read.
    const latest = await this.read(grant.id)
    if (latest?.version === version) await change
  }

  #nextChange(grantId: string, timeoutMs: number): Promise<void> {
    return new Promise((resolve) => {
      const waiting = this.#waiting.get(grantId) ?? new Set()
      this.#waiting.set(grantId, waiting)
      const done = () => {
        clearTimeout(timer)
        waiting.delete(done)
        if (waiting.size === 0) this.#waiting.delete(grantId)
        resolve()
      }
      const timer = setTimeout(done, timeoutMs)
      waiting.add(done)
    })
  }

  /** Lists the grant under each index until `until`, by the store's clock. @throws StoreError */
  addToIndex(indexes: readonly string[], grantId: string, until: number): Promise<void> {
    return this.#store.addToIndex(indexes, grantId, Math.max(1, until - this.now()))
  }

  /** Ids of grants that may be live. @throws StoreError */
  readIndex(index: string): Promise<string[]> {
    return this.#store.readIndex(index)
  }

  /** Passes the store's change notifications on by grant. @returns the end of the watch. @throws StoreError */
  async watch(watcher: GrantWatcher): Promise<() => void> {
    const end = await this.#store.watch({
      onChange: (key) => {
        if (!key.startsWith(KEY)) return
        const grantId = key.slice(KEY.length)
        watcher.onChange(grantId)
        this.#wake(grantId)
      },
      onGap: () => watcher.onGap(),
      onResume: () => watcher.onResume(),
    })
    this.#watchers.add(watcher)
    return () => {
      this.#watchers.delete(watcher)
      end()
    }
  }

  #changed(grantId: string): void {
    for (const watcher of this.#watchers) watcher.onChange(grantId)
    this.#wake(grantId)
  }

  /** Whoever waits for a change of the grant looks again. */
  #wake(grantId: string): void {
    for (const wake of [...(this.#waiting.get(grantId) ?? [])]) wake()
  }

  #timeToLiveMs(grant: Grant): number {
    return timeToLiveMs(grant, this.now(), this.#lifetimes)
  }
}
