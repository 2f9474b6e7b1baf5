import type { Dispatcher } from 'undici'
import { type ResponseReceiver, UndiciHandler } from '../../../plugin/api/internal.ts'
import { upstreamTarget } from '../../http/request-target.ts'
import type { ClientRequest } from '../client-request.ts'
import type { Connection } from '../upstream/connection.ts'
import type { Applicant, Limit } from '../upstream/connections.ts'
import type { UpstreamRoute } from '../upstream/route.ts'
import type { Target } from '../upstream/targets.ts'
import { isConnectFailure, isConnectionLost, UpstreamError } from '../upstream/upstream-error.ts'
import { setTraceparent, type UpstreamSpan } from './request-tracing.ts'
import type { Upload } from './upload.ts'

/** The exchange that a request to an upstream belongs to; undici tells it of the response. */
export interface RequestOwner extends ResponseReceiver {
  /** Of its session; undefined on a public route. */
  readonly grantId: string | undefined
  readonly isOver: boolean
  /** There is a connection: `send`. */
  ready(): void
  atLimit(limit: Limit): void
}

/**
 * The request to an upstream: it chooses a target, waits for a connection, is sent, is sent again where that is
 * allowed, and gives the connection back. Whoever has started it calls `leave` or `handOver` in the end.
 */
export class UpstreamRequest implements Applicant {
  readonly grantId: string | undefined
  /** Path and query. */
  readonly path: string
  readonly #route: UpstreamRoute
  readonly #request: ClientRequest
  /** As a flat list, Host at the end. */
  readonly #fields: string[]
  readonly #owner: RequestOwner
  #target: Target
  /** Of the present attempt. */
  #handler: UndiciHandler
  /** Null while it waits for one, and after its end. */
  #connection: Connection | null = null
  #unreached = 0
  #sentAt = 0
  readonly #span: UpstreamSpan | undefined

  /** @param fields as a flat list, but for Host. */
  constructor(route: UpstreamRoute, request: ClientRequest, fields: string[], owner: RequestOwner) {
    this.grantId = owner.grantId
    this.path = upstreamTarget(request.raw.url ?? '/', route.prefix, route.base)
    this.#route = route
    this.#request = request
    this.#fields = fields
    this.#owner = owner
    this.#target = route.targets.pick()
    this.#span = request.span?.toUpstream(this.#target.authority)
    if (this.#span) setTraceparent(fields, this.#span, request.continuesTrace)
    fields.push('host', this.#target.host)
    this.#handler = new UndiciHandler(owner)
  }

  /** Of the present attempt: its own Host value. */
  get target(): string {
    return this.#target.authority
  }

  /** Calls `ready` of its owner, at once or when it is its turn, or else `atLimit`. */
  start(): void {
    const connection = this.#target.connections.take(this)
    if (connection !== null) this.granted(connection)
  }

  granted(connection: Connection): void {
    this.#connection = connection
    this.#owner.ready()
  }

  notGranted(limit: Limit): void {
    this.#owner.atLimit(limit)
  }

  send(body: Buffer | Upload | null): void {
    this.#request.record?.sent(this.#target.authority)
    if (this.#route.counters) this.#sentAt = performance.now()
    this.#connection?.send(
      {
        path: this.path,
        method: this.#request.raw.method as Dispatcher.HttpMethod,
        headers: this.#fields,
        body,
        upgrade: this.#request.headers.websocket ? 'websocket' : null,
      },
      this.#handler,
    )
  }

  /** The connection is there. */
  leaving(): void {
    this.#connection?.awaitAnswer()
  }

  /** Somebody is there. Interim answers but 101 say no more than that. */
  answered(status: number): void {
    this.#target.answered()
    if (status < 200 && status !== 101) return
    this.#span?.end(status)
    this.#request.record?.answered()
    this.#route.counters?.upstream.add(performance.now() - this.#sentAt)
  }

  /** The body may go on. */
  resume(): void {
    this.#handler.resume()
  }

  /**
   * What can be sent twice is sent again after an error that lets it: when nobody could be reached, to another target
   * if there is one; when a connection was lost that had been idle, on a new one (requirements H-23).
   *
   * @returns what has failed, or null: it is on its way again.
   */
  repeat(error: Error): UpstreamError | null {
    const mayRepeat = this.#route.retries && this.#request.isRepeatable
    if (!this.#handler.isConnected && isConnectFailure(error)) {
      this.#target.failed()
      this.#unreached++
      if (!mayRepeat || this.#unreached >= Math.max(2, this.#route.targets.size))
        return UpstreamError.connecting(error)
      this.#giveBack(false)
      this.#target = this.#route.targets.pick()
      this.#fields[this.#fields.length - 1] = this.#target.host
    } else if (!mayRepeat || !this.#connection?.wasLostIdle || !isConnectionLost(error))
      return UpstreamError.from(error)
    this.#handler = new UndiciHandler(this.#owner)
    // Later, because undici may not be called while it tells of an error.
    process.nextTick(() => {
      if (this.#owner.isOver) return
      if (this.#connection === null) this.start()
      else this.send(null)
    })
    return null
  }

  /** From now on the connection counts as a stream. False, and `atLimit`, if the session may have no further one. */
  becomeStream(): boolean {
    if (this.#connection !== null && this.#target.connections.becomeStream(this.#connection)) return true
    this.#owner.atLimit('streamsPerSession')
    return false
  }

  /** Somebody else has the connection from now on. @returns gives it back. */
  handOver(): () => void {
    const connection = this.#connection
    const { connections } = this.#target
    this.#connection = null
    return () => {
      if (connection !== null) connections.release(connection)
    }
  }

  /** It is over, or was never sent. @param abort breaks off what is still under way. */
  leave(abort: boolean): void {
    this.#span?.end(0)
    this.#giveBack(abort)
  }

  #giveBack(abort: boolean): void {
    // First: who gets the connection next must not be broken off with it.
    if (abort) this.#handler.abort()
    const { connections } = this.#target
    if (this.#connection === null) connections.cancel(this)
    else connections.release(this.#connection)
    this.#connection = null
  }
}
