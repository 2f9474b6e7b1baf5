import { IncomingMessage } from 'node:http'

/**
 * A request of which the header may be all there is.
 *
 * Node sets every request flowing after its answer, for an `end` that nobody waits for: a twentieth of what a
 * forward, or the start of a login, costs. One that has ended with its header is left alone.
 */
export class HeaderOnlyRequest extends IncomingMessage {
  #isHeaderOnly = false

  static {
    // Node's types have no accessor here that could be overridden.
    Object.defineProperty(HeaderOnlyRequest.prototype, 'readableEnded', {
      get(this: HeaderOnlyRequest): boolean {
        return this.#isHeaderOnly || Reflect.get(IncomingMessage.prototype, 'readableEnded', this)
      },
    })
  }

  endWithHeader(): void {
    this.#isHeaderOnly = true
  }

  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    return this.#isHeaderOnly ? false : super.push(chunk, encoding)
  }

  override resume(): this {
    return this.#isHeaderOnly ? this : super.resume()
  }
}

/** To be called for a request without a body, before its answer ends. Nothing can be read from it afterwards. */
export function endWithHeader(request: IncomingMessage): void {
  if (request instanceof HeaderOnlyRequest) request.endWithHeader()
}
