/** DPoP proofs as an app makes them, and as nobody should (RFC 9449 §4.2). */
import { generateKeyPairSync, hash, type KeyObject, sign } from 'node:crypto'

export interface ProofParts {
  /** Laid over the header; undefined removes a member. */
  readonly header?: Record<string, unknown>
  /** Laid over the claims. */
  readonly claims?: Record<string, unknown>
  readonly accessToken?: string | undefined
  readonly nonce?: string | undefined
  /** Signs in place of the key in the header. */
  readonly signer?: KeyObject
}

/** The key of an app. */
export class ProofKeyPair {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
  readonly jwk: Record<string, unknown>
  readonly jkt: string
  readonly #alg: string
  #count = 0

  /** @param alg ES256, EdDSA, Ed25519, PS256 or RS256. */
  constructor(alg = 'ES256', bits = 2048) {
    const { privateKey, publicKey } = pairOf(alg, bits)
    this.privateKey = privateKey
    this.publicKey = publicKey
    this.#alg = alg
    this.jwk = publicKey.export({ format: 'jwk' }) as Record<string, unknown>
    const sorted = Object.fromEntries(Object.entries(this.jwk).sort(([a], [b]) => (a < b ? -1 : 1)))
    this.jkt = hash('sha256', JSON.stringify(sorted), 'base64url')
  }

  /** A proof for one request. */
  prove(method: string, url: string, parts: ProofParts = {}): string {
    const { header, claims, accessToken, nonce, signer = this.privateKey } = parts
    this.#count += 1
    const signed = [
      { typ: 'dpop+jwt', alg: this.#alg, jwk: this.jwk, ...header },
      {
        ...{ jti: `${this.jkt.slice(0, 8)}-${this.#count}`, htm: method, htu: url },
        iat: Math.floor(Date.now() / 1000),
        ...(accessToken !== undefined && { ath: hash('sha256', accessToken, 'base64url') }),
        ...(nonce !== undefined && { nonce }),
        ...claims,
      },
    ]
      .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
      .join('.')
    return `${signed}.${this.#sign(signed, signer)}`
  }

  #sign(text: string, key: KeyObject): string {
    const data = Buffer.from(text)
    if (key.asymmetricKeyType === 'ed25519') return sign(null, data, key).toString('base64url')
    const pss = this.#alg === 'PS256' ? { padding: 6, saltLength: 32 } : {}
    return sign('sha256', data, { key, dsaEncoding: 'ieee-p1363', ...pss }).toString('base64url')
  }
}

function pairOf(alg: string, modulusLength: number): { privateKey: KeyObject; publicKey: KeyObject } {
  if (alg === 'ES256') return generateKeyPairSync('ec', { namedCurve: 'P-256' })
  if (alg === 'EdDSA' || alg === 'Ed25519') return generateKeyPairSync('ed25519')
  return generateKeyPairSync('rsa', { modulusLength })
}
