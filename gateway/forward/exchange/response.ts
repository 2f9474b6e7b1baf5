import type { IncomingMessage, ServerResponse } from 'node:http'
import { canHaveTrailer, flushHead } from '../../listener/http1-response.ts'
import { endAndClose } from '../../listener/lingering-close.ts'
import { type ResponseHead, responseTrailers } from '../headers/response-headers.ts'
import { UpstreamError } from '../upstream/upstream-error.ts'

/** How long a client may take to read the end of an event stream that we end. */
const LINGER_MS = 1000

/** The exchange that a response belongs to. */
export interface ResponseOwner {
  /** Nothing more happens: the response has ended, or one side is gone. */
  readonly isOver: boolean
  /** The response did not end with the pieces that came along with its head: it may be a long one. */
  stayedOpen(): void
  /** The upstream may send more. */
  resume(): void
}

/** The response to the client, at the client's pace: head, body, trailer. When it is over is its owner's matter. */
export class ClientResponse {
  readonly #raw: ServerResponse
  readonly #owner: ResponseOwner
  readonly #idleMs: number
  #stalled: NodeJS.Timeout | null = null
  /** Bytes of the body that are still to come; negative: unknown. */
  #remaining = -1
  #isEventStream = false

  /** @param idleMs how long a client may read nothing before its connection is closed. */
  constructor(raw: ServerResponse, owner: ResponseOwner, idleMs: number) {
    this.#raw = raw
    this.#owner = owner
    this.#idleMs = idleMs
  }

  /** Known from its header. */
  get isEventStream(): boolean {
    return this.#isEventStream
  }

  /**
   * Sends the head, along with what comes of the body in the same turn of the event loop, or else by itself.
   *
   * @throws UpstreamError `answer_malformed` for what no header may hold.
   */
  begin(status: number, { fields, contentLength, isEventStream }: ResponseHead): void {
    try {
      this.#raw.writeHead(status, fields)
    } catch (cause) {
      throw new UpstreamError('answer_malformed', cause)
    }
    this.#isEventStream = isEventStream
    this.#remaining = contentLength
  }

  /** A body follows. Most responses are over when all that has arrived by now is read: then this one is looked at again. */
  awaitBody(): void {
    if (begun.push(this) === 1) setImmediate(lookAgain)
  }

  /** Takes a piece off what is to come. True if it is the last one. */
  isLast(chunk: Buffer): boolean {
    this.#remaining -= chunk.length
    return this.#remaining === 0
  }

  /** Sends a piece. False if the client must read first; its owner is told to resume when it has. */
  write(chunk: Buffer): boolean {
    if (this.#raw.write(chunk)) return true
    // For a bounded time: a client that reads nothing must not hold an upstream connection.
    this.#stalled = setTimeout(() => this.#raw.destroy(), this.#idleMs)
    this.#raw.once('drain', () => {
      this.stopWaiting()
      this.#owner.resume()
    })
    return false
  }

  /** Sends a trailer where the framing of the response has one. @param received names and values in turn. */
  addTrailers(received: readonly string[]): void {
    if (received.length > 0 && canHaveTrailer(this.#raw)) this.#raw.addTrailers(responseTrailers(received))
  }

  /**
   * Ends it, with the last piece where its length is known: one write less.
   *
   * @param unread the request, if it was answered before it has ended: the rest is not wanted (RFC 9112 §9.3).
   */
  end(chunk: Buffer | undefined, unread: IncomingMessage | null): void {
    if (unread === null) this.#raw.end(chunk)
    else endAndClose(unread, this.#raw, chunk)
  }

  /**
   * Ends a response before it is whole. An event stream ends well, because its client will come back for the rest; of
   * another one the client must see that it is not whole (RFC 9112 §8).
   */
  breakOff(): void {
    if (this.#isEventStream) {
      this.#raw.end()
      this.#stalled = setTimeout(() => this.#raw.destroy(), LINGER_MS)
    } else this.#raw.destroy()
  }

  /** The client is waited for no longer. */
  stopWaiting(): void {
    if (this.#stalled !== null) clearTimeout(this.#stalled)
    this.#stalled = null
  }

  /** The head goes out by itself when no body came along with it, e.g. at the beginning of an event stream. */
  lookAgain(): void {
    if (this.#owner.isOver || this.#raw.destroyed) return
    flushHead(this.#raw)
    this.#owner.stayedOpen()
  }
}

/** Responses whose head came in this turn of the event loop. */
const begun: ClientResponse[] = []

function lookAgain(): void {
  for (const response of begun.splice(0)) response.lookAgain()
}
