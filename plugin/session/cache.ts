import { type CacheEntry, LruMap } from 'toad-cache'
import { noObserver, type Observer } from '../options/types/observer.ts'
import type { Session } from './session.ts'

/** Sessions held at most; the least recently used go first, and cost one read when they come back. */
const SESSIONS_MAX = 100_000
/** The outer bound on how stale a cached session can be, should a notification ever be lost (G-17). */
const AGE_MAX_MS = 5000

interface Entry {
  readonly session: Session
  /** Whose change makes it void. */
  readonly grantIds: readonly string[]
  readonly validUntil: number
}

/** A read of a grant under way. What it returns is cached only if the grant did not change meanwhile. */
interface Load {
  readers: number
  changed: boolean
}

/**
 * Opened sessions by the hash of their full access token. An entry is dropped by the store's change
 * notification of its grant, or of any that share the token, and nothing is served while notifications may be lost.
 */
export class SessionCache {
  readonly #now: () => number
  readonly #byGrant = new Map<string, Set<string>>()
  readonly #loads = new Map<string, Load>()
  /** Closed until the first `onResume`. */
  #open = false
  readonly #entries: LruMap<Entry>
  readonly #counts: Observer['sessionCache']

  /** @param now the store's clock, in milliseconds. @param counts are counted up in place. */
  constructor(now: () => number, max = SESSIONS_MAX, counts = noObserver().sessionCache) {
    this.#now = now
    this.#counts = counts
    this.#entries = new LruMap(max)
  }

  /** The live session behind the hash, or undefined: then the store decides. */
  get(hash: string): Session | undefined {
    const entry = this.#entries.get(hash)
    if (entry === undefined || entry.validUntil <= this.#now()) {
      this.#counts.misses++
      return undefined
    }
    this.#counts.hits++
    return entry.session
  }

  /** Announces a read of the grants. `finish` caches its result; `end` must follow in every case. */
  beginLoad(...grantIds: readonly string[]): { finish(hash: string, session: Session): void; end(): void } {
    const loads = grantIds.map((grantId) => {
      // A read that begins in a gap may miss a change whose notification is lost before the gap ends.
      const load = this.#loads.get(grantId) ?? { readers: 0, changed: !this.#open }
      load.readers++
      this.#loads.set(grantId, load)
      return { grantId, load }
    })
    return {
      finish: (hash, session) => {
        if (this.#open && !loads.some(({ load }) => load.changed)) this.#put(hash, session, grantIds)
      },
      end: () => {
        for (const { grantId, load } of loads) {
          if (--load.readers === 0 && this.#loads.get(grantId) === load) this.#loads.delete(grantId)
        }
      },
    }
  }

  /** Drops one session: its token has got another grant. */
  forget(hash: string): void {
    const entry = this.#entries.get(hash)
    if (entry === undefined) return
    this.#entries.delete(hash)
    for (const grantId of entry.grantIds) {
      const hashes = this.#byGrant.get(grantId)
      hashes?.delete(hash)
      if (hashes?.size === 0) this.#byGrant.delete(grantId)
    }
  }

  onChange(grantId: string): void {
    const load = this.#loads.get(grantId)
    if (load) load.changed = true
    this.#loads.delete(grantId)
    for (const hash of [...(this.#byGrant.get(grantId) ?? [])]) this.forget(hash)
  }

  onGap(): void {
    this.#open = false
    for (const load of this.#loads.values()) load.changed = true
    this.#loads.clear()
    this.#entries.clear()
    this.#byGrant.clear()
  }

  onResume(): void {
    this.#open = true
  }

  #put(hash: string, session: Session, grantIds: readonly string[]): void {
    const validUntil = Math.min(session.expiresAt, this.#now() + AGE_MAX_MS)
    this.forget(hash)
    // It would go without a word, and leave its grants behind.
    if (this.#entries.size === this.#entries.max) this.forget((this.#entries.first as CacheEntry<Entry>).key)
    this.#entries.set(hash, { session, grantIds, validUntil })
    for (const grantId of grantIds) {
      const hashes = this.#byGrant.get(grantId) ?? new Set()
      this.#byGrant.set(grantId, hashes.add(hash))
    }
  }
}
