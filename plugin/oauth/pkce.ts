import { hash, timingSafeEqual } from 'node:crypto'

const CODE_VERIFIER = /^[A-Za-z0-9\-._~]{43,128}$/
// 43 characters carry 258 bits for a digest of 256, so the last one has 16 canonical values. Any other can
// never equal an encoded digest, and is refused at the authorization request rather than at the token request.
const CODE_CHALLENGE = /^[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]$/

/** True for 43 to 128 unreserved characters (RFC 7636 §4.1). */
export function isCodeVerifier(text: string): boolean {
  return CODE_VERIFIER.test(text)
}

/** True for the base64url form of a SHA-256 digest (RFC 7636 §4.2, S256). */
export function isCodeChallenge(text: string): boolean {
  return CODE_CHALLENGE.test(text)
}

/** `BASE64URL(SHA256(ASCII(code_verifier)))` (RFC 7636 §4.2). */
export function codeChallengeS256(codeVerifier: string): string {
  return hash('sha256', codeVerifier, 'base64url')
}

/**
 * Proves that `codeVerifier` is the one behind `codeChallenge`; S256 is the only method.
 *
 * @param codeVerifier  as received at the token endpoint.
 * @param codeChallenge as stored at the authorization request.
 * @returns false also when either of them is malformed.
 * Source: RFC 7636 §4.6. Constant time in the comparison.
 */
export function verifyCodeVerifier(codeVerifier: string, codeChallenge: string): boolean {
  if (!isCodeVerifier(codeVerifier) || !isCodeChallenge(codeChallenge)) return false
  // The encoded strings are compared: Buffer's base64url decoder maps several strings to the same bytes.
  return timingSafeEqual(Buffer.from(codeChallengeS256(codeVerifier)), Buffer.from(codeChallenge))
}
