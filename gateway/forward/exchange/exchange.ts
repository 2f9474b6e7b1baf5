import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'
import { type ResponseReceiver, UndiciHandler } from '../../../plugin/api/internal.ts'
import type { Session } from '../../../plugin/index.ts'
import type { Refusal } from '../../http/refusals.ts'
import { upstreamTarget } from '../../http/request-target.ts'
import { endWithHeader } from '../../listener/http1-request.ts'
import { writeInformational } from '../../listener/http1-response.ts'
import type { ClientRequest } from '../client-request.ts'
import { responseHead } from '../headers/response-headers.ts'
import { type Access, PublicRoute } from '../policy.ts'
import type { UpstreamRoute } from '../upstream/route.ts'
import type { Target } from '../upstream/targets.ts'
import { isConnectFailure, UpstreamError } from '../upstream/upstream-error.ts'
import { openTunnel, switchingResponse } from '../websocket/websocket.ts'
import type { OpenStream, StreamEnd } from './open-streams.ts'
import { ClientResponse, type ResponseOwner } from './response.ts'
import { Upload } from './upload.ts'

/**
 * One forwarded request: it chooses a target, sends, passes the response back, and for a WebSocket handshake opens the
 * tunnel. undici (`ResponseReceiver`), the client's connection and `OpenStreams` report what happens. The first report
 * that ends it calls `#settle`; later ones have no effect.
 */
export class Exchange implements ResponseReceiver, ResponseOwner, OpenStream {
  readonly session: Session | undefined
  isOver = false
  readonly #route: UpstreamRoute
  readonly #request: ClientRequest
  /** Of the upstream request: path and query, and its fields as a flat list, Host at the end. */
  readonly #path: string
  readonly #fields: string[]
  readonly #response: ClientResponse
  readonly #handler: UndiciHandler
  #target: Target
  #upload: Upload | null = null
  #attempts = 0
  #waiting: NodeJS.Timeout | null = null
  /** Among the open streams. */
  #isOpen = false

