import { createCipheriv, createDecipheriv, hash, hkdfSync, randomBytes } from 'node:crypto'

/**
 * Seals what must not be readable in a dump: AES-256-GCM under a random data key per grant, and the data key
 * wrapped once for each live handle under HKDF-SHA-256(handle secret ‖ server secret). The store alone, even
 * together with the server secrets, opens nothing without a live handle (requirements G-03, G-04).
 */
export class Sealing {
  readonly #secrets: ReadonlyMap<string, Buffer>
  readonly #current: string

  /** @param secrets at least one, at least 32 bytes each: the first seals, all open (G-05). */
  constructor(secrets: readonly Buffer[]) {
    this.#secrets = new Map(secrets.map((secret) => [keyId(secret), secret]))
    this.#current = keyId(secrets[0]!)
  }

  /** A fresh data key: 32 bytes. */
  newDataKey(): Buffer {
    return randomBytes(32)
  }

  /** Wraps `dataKey` for the holder of `secret`. `context` binds it to its grant and purpose. */
  wrap(dataKey: Buffer, secret: Buffer, context: string): string {
    const id = this.#current
    return `${id}.${seal(this.#wrappingKey(id, secret, context)!, dataKey, context)}`
  }

  /** The data key, or null if the secret, the context or the server secret is not the one it was wrapped with. */
  unwrap(wrapped: string, secret: Buffer, context: string): Buffer | null {
    const [id, sealed] = wrapped.split('.', 2)
    if (id === undefined || sealed === undefined) return null
    const key = this.#wrappingKey(id, secret, context)
    return key && open(key, sealed, context)
  }

  /** Seals a JSON value under the data key. `context` is authenticated with it, so that rows cannot be swapped. */
  sealJson(dataKey: Buffer, value: unknown, context: string): string {
    return seal(dataKey, Buffer.from(JSON.stringify(value)), context)
  }

  /** The sealed JSON value, or null if it does not open. */
  openJson(dataKey: Buffer, sealed: string, context: string): unknown {
    const plain = open(dataKey, sealed, context)
    return plain && JSON.parse(plain.toString())
  }

  #wrappingKey(id: string, secret: Buffer, context: string): Buffer | null {
    const server = this.#secrets.get(id)
    if (!server) return null
    return Buffer.from(hkdfSync('sha256', Buffer.concat([secret, server]), context, 'fastify-pkce wrap', 32))
  }
}

/** Names a server secret without revealing it: 8 characters. */
function keyId(secret: Buffer): string {
  return hash('sha256', Buffer.concat([Buffer.from('fastify-pkce key id\0'), secret]), 'base64url').slice(
    0,
    8,
  )
}

const IV_BYTES = 12
const TAG_BYTES = 16

function seal(key: Buffer, plain: Buffer, context: string): string {
  const iv = randomBytes(IV_BYTES)
  const cipher = createCipheriv('aes-256-gcm', key, iv, { authTagLength: TAG_BYTES })
  cipher.setAAD(Buffer.from(context))
  return Buffer.concat([iv, cipher.update(plain), cipher.final(), cipher.getAuthTag()]).toString('base64url')
}

function open(key: Buffer, sealed: string, context: string): Buffer | null {
  const bytes = Buffer.from(sealed, 'base64url')
  if (bytes.length < IV_BYTES + TAG_BYTES) return null
  const decipher = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, IV_BYTES), {
    authTagLength: TAG_BYTES,
  })
  decipher.setAAD(Buffer.from(context))
  decipher.setAuthTag(bytes.subarray(-TAG_BYTES))
  try {
    return Buffer.concat([decipher.update(bytes.subarray(IV_BYTES, -TAG_BYTES)), decipher.final()])
  } catch {
    return null
  }
}
