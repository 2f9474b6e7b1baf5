import type { IncomingMessage, ServerResponse } from 'node:http'
import type { FastifyReply, FastifyRequest } from 'fastify'
import type { Dispatcher } from 'undici'
import type { Session } from '../../plugin/index.ts'
import { endAndClose } from './closing.ts'
import { UploadError, UpstreamError } from './errors.ts'
import { upstreamTarget } from './path.ts'
import { type Access, PublicRoute } from './policy.ts'
import { answerRefusal } from './problem.ts'
import { isEventStream, responseHead, responseTrailers } from './response-headers.ts'
import type { Stream, StreamEnd } from './streams.ts'
import { Upload } from './upload.ts'
import type { UpstreamRoute } from './upstream.ts'

/** How long a client may take to read the end of an event stream that we end. */
const LINGER_MS = 1000

/** What is forwarded, beside the request itself. */
export interface ForwardedRequest {
  /** Flat list, complete but for credentials and framing. */
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
 * One request and its answer. undici calls it (its raw handler interface: the header as bytes, nothing parsed
 * or allocated that is not used).
 */
export class Exchange implements Dispatcher.DispatchHandler, Stream {
  /** Undefined on a public route. */
  readonly session: Session | undefined
  readonly path: string
  readonly upload: Upload | null
  readonly #route: UpstreamRoute
  readonly #log: FastifyRequest['log']
  readonly #requestId: string
  readonly #clientRequestId: string | undefined
  readonly #request: IncomingMessage
  readonly #response: ServerResponse
  readonly #answerFields: ForwardedRequest['answerFields']
  #abort: ((error?: Error) => void) | null = null
  #resume: (() => void) | null = null
  #stalled: NodeJS.Timeout | null = null
  /** Among the open streams. */
  #isOpen = false
  #isEventStream = false
  /** Bytes of the answer's body that are still to come; negative: unknown. */
  #remaining = -1
  /** Nothing more happens: the answer has ended, or one side is gone. */
  #done = false

