import { createCipheriv, createDecipheriv, createSecretKey, hash } from 'node:crypto'
import { deriveKey, expandKey } from './hkdf.ts'
import { randomBytes } from './random.ts'

/** What a seal is bound to. Whatever is moved to another context does not open (requirements G-03). */
export interface SealContext {
  /** The grant whose record it is in. */
  readonly grantId: string
  /** The grant and all the rest as one text. */
  readonly text: string
}

/**
 * Seals what must not be readable in a dump: AES-256-GCM under HKDF-SHA-256(handle secret ‖ server secret), so
 * that the store alone, even together with the server secrets, opens nothing without a live handle. What several
 * handles open is sealed under a random data key, and the data key is wrapped for each of them (G-03, G-04).
 */
export class Sealing {
  readonly #secrets: ReadonlyMap<string, Buffer>
  readonly #current: string

  /** @param secrets at least one, at least 32 bytes each: the first seals, all open (G-05). */
  constructor(secrets: readonly Buffer[]) {
    this.#secrets = new Map(secrets.map((secret) => [keyId(secret), secret]))
    this.#current = keyId(secrets[0]!)
  }

  /** Names the server secret that is used now. */
  get current(): string {
    return this.#current
  }

  /**
   * 32 bytes that only the holder of `secret` and the server together can tell, and that need not be kept. Null if
   * the server secret that `id` names is gone.
   */
  deriveFor(id: string, secret: Buffer, { text }: SealContext): Buffer | null {
    const server = this.#secrets.get(id)
    return server ? expandKey(Buffer.concat([secret, server]), Buffer.from(text)) : null
  }

  /** Seals `plain` for the holder of `secret`. */
  sealFor(secret: Buffer, plain: Buffer, context: SealContext): string {
    const id = this.#current
    return `${id}.${this.seal(this.#holderKey(id, secret, context)!, plain, context)}`
  }

  /** What `sealFor` sealed, or null if the secret, the context or the server secret is not the one that sealed it. */
  openFor(secret: Buffer, sealed: string, context: SealContext): Buffer | null {
    const [id = '', text = ''] = sealed.split('.', 2)
    const key = this.#holderKey(id, secret, context)
    return key && this.open(key, text, context)
  }

  /** A fresh data key: 32 bytes. One for the life of a grant. */
  newDataKey(): Buffer {
    return randomBytes(KEY_BYTES)
  }

  /**
   * Wraps `dataKey` for the holder of `secret`: masked with a key as long as itself that masks nothing else, as
   * the context names the grant. It needs no seal of its own, since what a changed data key should open does not.
   */
  wrap(dataKey: Buffer, secret: Buffer, context: SealContext): string {
    const id = this.#current
    return `${id}.${mask(dataKey, this.#holderKey(id, secret, context)!).toString('base64url')}`
  }

  /** The data key; one that opens nothing if the secret or the context is another; null if the server secret is gone. */
  unwrap(wrapped: string, secret: Buffer, context: SealContext): Buffer | null {
    const [id = '', text = ''] = wrapped.split('.', 2)
    const key = this.#holderKey(id, secret, context)
    const masked = Buffer.from(text, 'base64url')
    return key && masked.length === KEY_BYTES ? mask(masked, key) : null
  }

  /** Seals `plain` under a data key. */
  seal(dataKey: Buffer, plain: Buffer, context: SealContext): string {
    const iv = randomBytes(IV_BYTES)
    const cipher = createCipheriv(ALGORITHM, keyOf(dataKey), iv, { authTagLength: TAG_BYTES })
    cipher.setAAD(Buffer.from(context.text))
    const sealed = cipher.update(plain)
    // Of a counter mode nothing is left for the end, but the tag is made there.
    cipher.final()
    return Buffer.concat([iv, sealed, cipher.getAuthTag()]).toString('base64url')
  }

  /** What `seal` sealed, or null if the data key or the context is another. */
  open(dataKey: Buffer, sealed: string, context: SealContext): Buffer | null {
    const bytes = Buffer.from(sealed, 'base64url')
    if (bytes.length < IV_BYTES + TAG_BYTES) return null
    const iv = bytes.subarray(0, IV_BYTES)
    const decipher = createDecipheriv(ALGORITHM, keyOf(dataKey), iv, { authTagLength: TAG_BYTES })
    decipher.setAAD(Buffer.from(context.text))
    decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
    try {
      const plain = decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES))
      decipher.final()
      return plain
    } catch {
      return null
    }
  }

  #holderKey(id: string, secret: Buffer, { grantId, text }: SealContext): Buffer | null {
    const server = this.#secrets.get(id)
    return server ? deriveKey(Buffer.concat([secret, server]), Buffer.from(grantId), Buffer.from(text)) : null
  }
}

const ALGORITHM = 'aes-256-gcm'
const KEY_BYTES = 32
const IV_BYTES = 12
const TAG_BYTES = 16

/**
 * The key as the cipher takes it best: Node 24 finds out that a bare buffer is no object of its own classes by
 * errors that it throws and catches, which takes 12 µs; before, such an object costs 2 µs more than the buffer.
 */
const keyOf = Number.parseInt(process.versions.node, 10) < 24 ? (key: Buffer) => key : createSecretKey

/** Names a server secret without revealing it: 8 characters. */
function keyId(secret: Buffer): string {
  return hash('sha256', Buffer.concat([Buffer.from('fastify-pkce key id\0'), secret]), 'base64url').slice(
    0,
    8,
  )
}

/** Exclusive or of two keys. */
function mask(a: Buffer, b: Buffer): Buffer {
  const masked = Buffer.allocUnsafe(KEY_BYTES)
  for (let i = 0; i < KEY_BYTES; i += 1) masked[i] = a[i]! ^ b[i]!
  return masked
}
