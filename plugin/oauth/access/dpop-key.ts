import { constants, createPublicKey, hash, type VerifyKeyObjectInput, verify } from 'node:crypto'

/**
 * The algorithms that a proof may be signed with: those of the keys that phones and browsers make, and that cost
 * little to verify. ES384 and ES512 take ten times as long as ES256 here, for keys that no phone makes.
 *
 * Source: RFC 7518 §3.1, RFC 8037 §3.1, RFC 9864 §2.2.
 */
export const dpopAlgorithms = ['ES256', 'Ed25519', 'EdDSA', 'PS256', 'RS256'] as const
type DpopAlgorithm = (typeof dpopAlgorithms)[number]

/** A public key, ready to verify with. */
export interface ProofKey {
  /** Its thumbprint, 43 base64url characters (RFC 7638). */
  readonly jkt: string
  /** Null: the algorithm has its own. */
  readonly digest: 'sha256' | null
  readonly input: VerifyKeyObjectInput
  readonly signatureBytes: number
}

/** Members of private and symmetric keys (RFC 7518 §6.2.2, §6.3.2, §6.4.1). Whoever sends one has given the key away. */
const PRIVATE_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k']
/** 32 bytes: a coordinate of P-256, a key of Ed25519, or a SHA-256. */
const BYTES_32 = /^[A-Za-z0-9_-]{43}$/
const BASE64URL = /^[A-Za-z0-9_-]+$/
/** Other exponents make a verification as slow as its sender likes. */
const EXPONENT = 'AQAB'
const MODULUS_BITS = { least: 2048, most: 4096 }

/**
 * The public key out of the header of a proof.
 *
 * @param alg as the header has it. @param jwk the same.
 * @returns null for what is no key of this algorithm: another type or curve, one with private members, a point that is
 *   not on its curve, RSA below 2048 or above 4096 bits.
 * Source: RFC 9449 §4.2, §4.3; RFC 7517 §4; RFC 7638 §3.
 */
export function proofKey(alg: unknown, jwk: unknown): ProofKey | null {
  if (!isAlgorithm(alg) || typeof jwk !== 'object' || jwk === null || Array.isArray(jwk)) return null
  const members = jwk as Readonly<Record<string, unknown>>
  if (PRIVATE_MEMBERS.some((name) => Object.hasOwn(members, name))) return null
  const required = requiredMembers(alg, members)
  if (required === null) return null
  try {
    const key = createPublicKey({ key: required, format: 'jwk' })
    const bits = key.asymmetricKeyDetails?.modulusLength ?? MODULUS_BITS.least
    if (bits < MODULUS_BITS.least || bits > MODULUS_BITS.most) return null
    const jkt = hash('sha256', JSON.stringify(required), 'base64url')
    switch (alg) {
      case 'ES256':
        return { jkt, digest: 'sha256', input: { key, dsaEncoding: 'ieee-p1363' }, signatureBytes: 64 }
      case 'EdDSA':
      case 'Ed25519':
        return { jkt, digest: null, input: { key }, signatureBytes: 64 }
      case 'PS256': {
        const input = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: 32 }
        return { jkt, digest: 'sha256', input, signatureBytes: Math.ceil(bits / 8) }
      }
      case 'RS256': {
        const input = { key, padding: constants.RSA_PKCS1_PADDING }
        return { jkt, digest: 'sha256', input, signatureBytes: Math.ceil(bits / 8) }
      }
    }
  } catch {
    // Not on its curve, or nothing that OpenSSL takes for a key.
    return null
  }
}

/**
 * True if the signature is the key's. Synchronous: a promise's way to another thread and back costs as much as the
 * verification itself.
 */
export function isSignatureOf(
  { digest, input, signatureBytes }: ProofKey,
  signed: string,
  signature: string,
): boolean {
  const bytes = Buffer.from(signature, 'base64url')
  if (bytes.length !== signatureBytes) return false
  return verify(digest, Buffer.from(signed, 'latin1'), input, bytes)
}

/** Those that make the key, in the order of the thumbprint (RFC 7638 §3.2). Null: they are of another kind of key. */
function requiredMembers(alg: DpopAlgorithm, { kty, crv, x, y, n, e }: Readonly<Record<string, unknown>>) {
  switch (alg) {
    case 'ES256':
      return kty === 'EC' && crv === 'P-256' && is(BYTES_32, x) && is(BYTES_32, y) ? { crv, kty, x, y } : null
    case 'EdDSA':
    case 'Ed25519':
      return kty === 'OKP' && crv === 'Ed25519' && is(BYTES_32, x) ? { crv, kty, x } : null
    case 'PS256':
    case 'RS256':
      return kty === 'RSA' && e === EXPONENT && is(BASE64URL, n) ? { e, kty, n } : null
  }
}

/** True for what can be a SHA-256 thumbprint of a key (RFC 7638 §3). */
export function isThumbprint(text: string): boolean {
  return BYTES_32.test(text)
}

function isAlgorithm(alg: unknown): alg is DpopAlgorithm {
  return (dpopAlgorithms as readonly unknown[]).includes(alg)
}

function is(syntax: RegExp, value: unknown): value is string {
  return typeof value === 'string' && syntax.test(value)
}
