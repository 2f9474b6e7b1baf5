import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Session } from '../../../plugin/index.ts'

/** Is told of each forwarded request when it is over. */
export interface AccessLog {
  ended(record: RequestRecord): void
}

/** The request itself: a `ClientRequest`. */
interface RecordedRequest {
  readonly id: string
  readonly raw: Pick<IncomingMessage, 'method' | 'httpVersionMajor'>
  readonly response: ServerResponse
  readonly headers: { readonly contentLength: number }
  /** The client's address. */
  readonly ip: string
  /** When its header was there, by `performance.now()`. */
  readonly startedAt: number
}

/** Where it goes. */
interface RecordedRoute {
  /** Its prefix. */
  readonly name: string
}

/** What an access log wants to know of one forwarded request. The exchange notes what happens. */
export class RequestRecord {
  readonly request: RecordedRequest
  readonly route: RecordedRoute
  /** The client's, where nobody could tell it afterwards. */
  readonly #address: string | undefined
  /** Undefined on a public route. */
  readonly session: Session | undefined
  /** The target that it was sent to last, as a Host value; `''`: to none. */
  target = ''
  /** Of the response's body, as it was passed to the client. */
  bytesOut = 0
  /** The response has been passed on to its end. */
  isComplete = false
  /** It could not be, and that was not the client's doing. */
  isBroken = false
  /** Set for a body that is passed on as a stream. */
  upload: { readonly bytes: number } | null = null
  #sentAt = 0
  #answeredAt = 0
  #tunnel: { readonly client: Socket; readonly read: number; readonly written: number } | null = null
  readonly #log: AccessLog

  constructor(log: AccessLog, request: RecordedRequest, route: RecordedRoute, session: Session | undefined) {
    this.request = request
    this.route = route
    this.session = session
    this.#log = log
    // The stream of a request over HTTP/2 has no connection any more when it is over.
    this.#address = request.raw.httpVersionMajor === 2 ? request.ip : undefined
    request.response.once('close', () => log.ended(this))
  }

  /** To this target now. */
  sent(target: string): void {
    this.target = target
    this.#sentAt = performance.now()
  }

  /** The upstream has answered. */
  answered(): void {
    this.#answeredAt = performance.now()
  }

  /** The connection is a tunnel now: the request is over when that is. */
  switched(client: Socket): void {
    this.#tunnel = { client, read: client.bytesRead, written: client.bytesWritten }
    this.isComplete = true
    this.answered()
    client.once('close', () => this.#log.ended(this))
  }

  /** What the client was told. 499: nothing, because it has left before (as nginx says it). */
  get status(): number {
    if (this.#tunnel !== null) return 101
    const { headersSent, statusCode } = this.request.response
    return headersSent ? statusCode : 499
  }

  /** Bytes of the body, or of the tunnel, that the client has sent. */
  get bytesFromClient(): number {
    if (this.#tunnel !== null) return this.#tunnel.client.bytesRead - this.#tunnel.read
    return this.upload?.bytes ?? Math.max(0, this.request.headers.contentLength)
  }

  get bytesToClient(): number {
    return this.#tunnel === null ? this.bytesOut : this.#tunnel.client.bytesWritten - this.#tunnel.written
  }

  /** The client's. */
  get address(): string {
    return this.#address ?? this.request.ip
  }

  /** Milliseconds from the header of the request to now. */
  get durationMs(): number {
    return performance.now() - this.request.startedAt
  }

  /** Milliseconds from the last time it was sent to the head of the answer; undefined: there was none. */
  get upstreamMs(): number | undefined {
    return this.#answeredAt === 0 ? undefined : this.#answeredAt - this.#sentAt
  }
}
