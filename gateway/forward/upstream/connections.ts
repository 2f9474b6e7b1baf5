import type { Upstream } from '../../config/schemas/config.ts'
import { Connecting, Connection, type ConnectionSettings, type Holder } from './connection.ts'

/** The configured limit that a request has met. */
export type Limit = 'connections' | 'connectionsPerSession' | 'streamsPerSession'

/** A request that needs a connection. */
export interface Applicant {
  /** Of its session; undefined on a public route, where nobody has a share. */
  readonly grantId: string | undefined
  /** It is its turn. */
  granted(connection: Connection): void
  /** It has waited for as long as anybody may. */
  notGranted(limit: Limit): void
}

/** What one session holds of a target, or all requests without one. */
interface Share extends Holder {
  readonly grantId: string | undefined
  readonly max: number
  readonly maxStreams: number
  /** The first is the next. */
  waiting: Set<Applicant> | null
}

export type ConnectionLimits = ConnectionSettings &
  Pick<Upstream, 'connections' | 'connectionsPerSession' | 'streamsPerSession'>

/**
 * The connections to one target, and who gets them. A request holds one until its response has ended; an event stream
 * or a WebSocket does not count any more as soon as it is known for one. No session holds more than its share, and
 * those that wait get a turn session by session: so who asks for everything waits for itself.
 *
 * Whoever has got a connection, in `take` or by `granted`, gives it back by `release`. Source: requirements H-22, H-23.
 */
export class Connections {
  readonly #limits: ConnectionLimits
  readonly #connecting: Connecting
  readonly #open = new Set<Connection<Share>>()
  /** The one that was used last is at the end, because it is the least likely to be closed just now. */
  readonly #idle: Connection<Share>[] = []
  #used = 0
  #streams = 0
  readonly #shares = new Map<string, Share>()
  readonly #withoutSession: Share
  /** Shares of which somebody waits and may have a connection, in the order of their turns. */
  readonly #turns = new Set<Share>()
  /** Until when each waits. All wait equally long, so the first is the next to give up. */
  readonly #waiting = new Map<Applicant, number>()
  #patience: NodeJS.Timeout | null = null
  #isServing = false
  #isClosed = false

  /** @param now a clock that never goes back, in milliseconds. */
  constructor(origin: string, limits: ConnectionLimits, now: () => number) {
    this.#limits = limits
    this.#connecting = new Connecting(origin, limits, now)
    this.#withoutSession = share(undefined, Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY)
  }

  /** Requests and streams under way, and those that wait. */
  get load(): number {
    return this.#used + this.#streams + this.#waiting.size
  }

  /** @returns null: the applicant waits, and is told. */
  take(applicant: Applicant): Connection | null {
    const own = this.#shareOf(applicant.grantId)
    const isFree = this.#turns.size === 0 && this.#used < this.#limits.connections
    if (isFree && own.used < own.max) return this.#connectionFor(own)
    own.waiting ??= new Set()
    own.waiting.add(applicant)
    if (own.used < own.max) this.#turns.add(own)
    const { connectMs } = this.#limits.timeouts
    this.#waiting.set(applicant, this.#connecting.now() + connectMs)
    this.#patience ??= setTimeout(this.#giveUp, connectMs).unref()
    return null
  }

  /** It waits no longer. No effect if it does not. */
  cancel(applicant: Applicant): void {
    if (!this.#waiting.delete(applicant)) return
    const own = this.#shareOf(applicant.grantId)
    own.waiting?.delete(applicant)
    this.#tidy(own)
  }

  /** What the connection carries stays open. False if its session has as many streams as it may. */
  becomeStream(connection: Connection): boolean {
    const { holder: own } = connection as Connection<Share>
    if (own === null || own.streams >= own.maxStreams) return false
    connection.isStream = true
    own.streams++
    this.#streams++
    own.used--
    this.#used--
    this.#next(own)
    return true
  }

  /** Its request is over, and so is everything that it carried. */
  release(connection: Connection): void {
    const given = connection as Connection<Share>
    const { holder: own, isStream } = given
    if (own === null) return
    given.holder = null
    given.isStream = false
    if (isStream) {
      own.streams--
      this.#streams--
    } else {
      own.used--
      this.#used--
    }
    const isWanted = !this.#isClosed && this.#used + this.#idle.length < this.#limits.connections
    if (isWanted) this.#idle.push(given)
    else this.#retire(given)
    this.#next(own)
  }

  /** When everything that is under way has ended. */
  async close(): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#open].map((connection) => connection.close()))
  }

  #connectionFor(own: Share): Connection<Share> {
    const connection = this.#youngIdle() ?? new Connection<Share>(this.#connecting)
    this.#open.add(connection)
    connection.holder = own
    own.used++
    this.#used++
    return connection
  }

  #youngIdle(): Connection<Share> | undefined {
    for (;;) {
      const connection = this.#idle.pop()
      if (connection === undefined || !connection.isOld) return connection
      this.#retire(connection)
    }
  }

  #retire(connection: Connection<Share>): void {
    this.#open.delete(connection)
    void connection.close()
  }

  #shareOf(grantId: string | undefined): Share {
    if (grantId === undefined) return this.#withoutSession
    let own = this.#shares.get(grantId)
    if (own === undefined) {
      own = share(grantId, this.#limits.connectionsPerSession, this.#limits.streamsPerSession)
      this.#shares.set(grantId, own)
    }
    return own
  }

  /** Something of the share is free again. */
  #next(own: Share): void {
    if (own.waiting !== null && own.waiting.size > 0) this.#turns.add(own)
    else this.#tidy(own)
    // Not at once: undici is in the middle of the request that has ended, and may not be called.
    if (this.#turns.size === 0 || this.#isServing) return
    this.#isServing = true
    queueMicrotask(this.#serve)
  }

  readonly #serve = (): void => {
    this.#isServing = false
    for (const own of this.#turns) {
      if (this.#used >= this.#limits.connections) return
      this.#turns.delete(own)
      const [applicant] = own.waiting ?? []
      if (applicant === undefined || own.used >= own.max) continue
      own.waiting?.delete(applicant)
      this.#waiting.delete(applicant)
      const connection = this.#connectionFor(own)
      // At the end of the turns.
      if (own.waiting?.size !== 0 && own.used < own.max) this.#turns.add(own)
      applicant.granted(connection)
    }
  }

  readonly #giveUp = (): void => {
    this.#patience = null
    const now = this.#connecting.now()
    for (const [applicant, until] of this.#waiting) {
      if (until > now) {
        this.#patience = setTimeout(this.#giveUp, until - now).unref()
        return
      }
      const own = this.#shareOf(applicant.grantId)
      const isOwn = own.used >= own.max && own.max < this.#limits.connections
      this.cancel(applicant)
      applicant.notGranted(isOwn ? 'connectionsPerSession' : 'connections')
    }
  }

  /** Nothing is kept for a session that holds nothing. */
  #tidy(own: Share): void {
    if (own.waiting !== null && own.waiting.size > 0) return
    this.#turns.delete(own)
    if (own.used === 0 && own.streams === 0 && own.grantId !== undefined) this.#shares.delete(own.grantId)
  }
}

function share(grantId: string | undefined, max: number, maxStreams: number): Share {
  return { grantId, max, maxStreams, used: 0, streams: 0, waiting: null }
}
