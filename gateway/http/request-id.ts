import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

let named: IncomingMessage | undefined
let name = ''

/** Keeps the name that a request already has for the framework that it is given to now, which asks for it at once. */
export function nameRequest(request: IncomingMessage, id: string): void {
  named = request
  name = id
}

/** Its name, or a new one. */
export function requestIdOf(request: IncomingMessage): string {
  return request === named ? name : newRequestId()
}

/** A random UUID (RFC 9562 §5.4): names a request in its answer, in the log, and at the upstream. */
export function newRequestId(): string {
  return randomUUID()
}
