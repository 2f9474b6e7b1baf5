import type { Dispatcher } from 'undici'
import { upstreamTarget } from '../../http/path.ts'
import { isConnectFailure, UploadError, UpstreamError } from '../../http/refusals.ts'
import { endWithHeader } from '../../listener/header-only-request.ts'
import type { ClientRequest } from '../client-request.ts'
import type { Access } from '../policy.ts'
import type { UpstreamRoute } from '../upstream/route.ts'
import type { Target } from '../upstream/target.ts'
import { Answer } from './response.ts'
import { Upload } from './upload.ts'

/** RFC 9110 §9.2.2, of those that are forwarded. */
const IDEMPOTENT = new Set(['GET', 'HEAD', 'PUT', 'DELETE'])

/** One request and its answer: the way to a target of the upstream, and to another one if nobody is there. */
export class Exchange extends Answer implements Dispatcher.DispatchHandler {
  readonly path: string
  protected target: Target
  #upload: Upload | null = null
  readonly #fields: string[]
  readonly #hostAt: number
  #attempts = 0
  #waiting: NodeJS.Timeout | null = null
  /** Null until there is a connection: nothing has been sent. */
  #abort: ((error?: Error) => void) | null = null

  /** @param fields of the upstream request, as a flat list, but for its Host. */
  constructor(route: UpstreamRoute, access: Access, request: ClientRequest, fields: string[]) {
    super(route, access, request)
    this.path = upstreamTarget(request.raw.url ?? '/', route.prefix, route.base)
    this.target = this.#pick()
    this.#fields = fields
    this.#hostAt = fields.push('host', this.target.authority) - 1
  }

  /**
   * A body that came in one piece with its header is there when the parser has done with that piece. Handed on as
   * it is, it costs a quarter less than as a stream.
   */
  start(): void {
    const { headers, raw } = this.request
    if (headers.hasBody) process.nextTick(() => this.#sendWithBody())
    else {
      endWithHeader(raw)
      this.#send(null)
    }
  }

  #sendWithBody(): void {
    if (this.isOver) return
    const { headers, raw } = this.request
    if (raw.readableLength === headers.contentLength) this.#send(raw.read())
    else {
      this.#upload = new Upload(raw, this.route.bodyLimitBytes, this.route.idleMs)
      this.#upload.on('error', (error) => this.onError(error))
      this.endWithSession()
      this.#send(this.#upload)
    }
  }

  #send(body: Buffer | Upload | null): void {
    const { target } = this
    this.#attempts++
    if (target.pending > target.connections) this.#waitForConnection()
    target.pool.dispatch(
      {
        path: this.path,
        method: this.request.raw.method as Dispatcher.HttpMethod,
        headers: this.#fields,
        body,
        upgrade: this.upgrade,
      },
      this,
    )
  }

  onConnect(abort: (error?: Error) => void): void {
    if (this.#waiting !== null) clearTimeout(this.#waiting)
    // Thrown, so that the connection is kept: `abort` would close it.
    if (this.isOver) throw new UpstreamError('no_connection')
    this.#abort = abort
  }

  override onHeaders(status: number, raw: Buffer[], resume: () => void): boolean {
    this.target.answered()
    return super.onHeaders(status, raw, resume)
  }

  onError(error: Error): void {
    if (this.isOver) return
    if (error instanceof UploadError) this.fail(error)
    else if (this.#abort === null && isConnectFailure(error)) this.#notConnected(error)
    else this.fail(UpstreamError.from(error))
  }

  /** Nothing was sent, so whoever may be asked twice can be asked elsewhere (requirements H-23). */
  #notConnected(error: Error): void {
    const { targets, retries } = this.route
    this.target.failed()
    const { headers, raw } = this.request
    const attemptsMax = Math.max(2, targets.size)
    if (!retries || headers.hasBody || !IDEMPOTENT.has(raw.method ?? '') || this.#attempts >= attemptsMax) {
      this.fail(UpstreamError.connecting(error))
      return
    }
    this.release(false)
    this.target = this.#pick()
    this.#fields[this.#hostAt] = this.target.authority
    this.#send(null)
  }

  /** Counted from here on, so that those who choose in the same turn see each other. */
  #pick(): Target {
    const target = this.route.targets.pick()
    target.pending++
    return target
  }

  /** All connections are in use, perhaps by streams that stay: waiting has an end. */
  #waitForConnection(): void {
    const expire = () => this.fail(new UpstreamError('no_connection'))
    this.#waiting = setTimeout(expire, this.route.connectMs)
  }

  /** The protocol to ask for; null for an ordinary request. */
  protected get upgrade(): string | null {
    return null
  }

  protected get uploading(): boolean {
    return this.#upload !== null && !this.#upload.complete
  }

  protected stopUpload(): void {
    this.#upload?.destroy()
  }

  protected release(abort: boolean): void {
    this.target.pending--
    if (this.#waiting !== null) clearTimeout(this.#waiting)
    if (abort) this.#abort?.()
  }
}
