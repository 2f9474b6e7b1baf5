import { getHeapStatistics } from 'node:v8'
import { type CacheEntry, LruMap } from 'toad-cache'
import { noObserver, type Observer } from '../options/types/observer.ts'
import type { Session } from './session.ts'

/** How long a session is kept where nothing proves that a change would have been told (G-17). */
export const UNPROVED_AGE_MAX_MS = 5000

/** How much is kept. The least recently used go first, and cost one read when they come back. */
interface Bounds {
  readonly ageMs: number
  readonly sessions: number
  /** About, of the heap. */
  readonly bytes: number
}

/** Who runs with little memory keeps little: an eighth of what Node may use. */
const BOUNDS: Bounds = {
  ageMs: UNPROVED_AGE_MAX_MS,
  sessions: 1_000_000,
  bytes: getHeapStatistics().heap_size_limit / 8,
}

/** What an entry takes besides its token and its claims, as measured. */
const ENTRY_BYTES = 1300

interface Entry {
  readonly session: Session
  /** Whose change makes it void. */
  readonly grantIds: readonly string[]
  readonly validUntil: number
  readonly bytes: number
}

/** A read of a grant under way. What it returns is cached only if the grant did not change meanwhile. */
interface Load {
  readers: number
  changed: boolean
}

/** What tells the time, and whether changes are told. */
export interface CacheClock {
  /** The store's clock, in milliseconds. */
  now(): number
  /** @see Store.provedUntil */
  provedUntil(): number
}

/**
 * Opened sessions by the hash of their full access token. An entry is dropped by the store's change
 * notification of its grant, or of any that share the token, and nothing is served while notifications may be lost.
 */
export class SessionCache {
  readonly #clock: CacheClock
  readonly #bounds: Bounds
  /** Grant → hashes of its tokens, mostly one. */
  readonly #byGrant = new Map<string, readonly string[]>()
  readonly #loads = new Map<string, Load>()
  /** Closed until the first `onResume`. */
  #open = false
  readonly #entries: LruMap<Entry>
  #bytes = 0
  readonly #counts: Observer['sessionCache']

  /** @param counts are counted up in place. */
  constructor(clock: CacheClock, bounds: Partial<Bounds> = {}, counts = noObserver().sessionCache) {
    this.#clock = clock
    this.#bounds = { ...BOUNDS, ...bounds }
    this.#counts = counts
    this.#entries = new LruMap(this.#bounds.sessions)
  }

  /** The live session behind the hash, or undefined: then the store decides. */
  get(hash: string): Session | undefined {
    const entry = this.#entries.get(hash)
    const now = this.#clock.now()
    if (entry === undefined || entry.validUntil <= now || this.#clock.provedUntil() <= now) {
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
    this.#bytes -= entry.bytes
    for (const grantId of entry.grantIds) {
      const others = this.#byGrant.get(grantId)!.filter((one) => one !== hash)
      if (others.length === 0) this.#byGrant.delete(grantId)
      else this.#byGrant.set(grantId, others)
    }
  }

  onChange(grantId: string): void {
    const load = this.#loads.get(grantId)
    if (load) load.changed = true
    this.#loads.delete(grantId)
    for (const hash of this.#byGrant.get(grantId) ?? []) this.forget(hash)
  }

  onGap(): void {
    this.#open = false
    for (const load of this.#loads.values()) load.changed = true
    this.#loads.clear()
    this.#entries.clear()
    this.#byGrant.clear()
    this.#bytes = 0
  }

  onResume(): void {
    this.#open = true
  }

  #put(hash: string, session: Session, grantIds: readonly string[]): void {
    const { ageMs, sessions } = this.#bounds
    if (ageMs === 0) return
    this.forget(hash)
    // It would go without a word, and leave its grants behind.
    if (this.#entries.size === sessions) this.#forgetOldest()
    const validUntil = Math.min(session.expiresAt, this.#clock.now() + ageMs)
    const bytes = bytesOf(session)
    this.#entries.set(hash, { session, grantIds, validUntil, bytes })
    this.#bytes += bytes
    for (const grantId of grantIds) {
      this.#byGrant.set(grantId, [...(this.#byGrant.get(grantId) ?? []), hash])
    }
    while (this.#bytes > this.#bounds.bytes) this.#forgetOldest()
  }

  #forgetOldest(): void {
    this.forget((this.#entries.first as CacheEntry<Entry>).key)
  }
}

/** About, of the heap. */
function bytesOf({ providerAuthorization, claims }: Session): number {
  return ENTRY_BYTES + providerAuthorization.length + JSON.stringify(claims).length
}
