import type { Pkce, Session } from '../../../plugin/index.ts'

/** An answer that takes longer is a long one. */
const LONG_MS = 1000
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

/** An answer of which only the head has come so far. */
export interface Beginning {
  /** To be called once the pieces that came together with the head have been taken. */
  flushHead(): void
}

/** All open streams, each ended when its session ends, and told when the gateway stops (requirements H-30, K-07). */
export class OpenStreams {
  readonly #sessions: () => Pick<Pkce, 'onSessionEnd'>
  readonly #open = new Map<Stream, () => void>()
  readonly #perGrant = new Map<string, number>()
  /** Answers whose head came in this turn of the event loop. */
  readonly #begun: Beginning[] = []
  /** Answers that were open at the last beat, and those that have been opened since. */
  #older = new Set<Stream>()
  #younger = new Set<Stream>()
  #draining = false
  readonly #beat = setInterval(() => this.#addOlder(), LONG_MS).unref()

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

  /** Looks at the answer again when all that has arrived by now is read: most are over by then. */
  begun(answer: Beginning): void {
    if (this.#begun.push(answer) === 1) setImmediate(this.#flushHeads)
  }

  readonly #flushHeads = (): void => {
    for (const answer of this.#begun.splice(0)) answer.flushHead()
  }

  add(stream: Stream): void {
    const { session } = stream
    this.#open.set(stream, () => {})
    if (session !== undefined) {
      this.#count(session.grantId, 1)
      const unwatch = this.#sessions().onSessionEnd(session, () => stream.end('session_ended'))
      if (this.#open.has(stream)) this.#open.set(stream, unwatch)
      else unwatch()
    }
    if (this.#draining) stream.end('draining')
  }

  /** Adds it if it is still there after a second or two: most answers are over by then, and cost next to nothing. */
  addIfLong(stream: Stream): void {
    this.#younger.add(stream)
  }

  /** No effect if it was never added. */
  delete(stream: Stream): void {
    if (this.#younger.delete(stream) || this.#older.delete(stream)) return
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

  /** Stops waiting for long answers. */
  close(): void {
    clearInterval(this.#beat)
  }

  #addOlder(): void {
    for (const stream of this.#older) this.add(stream)
    this.#older = this.#younger
    this.#younger = new Set()
  }

  #count(grantId: string, change: 1 | -1): void {
    const count = (this.#perGrant.get(grantId) ?? 0) + change
    if (count === 0) this.#perGrant.delete(grantId)
    else this.#perGrant.set(grantId, count)
  }
}
