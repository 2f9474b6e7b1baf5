import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Session } from '../../plugin/index.ts'
import { endAndClose } from './closing.ts'
import { type UploadError, UpstreamError } from './errors.ts'
import { writeInformational } from './informational.ts'
import { type Access, PublicRoute } from './policy.ts'
import { answerRefusal } from './problem.ts'
import { isEventStream, responseHead, responseTrailers } from './response-headers.ts'
import type { Stream, StreamEnd } from './streams.ts'
import type { UpstreamRoute } from './upstream.ts'

/** How long a client may take to read the end of an event stream that we end. */
const LINGER_MS = 1000

/** What is forwarded, beside the request itself. */
export interface ForwardedRequest {
  /** Flat list, complete but for host, credentials and framing. */
  readonly fields: string[]
  /** -1: not announced. */
  readonly contentLength: number
  readonly hasBody: boolean
  /** The client's own, for the log. */
  readonly clientRequestId: string | undefined
  /** Fields that the answer gets in any case, e.g. CORS; null for none. */
  readonly answerFields: Readonly<Record<string, string>> | null
}

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
  protected readonly request: IncomingMessage
  protected readonly response: ServerResponse
  protected readonly requestId: string
  readonly #log: FastifyRequest['log']
  readonly #clientRequestId: string | undefined
  readonly #answerFields: ForwardedRequest['answerFields']
  #resume: (() => void) | null = null
  #stalled: NodeJS.Timeout | null = null
  /** Bytes of the body that are still to come; negative: unknown. */
  #remaining = -1
  /** Among the open streams. */
  #isOpen = false
  #isEventStream = false
  /** Nothing more happens: the answer has ended, or one side is gone. */
  #done = false

  constructor(
    route: UpstreamRoute,
    access: Access,
    request: FastifyRequest,
    reply: FastifyReply,
    { answerFields, clientRequestId }: ForwardedRequest,
  ) {
    this.session = access instanceof PublicRoute ? undefined : access
    this.route = route
    this.request = request.raw
    this.response = reply.raw
    this.requestId = request.id
    this.#log = request.log
    this.#clientRequestId = clientRequestId
    this.#answerFields = answerFields
    reply.raw.on('close', () => this.#closed())
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
      writeInformational(this.request, this.response, status, raw)
      return true
    }
    const { fields, contentLength } = responseHead(raw, status, this.route, this.path)
    fields.push('x-request-id', this.requestId)
    for (const name in this.#answerFields) fields.push(name, this.#answerFields[name]!)
    if (this.uploading) fields.push('connection', 'close')
    try {
      this.response.writeHead(status, fields)
    } catch (cause) {
      throw new UpstreamError('answer_malformed', cause)
    }
    // Nothing follows, whatever length is announced (RFC 9112 §6.3).
    if (contentLength === 0 || status === 204 || status === 304 || this.request.method === 'HEAD') {
      this.#end(undefined)
      return true
    }
    this.#remaining = contentLength
    this.#resume = resume
    process.nextTick(flushHead, this, fields)
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
   * Called when the answer has not ended with its first piece: the head goes out by itself when no body came along
   * with it, e.g. at the beginning of an event stream; and the answer may be a long one.
   */
  flushHead(fields: readonly string[]): void {
    if (this.#done || this.response.destroyed) return
    // `flushHeaders` would send bytes above ASCII as UTF-8.
    this.response.write('', 'latin1')
    this.#isEventStream = isEventStream(fields)
    this.#isOpen = true
    if (this.#isEventStream) this.route.streams.add(this)
    else this.route.streams.addIfLong(this)
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
    if (error instanceof UpstreamError) this.#log.warn(this.#logFields(error), 'upstream failed')
    // The head is out: only a broken connection tells the client that the answer is not whole.
    if (this.response.headersSent) this.response.destroy()
    else {
      const fields = this.#answerFields ?? undefined
      answerRefusal(this.request, this.response, this.requestId, error.refusal, fields)
    }
  }

  /** With the last piece where its length is known: one write less. */
  #end(chunk: Buffer | undefined): void {
    const { uploading } = this
    this.settle(false)
    // Answered before the upload has ended: the rest is not wanted (RFC 9112 §9.3).
    if (uploading) {
      this.stopUpload()
      endAndClose(this.request, this.response, chunk)
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
    const [requestId, clientRequestId] = [this.requestId, this.#clientRequestId]
    return { requestId, clientRequestId, upstream: this.route.name, err }
  }
}

function flushHead(answer: Answer, fields: readonly string[]): void {
  answer.flushHead(fields)
}
