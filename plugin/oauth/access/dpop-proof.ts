import { OAuthError } from '../errors.ts'
import { isSignatureOf, type ProofKey, proofKey } from './dpop-key.ts'

/** A DPoP proof as received: nothing but its syntax has been checked. */
export interface DpopProof {
  /** Its first segment, byte for byte: the same client sends the same one each time. */
  readonly header: string
  readonly key: ProofKey
  readonly htm: string
  readonly htu: string
  /** Seconds since the epoch. */
  readonly iat: number
  readonly jti: string
  readonly ath: string | undefined
  readonly nonce: string | undefined
  readonly signed: string
  readonly signature: string
}

/** The header alone has at most a third of it, with an RSA key of 4096 bits. */
const PROOF_MAX = 4096
const JWT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/
const JTI_MAX = 128

/**
 * The proof of a request, taken apart.
 *
 * @param rawHeaders names and values in turn, as received: joined headers keep one of several in silence.
 * @param known the keys of headers that have been seen, by their text: to make one costs as much as a verification.
 * @throws OAuthError `dpop_proof_missing`, `dpop_proof_repeated`, `dpop_proof_malformed`.
 * Source: RFC 9449 §4.2, §4.3 (1 to 6).
 */
export function parseProof(
  rawHeaders: readonly string[],
  known: (header: string) => ProofKey | undefined,
): DpopProof {
  const jwt = proofIn(rawHeaders)
  if (jwt === undefined) throw new OAuthError('dpop_proof_missing')
  if (jwt.length > PROOF_MAX || !JWT.test(jwt)) throw new OAuthError('dpop_proof_malformed')
  const headerEnd = jwt.indexOf('.')
  const signedEnd = jwt.lastIndexOf('.')
  const header = jwt.slice(0, headerEnd)
  const key = known(header) ?? keyIn(header)
  const { htm, htu, iat, jti, ath, nonce } = decodeObject(jwt.slice(headerEnd + 1, signedEnd))
  if (
    typeof htm !== 'string' ||
    typeof htu !== 'string' ||
    typeof iat !== 'number' ||
    typeof jti !== 'string' ||
    jti === '' ||
    jti.length > JTI_MAX ||
    !isOptionalString(ath) ||
    !isOptionalString(nonce)
  ) {
    throw new OAuthError('dpop_proof_malformed')
  }
  const signed = jwt.slice(0, signedEnd)
  return { ...{ header, key, htm, htu, iat, jti, ath, nonce, signed }, signature: jwt.slice(signedEnd + 1) }
}

/** True if there is a proof, or what should be one. */
export function hasProof(rawHeaders: readonly string[]): boolean {
  for (let index = 0; index < rawHeaders.length; index += 2) if (isDpop(rawHeaders[index]!)) return true
  return false
}

/** @throws OAuthError `dpop_proof_malformed`. Source: RFC 9449 §4.3 (7). */
export function assertSigned({ key, signed, signature }: DpopProof): void {
  if (!isSignatureOf(key, signed, signature)) throw new OAuthError('dpop_proof_signature')
}

/**
 * True if the proof is for this URL, whose query and fragment do not count.
 *
 * @param origin ours, e.g. `https://api.example.com`. @param target as received, in origin-form.
 * Source: RFC 9449 §4.3 (9); RFC 3986 §6.2.2, §6.2.3.
 */
export function isForTarget({ htu }: Pick<DpopProof, 'htu'>, origin: string, target: string): boolean {
  const queryAt = target.indexOf('?')
  const path = queryAt === -1 ? target : target.slice(0, queryAt)
  if (htu.length === origin.length + path.length && htu.startsWith(origin) && htu.endsWith(path)) return true
  const [claimed, own] = [normalized(htu), normalized(origin + path)]
  return claimed !== undefined && claimed === own
}

/** Undefined: it is no URL, or one with a user. */
function normalized(text: string): string | undefined {
  if (!URL.canParse(text)) return undefined
  const { origin, pathname, username, password } = new URL(text)
  if (username !== '' || password !== '') return undefined
  return origin + pathname.replace(/%[0-9A-Fa-f]{2}/g, normalizedEscape)
}

/** RFC 3986 §6.2.2.1, §6.2.2.2. */
function normalizedEscape(octet: string): string {
  const character = String.fromCharCode(Number.parseInt(octet.slice(1), 16))
  return /[A-Za-z0-9\-._~]/.test(character) ? character : octet.toUpperCase()
}

function proofIn(rawHeaders: readonly string[]): string | undefined {
  let proof: string | undefined
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (!isDpop(rawHeaders[index]!)) continue
    if (proof !== undefined) throw new OAuthError('dpop_proof_repeated')
    proof = rawHeaders[index + 1]!
  }
  return proof
}

function isDpop(name: string): boolean {
  return name.length === 4 && name.toLowerCase() === 'dpop'
}

function keyIn(header: string): ProofKey {
  const { typ, alg, jwk, crit } = decodeObject(header)
  const key = typ === 'dpop+jwt' && crit === undefined ? proofKey(alg, jwk) : null
  if (key === null) throw new OAuthError('dpop_proof_malformed')
  return key
}

function decodeObject(segment: string): Readonly<Record<string, unknown>> {
  let value: unknown
  try {
    value = JSON.parse(Buffer.from(segment, 'base64url').toString())
  } catch {
    // No cause: what a stranger has sent is not for the log.
  }
  if (typeof value !== 'object' || value === null) throw new OAuthError('dpop_proof_malformed')
  return value as Readonly<Record<string, unknown>>
}

function isOptionalString(value: unknown): value is string | undefined {
  return value === undefined || typeof value === 'string'
}
