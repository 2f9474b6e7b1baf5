import type { Duplex } from 'node:stream'
import type { Session } from '../../../plugin/index.ts'
import type { Refusal } from '../../http/refusals.ts'
import { endWithHeader } from '../../listener/http1-request.ts'
import { writeInformational } from '../../listener/http1-response.ts'
import type { ClientRequest } from '../client-request.ts'
import { responseHead } from '../headers/response-headers.ts'
import { type Access, PublicRoute } from '../policy.ts'
import type { Limit } from '../upstream/connections.ts'
import type { UpstreamRoute } from '../upstream/route.ts'
import { UpstreamError } from '../upstream/upstream-error.ts'
import { openTunnel, switchingResponse } from '../websocket/websocket.ts'
import type { OpenStream, StreamEnd } from './open-streams.ts'
import { ClientResponse, type ResponseOwner } from './response.ts'
import { limitMet, type Trouble, tellOf, upstreamFailed } from './trouble.ts'
import { Upload } from './upload.ts'
import { type RequestOwner, UpstreamRequest } from './upstream-request.ts'

/**
 * One forwarded request: it sends, passes the response back, and for a WebSocket handshake opens the tunnel. undici
 * and `UpstreamRequest` (`RequestOwner`), the client's connection and `OpenStreams` report what happens. The first
 * report that ends it calls `#settle`; later ones have no effect.
 */
export class Exchange implements RequestOwner, ResponseOwner, OpenStream {
  readonly session: Session | undefined
  isOver = false
  readonly #route: UpstreamRoute
  readonly #request: ClientRequest
  readonly #upstream: UpstreamRequest
  readonly #response: ClientResponse
  #upload: Upload | null = null
  /** Among the open streams. */
  #isOpen = false
  /** Counted as one of the requests under way; a stream is none. */
  #isInFlight = true
  /** Counted as an open event stream. */
  #isEventStream = false

