import { createPrivateKey, type JsonWebKey, type KeyObject } from 'node:crypto'

/**
 * Signature algorithms of `private_key_jwt` by the kind of the key, in Node's words; the first is the usual one.
 * Nothing symmetric, no SHA-1 (F-05, RFC 8725 §3.1).
 */
const ALGORITHMS: Readonly<Record<string, readonly string[]>> = {
  rsa: ['RS256', 'PS256'],
  'rsa-pss': ['PS256'],
  prime256v1: ['ES256'],
  secp384r1: ['ES384'],
  ed25519: ['EdDSA'],
}
/** RFC 7518 §3.3. */
const RSA_MIN_BITS = 2048

/** How a private key is to be used. */
export interface SigningKey {
  readonly alg: string
  readonly kid: string | undefined
  /** The key itself if it was given as JWK, else undefined: then it is a PKCS#8 PEM. */
  readonly jwk: JsonWebKey | undefined
}

/**
 * Reads the key of `private_key_jwt` or `apple`: a private JWK as JSON, whose `alg` and `kid` count, or a PKCS#8 PEM.
 *
 * @throws Error for anything else, and for a key of an algorithm that we do not sign with; it does not quote the key.
 */
export function readSigningKey(text: string): SigningKey {
  const jwk = parseJwk(text)
  if (!jwk && !text.startsWith('-----BEGIN PRIVATE KEY-----'))
    throw new Error('neither a JWK nor a PKCS#8 PEM')
  const key = jwk ? createPrivateKey({ key: jwk, format: 'jwk' }) : createPrivateKey(text)
  const algorithms = algorithmsOf(key)
  const alg = jwk?.alg ?? algorithms[0]
  if (typeof alg !== 'string' || !algorithms.includes(alg))
    throw new Error('the key is not for its algorithm')
  return { alg, kid: typeof jwk?.kid === 'string' ? jwk.kid : undefined, jwk }
}

/** What is wrong with a key that the method of client authentication cannot use, in words. */
export function signingKeyWords(method: string): string {
  return method === 'apple'
    ? "is not Apple's: the whole .p8 file, a PKCS#8 PEM of a P-256 key"
    : 'is not a private key: a JWK or a PKCS#8 PEM; RSA, P-256, P-384 or Ed25519'
}

/** True if the method of client authentication can use it. */
export function isSigningKey(text: string, method: string): boolean {
  try {
    const { alg } = readSigningKey(text)
    return method !== 'apple' || alg === 'ES256'
  } catch {
    return false
  }
}

function algorithmsOf({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): readonly string[] {
  const { namedCurve, modulusLength } = asymmetricKeyDetails ?? {}
  if (modulusLength !== undefined && modulusLength < RSA_MIN_BITS) return []
  return ALGORITHMS[namedCurve ?? asymmetricKeyType ?? ''] ?? []
}

/** The JWK, or undefined if `text` is no JSON object. */
function parseJwk(text: string): JsonWebKey | undefined {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as JsonWebKey) : undefined
  } catch {
    // The error of JSON.parse quotes the key.
    return undefined
  }
}
