import { OAuthError } from '../oauth/errors.ts'
import type { Session } from './session.ts'

/** How a person must have signed in to be let through (RFC 9470). */
export interface RequiredAuthentication {
  /** `acr` values of the provider, one of which the login must have had. */
  readonly acr?: readonly string[] | undefined
  /** How long ago the login may be, in seconds; at least 1. */
  readonly maxAgeSeconds?: number | undefined
}

/** What can be in a challenge, and in `acr_values`, which a space takes apart. */
const ACR = /^[\x21\x23-\x5b\x5d-\x7e]{1,256}$/

/** True for an `acr` value that can be asked for. */
export function isAcr(value: unknown): value is string {
  return typeof value === 'string' && ACR.test(value)
}

/**
 * What is demanded in the form in which it is checked: a copy, that nobody can change afterwards.
 *
 * @returns undefined where nothing is demanded. @throws TypeError for what would demand less than it says.
 */
export function requiredAuthentication({
  acr,
  maxAgeSeconds,
}: RequiredAuthentication): RequiredAuthentication | undefined {
  // The type of text fits too, and every part of it would be an acr.
  if (acr !== undefined && !(Array.isArray(acr) && acr.every(isAcr))) {
    throw new TypeError(
      'requireSession: acr must be a list of acr values: visible ASCII without spaces, quotes and backslashes',
    )
  }
  if (maxAgeSeconds !== undefined && !(Number.isSafeInteger(maxAgeSeconds) && maxAgeSeconds >= 1)) {
    throw new TypeError('requireSession: maxAgeSeconds must be a whole number of seconds, at least 1')
  }
  const values = acr !== undefined && acr.length > 0 ? Object.freeze([...acr]) : undefined
  if (values === undefined && maxAgeSeconds === undefined) return undefined
  return Object.freeze({ acr: values, maxAgeSeconds })
}

/**
 * Why a session does not do, or undefined. What the provider has not told is unknown, and unknown is too weak and too
 * old.
 *
 * @param now milliseconds of the store's clock. Source: RFC 9470 §3, requirements S-04.
 */
export function findWeakness(
  { acr, authTime }: Pick<Session, 'acr' | 'authTime'>,
  required: RequiredAuthentication,
  now: number,
): OAuthError | undefined {
  // By each of the list: text has an `includes` too, and would take a part of itself.
  if (required.acr !== undefined && !required.acr.some((one) => one === acr)) {
    return new OAuthError('authentication_too_weak')
  }
  const { maxAgeSeconds } = required
  if (maxAgeSeconds === undefined) return undefined
  const isRecent = authTime !== undefined && now - authTime <= maxAgeSeconds * 1000
  return isRecent ? undefined : new OAuthError('authentication_too_old')
}
