import { type IncomingMessage, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'

/**
 * An answer that ends with the turn of the event loop in which `end` is called, and with all others of that turn.
 *
 * A socket that is written to wakes its reader, at the writer's cost. When many answers come in one turn, a reader
 * that is woken once for all of them saves a sixth of what a forward costs. A single answer waits for nothing.
 */
export class TurnResponse<Request extends IncomingMessage = IncomingMessage> extends ServerResponse<Request> {
  /** What `end` was given, until the turn is over. */
  #last: unknown[] | null = null
  #hasEnded = false

  static {
    // Node's types have no accessor here that could be overridden.
    Object.defineProperty(TurnResponse.prototype, 'writableEnded', {
      get(this: TurnResponse): boolean {
        return this.#last !== null || Reflect.get(ServerResponse.prototype, 'writableEnded', this)
      },
    })
  }

  override end(...last: unknown[]): this {
    if (this.#last !== null) return this
    this.#last = last
    if (ending.push(this) === 1) setImmediate(endAll)
    return this
  }

  /** No effect before `end`, and none a second time. */
  endNow(): void {
    if (this.#last === null || this.#hasEnded) return
    this.#hasEnded = true
    super.end(...(this.#last as Parameters<ServerResponse['end']>))
  }
}

const ending: TurnResponse[] = []

function endAll(): void {
  for (const response of ending.splice(0)) response.endNow()
}

/**
 * The response that is being made on a connection that its caller may close: if it has ended, it is written first.
 * (Node asks in the same way before it answers a parser error.)
 */
export function responseOn(socket: Socket): ServerResponse | null {
  const { _httpMessage: response = null } = socket as Socket & { _httpMessage?: ServerResponse | null }
  if (response instanceof TurnResponse) response.endNow()
  return response
}
