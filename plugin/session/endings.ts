import type { Grants, GrantWatcher } from '../grant/grants.ts'
import { sameHash } from '../secrets/handles.ts'
import type { Session } from './session.ts'

const TIMES = {
  /** How often sessions are looked at again while notifications may be lost, or the store does not answer. */
  recheckMs: 1000,
  /** A session that nobody could confirm for so long counts as ended: the bound of the session cache, too. */
  unconfirmedMaxMs: 5000,
}
/** The longest delay of a timer. */
const TIMER_MAX_MS = 2 ** 31 - 1

interface Watched {
  readonly session: Session
  readonly listener: () => void
  expiry: NodeJS.Timeout | undefined
}

/** The sessions of one grant that somebody waits for. */
interface WatchedGrant {
  readonly sessions: Set<Watched>
  /** Since when it has not been known to be live, by the process's clock; null: it is. */
  unconfirmedSince: number | null
  reading: boolean
  /** It changed while it was being read. */
  changed: boolean
}

/**
 * Tells those who serve a session for long (a stream, a WebSocket) that it has ended.
 *
 * A change of the grant makes us read it again, so an end is known as soon as the store's notification arrives.
 * While notifications may be lost every grant is read once a second, and one that cannot be read for five
 * seconds counts as ended (requirements H-29, H-30, G-17).
 */
export class SessionEndings implements GrantWatcher {
  readonly #grants: Pick<Grants, 'read' | 'now'>
  readonly #times: typeof TIMES
  readonly #watched = new Map<string, WatchedGrant>()
  #gap = true
  #timer: NodeJS.Timeout | undefined

  constructor(grants: Pick<Grants, 'read' | 'now'>, times = TIMES) {
    this.#grants = grants
    this.#times = times
  }

  /**
   * Calls `listener` once when the session has ended: its grant is over, its token expired or forgotten. The
   * session is looked up at once, because it may have ended since it was resolved.
   * @returns the end of the watch.
   */
  watch(session: Session, listener: () => void): () => void {
    const grant = this.#watched.get(session.grantId) ?? newWatchedGrant()
    const watched: Watched = { session, listener, expiry: undefined }
    grant.sessions.add(watched)
    this.#watched.set(session.grantId, grant)
    this.#timer ??= setInterval(() => this.#recheck(), this.#times.recheckMs).unref()
    this.#awaitExpiry(watched)
    this.#check(session.grantId)
    return () => this.#forget(watched)
  }

  onChange(grantId: string): void {
    if (this.#watched.has(grantId)) this.#check(grantId)
  }

  onGap(): void {
    this.#gap = true
    this.#recheck()
  }

  onResume(): void {
    // What happened in the gap is not told again.
    this.#recheck()
    this.#gap = false
  }

  #recheck(): void {
    for (const [grantId, grant] of this.#watched) {
      const { unconfirmedSince } = grant
      if (unconfirmedSince !== null && performance.now() - unconfirmedSince >= this.#times.unconfirmedMaxMs) {
        for (const watched of grant.sessions) this.#end(watched)
      } else if (this.#gap || unconfirmedSince !== null) this.#check(grantId)
    }
  }

  #check(grantId: string): void {
    const grant = this.#watched.get(grantId)
    if (grant === undefined) return
    grant.changed = true
    if (!grant.reading) void this.#read(grantId, grant)
  }

  async #read(grantId: string, grant: WatchedGrant): Promise<void> {
    grant.reading = true
    try {
      while (grant.changed) {
        grant.changed = false
        grant.unconfirmedSince ??= performance.now()
        const stored = await this.#grants.read(grantId)
        grant.unconfirmedSince = null
        const live = stored?.grant.status === 'active' ? stored.grant.accessTokens : []
        for (const watched of grant.sessions) {
          const { tokenHash } = watched.session
          const token = live.find(({ hash }) => sameHash(hash, tokenHash))
          if (token === undefined || token.expiresAt <= this.#grants.now()) this.#end(watched)
        }
      }
    } catch {
      // Not confirmed: the next round tries again, or gives up.
    } finally {
      grant.reading = false
    }
  }

  /** By the store's clock, which may have been corrected when the timer fires. */
  #awaitExpiry(watched: Watched): void {
    clearTimeout(watched.expiry)
    const remainingMs = watched.session.expiresAt - this.#grants.now()
    if (remainingMs <= 0) this.#end(watched)
    else {
      const delayMs = Math.min(remainingMs, TIMER_MAX_MS)
      watched.expiry = setTimeout(() => this.#awaitExpiry(watched), delayMs).unref()
    }
  }

  #end(watched: Watched): void {
    this.#forget(watched)
    // Later, so that one listener's failure cannot keep the next one from being called.
    process.nextTick(watched.listener)
  }

  #forget(watched: Watched): void {
    clearTimeout(watched.expiry)
    const { grantId } = watched.session
    const grant = this.#watched.get(grantId)
    grant?.sessions.delete(watched)
    if (grant?.sessions.size === 0) this.#watched.delete(grantId)
    if (this.#watched.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}

function newWatchedGrant(): WatchedGrant {
  return { sessions: new Set(), unconfirmedSince: null, reading: false, changed: false }
}
