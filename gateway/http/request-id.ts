import type { IncomingMessage } from 'node:http'
import { randomHex } from '../../plugin/api/internal.ts'

let named: IncomingMessage | undefined
let name = ''

/** 128 random bits in 32 hexadecimal digits: name a request in its response, in the log, and at the upstream. */
export function newRequestId(): string {
  return randomHex(16)
}

/** Keeps the id that a request already has for the framework that it is given to now, which asks for it at once. */
export function nameRequest(request: IncomingMessage, id: string): void {
  named = request
  name = id
}

/** The id of a request that was named, or a new one. */
export function requestIdOf(request: IncomingMessage): string {
  return request === named ? name : newRequestId()
}