  /** @param fields of the upstream request, as a flat list, but for its Host. */
  constructor(route: UpstreamRoute, access: Access, request: ClientRequest, fields: string[]) {
    this.session = access instanceof PublicRoute ? undefined : access
    this.#route = route
    this.#request = request
    this.#path = upstreamTarget(request.raw.url ?? '/', route.prefix, route.base)
    this.#target = route.targets.take()
    this.#fields = fields
    fields.push('host', this.#target.authority)
    this.#response = new ClientResponse(request.response, this, route.idleMs)
    this.#handler = new UndiciHandler(this)
    // The client's connection, or its stream, is gone.
    request.response.once('close', () => {
      if (!this.#settle(true)) this.#response.stopWaiting()
    })
  }

  /**
   * A body that came in one piece with its header is there when the parser has done with that piece. Handed on as
   * it is, it costs a quarter less than as a stream.
   */
  start(): void {
    const { headers, raw } = this.#request
    if (headers.hasBody) process.nextTick(() => this.#sendWithBody())
    else {
      endWithHeader(raw)
      this.#send(null)
    }
  }

  #sendWithBody(): void {
    if (this.isOver) return
    const { headers, raw } = this.#request
    if (raw.readableLength === headers.contentLength && this.#route.sendsWholeBodies) this.#send(raw.read())
    else {
      this.#upload = new Upload(raw, this.#route, (refusal) => this.#refuse(refusal))
      this.#endWithSession()
      this.#send(this.#upload)
    }
  }

  #send(body: Buffer | Upload | null): void {
    const target = this.#target
    this.#attempts++
    // All connections are in use, perhaps by streams that stay: waiting has an end.
    if (target.pending > target.connections) {
      this.#waiting = setTimeout(() => this.#fail(new UpstreamError('no_connection')), this.#route.connectMs)
    }
    target.pool.dispatch(
      {
        path: this.#path,
        method: this.#request.raw.method as Dispatcher.HttpMethod,
        headers: this.#fields,
        body,
        upgrade: this.#request.headers.websocket ? 'websocket' : null,
      },
      this.#handler,
    )
  }

  onConnection(): void {
    if (this.#waiting !== null) clearTimeout(this.#waiting)
    // Thrown, so that the connection is kept: to abort would close it.
    if (this.isOver) throw new UpstreamError('no_connection')
  }

  onHead(status: number, received: string[]): void {
    this.#target.answered()
    if (this.isOver) return
    const { id, answerFields, raw: clientRequest, response } = this.#request
    if (status < 200) {
      writeInformational(clientRequest, response, status, received)
      return
    }
    const { fields, contentLength } = responseHead(received, status, this.#route, this.#path)
    fields.push('x-request-id', id)
    for (const name in answerFields) fields.push(name, answerFields[name]!)
    if (this.#upload?.complete === false) fields.push('connection', 'close')
    this.#response.begin(status, fields, contentLength)
    // Nothing follows, whatever length is announced (RFC 9112 §6.3).
    if (contentLength === 0 || status === 204 || status === 304 || clientRequest.method === 'HEAD')
      this.#complete(undefined)
    else this.#response.awaitBody()
  }

  onBody(chunk: Buffer): boolean {
    if (this.isOver) return true
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
    if (!this.#handler.isConnected && isConnectFailure(error)) this.#notConnected(error)
    else this.#fail(UpstreamError.from(error))
  }

  /** A valid 101 opens the tunnel; any other answer to a handshake comes as an ordinary response. */
  onUpgrade(status: number, received: string[], upstream: Duplex): void {
    this.#target.answered()
    const request = this.#request
    try {
      const head = switchingResponse(received, status, request, { route: this.#route, path: this.#path })
      // The client may have left meanwhile.
      if (!this.#settle(false)) upstream.destroy()
      else
        openTunnel(head, upstream, request, {
          session: this.session,
          route: this.#route,
          target: this.#target,
        })
    } catch (cause) {
      upstream.destroy()
      this.onError(new UpstreamError('answer_malformed', cause))
    }
  }

  resume(): void {
    this.#handler.resume()
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

  /** Nothing was sent, so whoever may be asked twice can be asked elsewhere (requirements H-23). */
  #notConnected(error: Error): void {
    const { targets, retries } = this.#route
    this.#target.failed()
    if (!retries || !this.#request.isRepeatable || this.#attempts >= Math.max(2, targets.size)) {
      this.#fail(UpstreamError.connecting(error))
      return
    }
    this.#leaveTarget()
    this.#target = targets.take()
    this.#fields[this.#fields.length - 1] = this.#target.authority
    this.#send(null)
  }

  /** With the last piece where its length is known: one write less. */
  #complete(chunk: Buffer | undefined): void {
    const unread = this.#upload?.complete === false ? this.#request.raw : null
    this.#settle(false)
    this.#response.end(chunk, unread)
  }

  /** The upstream's fault: told in the log, and to the client as far as something can still be said. */
  #fail(error: UpstreamError): void {
    if (this.isOver) return
    const { id: requestId, headers, log } = this.#request
    log.warn(
      { requestId, clientRequestId: headers.clientRequestId, upstream: this.#route.name, err: error },
      'upstream failed',
    )
    this.#refuse(error.refusal)
  }

  /** Says to the client what can still be said. */
  #refuse(refusal: Refusal): void {
    if (!this.#settle(true)) return
    // The head is out: only a broken connection tells the client that the response is not whole.
    if (this.#request.response.headersSent) this.#request.response.destroy()
    else this.#request.refuse(refusal)
  }

  /** The one end of every exchange. False if it is over already. @param abort breaks off what is still under way. */
  #settle(abort: boolean): boolean {
    if (this.isOver) return false
    this.isOver = true
    if (this.#isOpen) this.#route.streams.delete(this)
    this.#response.stopWaiting()
    this.#upload?.destroy()
    this.#leaveTarget()
    if (abort) this.#handler.abort()
    return true
  }

  #leaveTarget(): void {
    this.#target.pending--
    if (this.#waiting !== null) clearTimeout(this.#waiting)
  }
}
