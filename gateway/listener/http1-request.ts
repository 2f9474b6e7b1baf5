import { IncomingMessage } from 'node:http'
import { asksForWebSocket } from '../http/fields.ts'

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

/** True for those of HTTP/2, too. */
function isHeaderOnlyRequest(request: object): request is Pick<HeaderOnlyRequest, 'endWithHeader'> {
  return 'endWithHeader' in request
}

/** To be called for a request without a body, before its answer ends. Nothing can be read from it afterwards. */
export function endWithHeader(request: IncomingMessage): void {
  if (isHeaderOnlyRequest(request)) request.endWithHeader()
}

/**
 * The class of requests that Node takes out of HTTP only for WebSocket (and CONNECT, which is refused). Any other
 * upgrade is ignored, as RFC 9110 §7.8 allows: it is an ordinary request, which may well have a body.
 *
 * Node asks `upgrade` when the header is complete. (Its `shouldUpgradeCallback` would do, where there is one.)
 */
export function upgradable(Base: typeof IncomingMessage): typeof IncomingMessage {
  return class extends Base {
    /** Assigned while Node's own constructor runs, so it must not be initialised here. */
    declare wantsUpgrade: boolean | null

    get upgrade(): boolean {
      if (this.wantsUpgrade !== true) return false
      return this.method === 'CONNECT' || asksForWebSocket(this.headers.upgrade ?? '')
    }

    set upgrade(wanted: boolean | null) {
      this.wantsUpgrade = wanted
    }
  }
}

/** True if Node has taken the request out of HTTP: its connection waits for an answer to the upgrade. */
export function leavesHttp(request: IncomingMessage): boolean {
  return 'upgrade' in request && request.upgrade === true
}

/** Closes the connection, or the stream, if the body has not arrived by then. Whoever reads it sees that it is not whole. */
export function closeUnlessWhole(request: IncomingMessage, withinMs: number): void {
  const timer = setTimeout(() => {
    if (!request.complete) request.destroy()
  }, withinMs)
  request.once('close', () => clearTimeout(timer))
}
