import { randomFillSync } from 'node:crypto'

const POOL_BYTES = 4096
/** A slab of its own: in Buffer's shared one it would lie beside what other code holds. */
const pool = Buffer.allocUnsafeSlow(POOL_BYTES)
let used = POOL_BYTES

/**
 * `length` random bytes of the same generator as `crypto.randomBytes` (requirements G-01), which is asked for 4 KB
 * at once: one call costs as much for 32. Each byte is handed out once, as a copy, and erased here.
 *
 * @throws RangeError for more than 4096.
 */
export function randomBytes(length: number): Buffer {
  const from = take(length)
  const bytes = Buffer.from(pool.subarray(from, used))
  pool.fill(0, from, used)
  return bytes
}

/** The same as hexadecimal digits, two for each byte, for what is no secret: nothing is copied or erased. */
export function randomHex(length: number): string {
  const from = take(length)
  return pool.toString('hex', from, used)
}

/** Where in the pool the next bytes begin. */
function take(length: number): number {
  if (length > POOL_BYTES) throw new RangeError(`randomBytes: at most ${POOL_BYTES}`)
  if (used + length > POOL_BYTES) {
    randomFillSync(pool)
    used = 0
  }
  used += length
  return used - length
}
