import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

let named: IncomingMessage | undefined
let name = ''

/** Keeps the id that a request already has for the framework that it is given to now, which asks for it at once. */
export function nameRequest(request: IncomingMessage, id: string): void {
  named = request
  name = id
}

/** The id of a request: a random UUID (RFC 9562 §5.4). It is in the response, in the log, and at the upstream. */
export function requestIdOf(request: IncomingMessage): string {
  return request === named ? name : randomUUID()
}
