import type { Pkce, Session } from '../../plugin/index.ts'

/** Open at a time for one grant (requirements K-05). */
const MAX_PER_GRANT = 100

/** Why a stream is ended by us. */
export type StreamEnd = 'session_ended' | 'draining'

/** Something that stays open after an ordinary answer would be over: a WebSocket, an event stream, a long answer. */
export interface Stream {
  /** Whose it is; undefined on a public route. */
  readonly session: Session | undefined
  end(reason: StreamEnd): void
}

/** All open streams, each ended when its session ends, and told when the gateway stops (requirements H-30, K-07). */
export class OpenStreams {
  readonly #sessions: () => Pick<Pkce, 'onSessionEnd'>
  readonly #open = new Map<Stream, () => void>()
  readonly #perGrant = new Map<string, number>()
  #draining = false

  constructor(sessions: () => Pick<Pkce, 'onSessionEnd'>) {
    this.#sessions = sessions
  }

  get size(): number {
    return this.#open.size
  }

  /** True if the session's grant may not open another one. */
  isFull(session: Session | undefined): boolean {
    return session !== undefined && (this.#perGrant.get(session.grantId) ?? 0) >= MAX_PER_GRANT
  }

  add(stream: Stream): void {
    const { session } = stream
    let unwatch = () => {}
    if (session !== undefined) {
      this.#count(session.grantId, 1)
      unwatch = this.#sessions().onSessionEnd(session, () => stream.end('session_ended'))
    }
    this.#open.set(stream, unwatch)
    if (this.#draining) stream.end('draining')
  }

  /** No effect if it was never added. */
  delete(stream: Stream): void {
    const unwatch = this.#open.get(stream)
    if (unwatch === undefined) return
    unwatch()
    this.#open.delete(stream)
    if (stream.session !== undefined) this.#count(stream.session.grantId, -1)
  }

  /** Tells every stream, now and from now on, that the gateway stops. */
  drain(): void {
    this.#draining = true
    for (const stream of [...this.#open.keys()]) stream.end('draining')
  }

  #count(grantId: string, change: 1 | -1): void {
    const count = (this.#perGrant.get(grantId) ?? 0) + change
    if (count === 0) this.#perGrant.delete(grantId)
    else this.#perGrant.set(grantId, count)
  }
}
