import { randomFillSync } from 'node:crypto'
import type { IncomingMessage } from 'node:http'

const BYTES = 16
const pool = Buffer.allocUnsafeSlow(256 * BYTES)
let next = pool.length

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

/** 128 random bits in 32 hexadecimal digits: names a request in its answer, in the log, and at the upstream. */
export function newRequestId(): string {
  if (next === pool.length) {
    randomFillSync(pool)
    next = 0
  }
  const id = pool.toString('hex', next, next + BYTES)
  next += BYTES
  return id
}