  constructor(
    route: UpstreamRoute,
    access: Access,
    request: FastifyRequest,
    reply: FastifyReply,
    { hasBody, answerFields, clientRequestId }: ForwardedRequest,
  ) {
    this.session = access instanceof PublicRoute ? undefined : access
    this.#route = route
    this.#log = request.log
    this.#requestId = request.id
    this.#clientRequestId = clientRequestId
    this.#request = request.raw
    this.#response = reply.raw
    this.#answerFields = answerFields
    this.path = upstreamTarget(request.raw.url ?? '/', route.prefix, route.base)
    this.upload = hasBody ? new Upload(request.raw, route.bodyLimitBytes, route.idleMs) : null
    this.upload?.on('error', (error) => this.#fail(error))
    reply.raw.on('close', () => this.#closed())
  }

  onConnect(abort: (error?: Error) => void): void {
    if (this.#done) abort()
    else this.#abort = abort
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void): boolean {
    if (this.#done) return true
    if (status < 200) {
      this.#informational(status, raw)
      return true
    }
    const { fields, contentLength } = responseHead(raw, status, this.#route, this.path)
    fields.push('x-request-id', this.#requestId)
    for (const name in this.#answerFields) fields.push(name, this.#answerFields[name]!)
    if (this.#uploading) fields.push('connection', 'close')
    try {
      this.#response.writeHead(status, fields)
    } catch (cause) {
      throw new UpstreamError('answer_malformed', cause)
    }
    // Nothing follows, whatever length is announced (RFC 9112 §6.3).
    if (contentLength === 0 || status === 204 || status === 304 || this.#request.method === 'HEAD') {
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
    if (this.#response.write(chunk)) return true
    this.#waitForClient()
    return false
  }

  onComplete(trailers: unknown): void {
    if (this.#done) return
    if (Array.isArray(trailers) && trailers.length > 0 && this.#response.chunkedEncoding) {
      this.#response.addTrailers(responseTrailers(trailers))
    }
    this.#end(undefined)
  }

  onError(error: Error): void {
    this.#fail(error)
  }

  /**
   * Called when the answer has not ended with its first piece: the head goes out by itself when no body came along
   * with it, e.g. at the beginning of an event stream; and the answer may be a long one.
   */
  flushHead(fields: readonly string[]): void {
    if (this.#done || this.#response.destroyed) return
    this.#response.flushHeaders()
    this.#isEventStream = isEventStream(fields)
    this.#isOpen = true
    if (this.#isEventStream) this.#route.streams.add(this)
    else this.#route.streams.addIfLong(this)
  }

  /**
   * Ends an answer that is still open. An event stream ends whole, because its client will come back for the rest;
   * of another one the client must see that it is not whole. That may take its time when the gateway stops.
   */
  end(reason: StreamEnd): void {
    if (reason === 'draining' && !this.#isEventStream) return
    if (!this.settle()) return
    if (this.#isEventStream) {
      this.#response.end()
      this.#stalled = setTimeout(() => this.#response.destroy(), LINGER_MS)
    } else this.#response.destroy()
    this.upload?.destroy()
    this.#abort?.()
  }

  /** The one end of every exchange. False if it is over already. */
  protected settle(): boolean {
    if (this.#done) return false
    this.#done = true
    if (this.#isOpen) this.#route.streams.delete(this)
    if (this.#stalled !== null) clearTimeout(this.#stalled)
    return true
  }

  /** The client is still sending. */
  get #uploading(): boolean {
    return this.upload !== null && !this.upload.complete
  }

  /** With the last piece where its length is known: one write less. */
  #end(chunk: Buffer | undefined): void {
    if (!this.settle()) return
    // Answered before the upload has ended: the rest is not wanted (RFC 9112 §9.3).
    if (this.#uploading) {
      this.upload?.destroy()
      endAndClose(this.#request, this.#response, chunk)
    } else this.#response.end(chunk)
  }

  #informational(status: number, raw: Buffer[]): void {
    if (this.#request.httpVersion === '1.0') return
    if (status === 102) this.#response.writeProcessing()
    if (status !== 103) return
    const link: string[] = []
    for (let i = 0; i < raw.length; i += 2) {
      if (raw[i]!.toString('latin1').toLowerCase() === 'link') link.push(raw[i + 1]!.toString('latin1'))
    }
    try {
      this.#response.writeEarlyHints({ link })
    } catch {
      // A hint that Node finds malformed is no reason to lose the answer.
    }
  }

  /** Backpressure, for a bounded time: a client that reads nothing must not hold an upstream connection. */
  #waitForClient(): void {
    this.#stalled = setTimeout(() => this.#response.destroy(), this.#route.idleMs)
    this.#response.once('drain', () => {
      if (this.#stalled !== null) clearTimeout(this.#stalled)
      this.#stalled = null
      this.#resume?.()
    })
  }

  #closed(): void {
    if (!this.settle()) {
      if (this.#stalled !== null) clearTimeout(this.#stalled)
      return
    }
    this.upload?.destroy()
    this.#abort?.()
  }

  #fail(error: Error): void {
    if (!this.settle()) return
    const uploadError = error instanceof UploadError
    const refused = uploadError ? error : UpstreamError.from(error)
    if (!uploadError) this.#log.warn(this.#logFields(refused), 'upstream failed')
    // The head is out: only a broken connection tells the client that the answer is not whole.
    if (this.#response.headersSent) this.#response.destroy()
    else {
      answerRefusal(
        this.#request,
        this.#response,
        this.#requestId,
        refused.refusal,
        this.#answerFields ?? undefined,
      )
    }
    this.upload?.destroy()
    this.#abort?.()
  }

  #logFields(err: Error) {
    const [requestId, clientRequestId] = [this.#requestId, this.#clientRequestId]
    return { requestId, clientRequestId, upstream: this.#route.name, err }
  }
}

function flushHead(exchange: Exchange, fields: readonly string[]): void {
  exchange.flushHead(fields)
}
