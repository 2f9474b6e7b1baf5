import type { ServerResponse } from 'node:http'
import type { Session } from '../../../plugin/index.ts'
import { endAndClose } from '../../http/lingering-close.ts'
import { type UploadError, UpstreamError } from '../../http/refusals.ts'
import { writeInformational } from '../../listener/informational.ts'
import type { ClientRequest } from '../client-request.ts'
import { isEventStream, responseHead, responseTrailers } from '../headers/response-headers.ts'
import { type Access, PublicRoute } from '../policy.ts'
import type { UpstreamRoute } from '../upstream/route.ts'
import type { Stream, StreamEnd } from './open-streams.ts'

/** How long a client may take to read the end of an event stream that we end. */
const LINGER_MS = 1000

/**
 * The way of an upstream's answer to the client: head, body at the client's pace, trailer; or what went wrong.
 *
 * undici calls it (its raw handler interface: the header as bytes, nothing parsed or allocated that is not used).
 */
export abstract class Answer implements Stream {
  readonly session: Session | undefined
  /** Of the upstream request. */
  abstract readonly path: string
  protected readonly route: UpstreamRoute
  protected readonly request: ClientRequest
  protected readonly response: ServerResponse
  #resume: (() => void) | null = null
  #stalled: NodeJS.Timeout | null = null
  /** Bytes of the body that are still to come; negative: unknown. */
  #remaining = -1
  #head: readonly string[] = []
  /** Among the open streams. */
  #isOpen = false
  #isEventStream = false
  /** Nothing more happens: the answer has ended, or one side is gone. */
  #done = false

  constructor(route: UpstreamRoute, access: Access, request: ClientRequest) {
    this.session = access instanceof PublicRoute ? undefined : access
    this.route = route
    this.request = request
    this.response = request.response
    this.response.on('close', () => this.#closed())
  }

  /** The client is still sending. */
  protected abstract get uploading(): boolean

  /** The upload, which nobody wants any more. */
  protected abstract stopUpload(): void

  /** The upstream request, which is over with the answer or is to be broken off. */
  protected abstract release(abort: boolean): void

  protected get isOver(): boolean {
    return this.#done
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void): boolean {
    if (this.#done) return true
    if (status < 200) {
      writeInformational(this.request.raw, this.response, status, raw)
      return true
    }
    const { fields, contentLength } = responseHead(raw, status, this.route, this.path)
    const { id, answerFields } = this.request
    fields.push('x-request-id', id)
    for (const name in answerFields) fields.push(name, answerFields[name]!)
    if (this.uploading) fields.push('connection', 'close')
    try {
      this.response.writeHead(status, fields)
    } catch (cause) {
      throw new UpstreamError('answer_malformed', cause)
    }
    // Nothing follows, whatever length is announced (RFC 9112 §6.3).
    if (contentLength === 0 || status === 204 || status === 304 || this.request.raw.method === 'HEAD') {
      this.#end(undefined)
      return true
    }
    this.#remaining = contentLength
    this.#resume = resume
    this.#head = fields
    this.route.streams.begun(this)
    return true
  }

  onData(chunk: Buffer): boolean {
    if (this.#done) return true
    this.#remaining -= chunk.length
    if (this.#remaining === 0) {
      this.#end(chunk)
      return true
    }
    if (this.response.write(chunk)) return true
    this.#waitForClient()
    return false
  }

  onComplete(trailers: unknown): void {
    if (this.#done) return
    if (Array.isArray(trailers) && trailers.length > 0 && this.response.chunkedEncoding) {
      this.response.addTrailers(responseTrailers(trailers))
    }
    this.#end(undefined)
  }

  /**
   * The answer has not ended with its first piece: the head goes out by itself when no body came along with it,
   * e.g. at the beginning of an event stream; and the answer may be a long one.
   */
  flushHead(): void {
    if (this.#done || this.response.destroyed) return
    // `flushHeaders` would send bytes above ASCII as UTF-8.
    this.response.write('', 'latin1')
    this.#isEventStream = isEventStream(this.#head)
    if (!this.#isEventStream) this.endWithSession()
    else {
      this.#isOpen = true
      this.route.streams.delete(this)
      this.route.streams.add(this)
    }
  }

  /** Should it take long, it is over when its session is. */
  protected endWithSession(): void {
    if (this.#isOpen) return
    this.#isOpen = true
    this.route.streams.addIfLong(this)
  }

  /**
   * Ends an answer that is still open. An event stream ends whole, because its client will come back for the rest;
   * of another one the client must see that it is not whole. That may take its time when the gateway stops.
   */
  end(reason: StreamEnd): void {
    if (reason === 'draining' && !this.#isEventStream) return
    if (!this.settle(true)) return
    if (this.#isEventStream) {
      this.response.end()
      this.#stalled = setTimeout(() => this.response.destroy(), LINGER_MS)
    } else this.response.destroy()
  }

  /** The one end of every exchange. False if it is over already. */
  protected settle(abort: boolean): boolean {
    if (this.#done) return false
    this.#done = true
    if (this.#isOpen) this.route.streams.delete(this)
    if (this.#stalled !== null) clearTimeout(this.#stalled)
    if (abort) this.stopUpload()
    this.release(abort)
    return true
  }

  /** Says to the client what can still be said. */
  protected fail(error: UploadError | UpstreamError): void {
    if (!this.settle(true)) return
    if (error instanceof UpstreamError) this.request.log.warn(this.#logFields(error), 'upstream failed')
    // The head is out: only a broken connection tells the client that the answer is not whole.
    if (this.response.headersSent) this.response.destroy()
    else this.request.refuse(error.refusal)
  }

  /** With the last piece where its length is known: one write less. */
  #end(chunk: Buffer | undefined): void {
    const { uploading } = this
    this.settle(false)
    // Answered before the upload has ended: the rest is not wanted (RFC 9112 §9.3).
    if (uploading) {
      this.stopUpload()
      endAndClose(this.request.raw, this.response, chunk)
    } else this.response.end(chunk)
  }

  /** Backpressure, for a bounded time: a client that reads nothing must not hold an upstream connection. */
  #waitForClient(): void {
    this.#stalled = setTimeout(() => this.response.destroy(), this.route.idleMs)
    this.response.once('drain', () => {
      if (this.#stalled !== null) clearTimeout(this.#stalled)
      this.#stalled = null
      this.#resume?.()
    })
  }

  #closed(): void {
    if (!this.settle(true) && this.#stalled !== null) clearTimeout(this.#stalled)
  }

  #logFields(err: Error) {
    const { id: requestId, headers } = this.request
    return { requestId, clientRequestId: headers.clientRequestId, upstream: this.route.name, err }
  }
}
