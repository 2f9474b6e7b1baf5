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
  if (used + length > POOL_BYTES) {
    randomFillSync(pool)
    used = 0
  }
  const bytes = Buffer.from(pool.subarray(used, used + length))
  pool.fill(0, used, used + length)
  used += length
  return bytes
}
