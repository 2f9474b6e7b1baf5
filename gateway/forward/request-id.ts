import { randomFillSync } from 'node:crypto'

const BYTES = 16
const pool = Buffer.allocUnsafeSlow(256 * BYTES)
let next = pool.length

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
