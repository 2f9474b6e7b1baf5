import type { Pkce, Session } from '../../../plugin/index.ts'

/** A response that is open for longer counts as a stream. */
const LONG_MS = 1000

/** Why a stream is ended by us. */
export type StreamEnd = 'session_ended' | 'draining'

/** Something that stays open after an ordinary answer would be over: a WebSocket, an event stream, a long answer. */
export interface OpenStream {
  /** Whose it is; undefined on a public route. */
  readonly session: Session | undefined
  end(reason: StreamEnd): void
}

/** All open streams, each ended when its session ends, and told when the gateway stops (requirements H-30, K-07). */
export class OpenStreams {
  readonly #sessions: () => Pick<Pkce, 'onSessionEnd'>
  readonly #open = new Map<OpenStream, () => void>()
  /** Answers that were open at the last beat, and those that have been opened since. */
  #older = new Set<OpenStream>()
  #younger = new Set<OpenStream>()
  #draining = false
  #isServed: (session: Session) => boolean = () => true
  readonly #beat = setInterval(() => this.#addOlder(), LONG_MS).unref()

  constructor(sessions: () => Pick<Pkce, 'onSessionEnd'>) {
    this.#sessions = sessions
  }

  add(stream: OpenStream): void {
    const { session } = stream
    this.#open.set(stream, () => {})
    if (session !== undefined) {
      const unwatch = this.#sessions().onSessionEnd(session, () => stream.end('session_ended'))
      if (this.#open.has(stream)) this.#open.set(stream, unwatch)
      else unwatch()
    }
    if (this.#draining) stream.end('draining')
    this.#endUnserved(stream)
  }

  /** Adds it if it is still there after a second or two: most answers are over by then, and cost next to nothing. */
  addIfLong(stream: OpenStream): void {
    this.#younger.add(stream)
  }

  /** No effect if it was never added. */
  delete(stream: OpenStream): void {
    if (this.#younger.delete(stream) || this.#older.delete(stream)) return
    const unwatch = this.#open.get(stream)
    if (unwatch === undefined) return
    unwatch()
    this.#open.delete(stream)
  }

  /** Tells every stream, now and from now on, that the gateway stops. */
  drain(): void {
    this.#draining = true
    for (const stream of [...this.#open.keys()]) stream.end('draining')
  }

  /** Ends the streams of sessions that are not served any more, now and from now on. */
  endUnless(isServed: (session: Session) => boolean): void {
    this.#isServed = isServed
    for (const stream of [...this.#open.keys()]) this.#endUnserved(stream)
  }

  #endUnserved(stream: OpenStream): void {
    if (stream.session !== undefined && !this.#isServed(stream.session)) stream.end('session_ended')
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
}
