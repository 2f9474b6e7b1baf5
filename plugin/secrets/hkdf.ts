import { hash } from 'node:crypto'

const BLOCK_BYTES = 64
const HASH_BYTES = 32
/** Number of the first block of output, and here of the last. */
const FIRST_BLOCK = Buffer.of(1)

/**
 * HKDF-SHA-256 with one block of output: 32 bytes (RFC 5869 §2.2, §2.3).
 *
 * Every step of a login derives keys, each used once. `hkdfSync` takes four times as long as these four one-shot
 * hashes, and `createHmac` two to ten times, depending on Node's version.
 */
export function deriveKey(secret: Buffer, salt: Buffer, info: Buffer): Buffer {
  return expandKey(hmac(salt, secret), info)
}

/**
 * The second step alone, for a secret that is uniformly random by itself (RFC 5869 §2.3, §3.3): 32 bytes.
 */
export function expandKey(pseudorandomKey: Buffer, info: Buffer): Buffer {
  return hmac(pseudorandomKey, Buffer.concat([info, FIRST_BLOCK]))
}

/** HMAC-SHA-256 (RFC 2104 §2). */
function hmac(key: Buffer, message: Buffer): Buffer {
  const block = key.length > BLOCK_BYTES ? Buffer.from(sha256(key), 'binary') : key
  const inner = Buffer.allocUnsafe(BLOCK_BYTES + message.length)
  const outer = Buffer.allocUnsafe(BLOCK_BYTES + HASH_BYTES)
  for (let i = 0; i < BLOCK_BYTES; i += 1) {
    const byte = block[i] ?? 0
    inner[i] = byte ^ 0x36
    outer[i] = byte ^ 0x5c
  }
  message.copy(inner, BLOCK_BYTES)
  outer.write(sha256(inner), BLOCK_BYTES, 'binary')
  return Buffer.from(sha256(outer), 'binary')
}

/** As 32 characters: a string of bytes comes out of the hash in half the time of a buffer. */
function sha256(bytes: Buffer): string {
  return hash('sha256', bytes, 'binary')
}