  /** @param fields of the upstream request, as a flat list, but for its Host. */
  constructor(route: UpstreamRoute, access: Access, request: ClientRequest, fields: string[]) {
    this.session = access instanceof PublicRoute ? undefined : access
    this.#route = route
    route.underWay++
    request.context.load.inFlight++
    this.#request = request
    this.#upstream = new UpstreamRequest(route, request, fields, this)
    this.#response = new ClientResponse(request.response, this, route.idleMs)
    // The client's connection, or its stream, is gone.
    request.response.once('close', () => {
      if (!this.#settle(true)) this.#response.stopWaiting()
      request.ended()
    })
  }

  get grantId(): string | undefined {
    return this.session?.grantId
  }

  start(): void {
    const { headers, raw } = this.#request
    if (!headers.hasBody) endWithHeader(raw)
    this.#upstream.start()
  }

  /**
   * A body that came in one piece with its header is there when the parser has done with that piece. Handed on as
   * it is, it costs a quarter less than as a stream.
   */
  ready(): void {
    if (this.#request.headers.hasBody) process.nextTick(() => this.#sendWithBody())
    else this.#upstream.send(null)
  }

  #sendWithBody(): void {
    if (this.isOver) return
    const { headers, raw } = this.#request
    if (raw.readableLength === headers.contentLength && this.#route.sendsWholeBodies)
      this.#upstream.send(raw.read())
    else {
      this.#upload = new Upload(raw, this.#route, (refusal) => this.#refuse(refusal))
      if (this.#request.record) this.#request.record.upload = this.#upload
      this.#endWithSession()
      this.#upstream.send(this.#upload)
    }
  }

  onConnection(): void {
    // Thrown, so that the connection is kept: to abort would close it.
    if (this.isOver) throw new UpstreamError('no_connection')
    this.#upstream.leaving()
  }

  onHead(status: number, received: string[]): void {
    this.#upstream.answered(status)
    if (this.isOver) return
    const { id, answerFields, raw: clientRequest, response } = this.#request
    if (status < 200) {
      writeInformational(clientRequest, response, status, received)
      return
    }
    const head = responseHead(received, status, this.#route, this.#upstream.path)
    const { fields, contentLength, isEventStream } = head
    // Nothing follows, whatever length is announced (RFC 9112 §6.3).
    const isWhole = contentLength === 0 || status === 204 || status === 304 || clientRequest.method === 'HEAD'
    if (isEventStream && !isWhole) {
      if (!this.#upstream.becomeStream()) return
      this.#leaveFlight()
      this.#isEventStream = true
      if (this.#route.counters) this.#route.counters.eventStreams++
    }
    fields.push('x-request-id', id)
    for (const name in answerFields) fields.push(name, answerFields[name]!)
    if (this.#upload?.complete === false) fields.push('connection', 'close')
    this.#response.begin(status, head)
    // What follows may take hours.
    if (this.#isEventStream) this.#request.ended()
    if (isWhole) this.#complete(undefined)
    else this.#response.awaitBody()
  }

  onBody(chunk: Buffer): boolean {
    if (this.isOver) return true
    const { record } = this.#request
    if (record) record.bytesOut += chunk.length
    if (!this.#response.isLast(chunk)) return this.#response.write(chunk)
    this.#complete(chunk)
    return true
  }

  onEnd(trailers: readonly string[]): void {
    if (this.isOver) return
    this.#response.addTrailers(trailers)
    this.#complete(undefined)
  }

  onError(error: Error): void {
    if (this.isOver) return
    const failure = this.#upstream.repeat(error)
    if (failure !== null) this.#fail(failure)
  }

  /** A valid 101 opens the tunnel; any other answer to a handshake comes as an ordinary response. */
  onUpgrade(status: number, received: string[], upstream: Duplex): void {
    this.#upstream.answered(status)
    const request = this.#request
    try {
      const { path } = this.#upstream
      const head = switchingResponse(received, status, request, { route: this.#route, path })
      // The client may have left meanwhile.
      if (this.isOver || !this.#upstream.becomeStream()) upstream.destroy()
      else {
        const onClose = this.#upstream.handOver()
        this.#settle(false)
        request.ended(101)
        openTunnel(head, upstream, request, { session: this.session, route: this.#route, onClose })
      }
    } catch (cause) {
      upstream.destroy()
      this.onError(new UpstreamError('answer_malformed', cause))
    }
  }

  resume(): void {
    this.#upstream.resume()
  }

  stayedOpen(): void {
    if (!this.#response.isEventStream) {
      this.#endWithSession()
      return
    }
    this.#isOpen = true
    this.#route.streams.delete(this)
    this.#route.streams.add(this)
  }

  /** Ends a response that is still open. One that will end by itself may take its time when the gateway stops. */
  end(reason: StreamEnd): void {
    if (reason === 'draining' && !this.#response.isEventStream) return
    if (this.#settle(true)) this.#response.breakOff()
  }

  /** Should it take long, it is over when its session is. */
  #endWithSession(): void {
    if (!this.#isOpen) this.#route.streams.addIfLong(this)
    this.#isOpen = true
  }

  /** With the last piece where its length is known: one write less. */
  #complete(chunk: Buffer | undefined): void {
    const unread = this.#upload?.complete === false ? this.#request.raw : null
    this.#settle(false)
    if (this.#request.record) this.#request.record.isComplete = true
    this.#response.end(chunk, unread)
  }

  atLimit(limit: Limit): void {
    this.#give(limitMet(limit, this.grantId))
  }

  #fail(error: UpstreamError): void {
    this.#give(upstreamFailed(error))
  }

  /** Told in the log, and to the client as far as something can still be said. */
  #give(trouble: Trouble): void {
    if (this.isOver) return
    tellOf(trouble, this.#request, this.#route, this.#upstream.target)
    this.#refuse(trouble.refusal)
  }

  /** Says to the client what can still be said. */
  #refuse(refusal: Refusal): void {
    if (!this.#settle(true)) return
    // The head is out: only a broken connection tells the client that the response is not whole.
    if (this.#request.response.headersSent) {
      if (this.#request.record) this.#request.record.isBroken = true
      this.#request.response.destroy()
    } else this.#request.refuse(refusal)
  }

  #leaveFlight(): void {
    if (this.#isInFlight) this.#request.context.load.inFlight--
    this.#isInFlight = false
  }

  /** The one end of every exchange. False if it is over already. @param abort breaks off what is still under way. */
  #settle(abort: boolean): boolean {
    if (this.isOver) return false
    this.isOver = true
    this.#route.underWay--
    this.#leaveFlight()
    if (this.#isEventStream && this.#route.counters) this.#route.counters.eventStreams--
    if (this.#isOpen) this.#route.streams.delete(this)
    this.#response.stopWaiting()
    this.#upload?.destroy()
    this.#upstream.leave(abort)
    return true
  }
}
