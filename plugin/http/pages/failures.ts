import type { Reason } from '../../oauth/errors.ts'

/**
 * What a person needs to know of a failure: what to do now. Many reasons are one failure; which it was, the log says, and
 * the request id leads there.
 */
export const FAILURES = [
  'used',
  'otherBrowser',
  'denied',
  'app',
  'provider',
  'busy',
  'unavailable',
  'internal',
] as const
export type Failure = (typeof FAILURES)[number]

/** Nobody has done anything wrong: such a page does not look like an accident. Most are reloads of a page (B-15). */
const QUIET: readonly Failure[] = ['used', 'otherBrowser', 'denied']

/** Those that their status does not tell. */
const OF_REASON: Partial<Record<Reason, Failure>> = {
  callback_malformed: 'used',
  state_unknown: 'used',
  state_used: 'used',
  transaction_sealed: 'used',
  issuer_mismatch: 'used',
  client_gone: 'used',
  consent_elsewhere: 'used',
  pushed_request_unknown: 'used',
  pushed_request_used: 'used',
  browser_mismatch: 'otherBrowser',
  consent_denied: 'denied',
  body_timeout: 'unavailable',
}

/** The failure that an error of ours is to a person. Whatever the app could have done better is the app's. */
export function failureOf({
  reason,
  statusCode,
}: {
  readonly reason: Reason
  readonly statusCode: number
}): Failure {
  const named = OF_REASON[reason]
  if (named !== undefined) return named
  if (statusCode === 429) return 'busy'
  if (statusCode === 502) return 'provider'
  if (statusCode === 503) return 'unavailable'
  return statusCode < 500 ? 'app' : 'internal'
}

/** The failure that the provider's refusal is. @param error of RFC 6749 §4.1.2.1. */
export function failureOfProvider(error: string): Failure {
  return error === 'access_denied' ? 'denied' : 'provider'
}

/** True if the page is to look like a failure. */
export function isAlarming(failure: Failure): boolean {
  return !QUIET.includes(failure)
}
