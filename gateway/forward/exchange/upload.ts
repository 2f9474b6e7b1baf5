import type { IncomingMessage } from 'node:http'
import { Readable } from 'node:stream'
import type { Refusal } from '../../http/refusals.ts'

/** Of the route. */
export interface UploadLimits {
  readonly bodyLimitBytes: number
  /** Between two pieces. */
  readonly idleMs: number
  /** From the tenth second on; 0: none. */
  readonly minUploadBytesPerSecond: number
}

/** How long an upload is watched before it is judged. */
const WINDOW_SECONDS = 10

/**
 * A request body on its way to an upstream, unless it came along with its header: bounded in size, in the time between
 * two pieces, and in slowness, because it holds a connection to the upstream (CWE-400, requirements H-22).
 *
 * The request itself is not handed over, because whoever destroys a body on an error would destroy the client's
 * connection with it, and the answer that explains the error could not be sent.
 */
export class Upload extends Readable {
  /** The client has sent all of it. */
  complete = false
  /** That have arrived. */
  bytes = 0
  readonly #request: IncomingMessage
  readonly #limits: UploadLimits
  readonly #onRefusal: (refusal: Refusal) => void
  readonly #timer: NodeJS.Timeout
  readonly #window: NodeJS.Timeout | undefined
  #bytesBefore = 0
  /** The upstream was slower than the client at some time in the window. */
  #wasPaused = false

  /** @param onRefusal is told that the rest is not taken, and why. */
  constructor(request: IncomingMessage, limits: UploadLimits, onRefusal: (refusal: Refusal) => void) {
    super()
    this.#request = request
    this.#limits = limits
    this.#onRefusal = onRefusal
    this.#timer = setTimeout(() => this.#idle(), limits.idleMs)
    if (limits.minUploadBytesPerSecond > 0) {
      this.#window = setInterval(() => this.#judge(), WINDOW_SECONDS * 1000)
    }
    // undici destroys it with what went wrong, and tells the exchange as well.
    this.on('error', () => {})
    request.on('data', this.#onData).on('end', this.#onEnd)
  }

  override _read(): void {
    if (this.#request.isPaused()) this.#request.resume()
  }

  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.#stopWatching()
    this.#request.off('data', this.#onData).off('end', this.#onEnd)
    // Without a listener the rest would flow into nothing, at full speed.
    if (!this.complete) this.#request.pause()
    done(error)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.bytes += chunk.length
    this.#timer.refresh()
    if (this.bytes > this.#limits.bodyLimitBytes) this.#refuse('body_too_large')
    else if (!this.push(chunk)) {
      this.#wasPaused = true
      this.#request.pause()
    }
  }

  readonly #onEnd = (): void => {
    this.complete = true
    this.#stopWatching()
    this.push(null)
  }

  #stopWatching(): void {
    clearTimeout(this.#timer)
    clearInterval(this.#window)
  }

  /** At the end of each window. */
  #judge(): void {
    const enough = this.#limits.minUploadBytesPerSecond * WINDOW_SECONDS
    if (!this.#wasPaused && this.bytes - this.#bytesBefore < enough) this.#refuse('request_timeout')
    this.#bytesBefore = this.bytes
    this.#wasPaused = this.#request.isPaused()
  }

  /** A body that we paused is waiting for the upstream, whose own timeouts run. */
  #idle(): void {
    if (this.#request.isPaused()) this.#timer.refresh()
    else this.#refuse('request_timeout')
  }

  #refuse(refusal: 'body_too_large' | 'request_timeout'): void {
    this.#onRefusal(refusal)
    this.destroy()
  }
}
