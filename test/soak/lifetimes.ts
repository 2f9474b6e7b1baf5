/** All lives are short, so that expiry is part of the soak. */
export const lifetimes = {
  transactionSeconds: 20,
  codeSeconds: 20,
  accessTokenSeconds: 8,
  duplicateSeconds: 3,
  refreshGraceSeconds: 3,
  refreshIdleSeconds: 25,
  sessionSeconds: 40,
  /** A used code is remembered for a minute at least. */
  tombstoneSeconds: 60,
}
/** The provider's access tokens. Half of it later a refresh asks the provider. */
export const PROVIDER_SECONDS = 3
/** The same where no refresh token comes with it: then the session ends with it (D-15). */
export const PROVIDER_ALONE_SECONDS = 12
/** The provider's deadline. */
export const PROVIDER_TOTAL_MS = 3000
/** A lease whose holder is gone is over after this time: the deadline and five seconds. */
export const LEASE_MS = PROVIDER_TOTAL_MS + 5000
/** The longest life that a key is given at one time, and a little more. */
export const KEY_MS = 61_000
/** From a login to the end of its last key: it may be logged out at the end of its life. */
export const LOGIN_MS = (lifetimes.sessionSeconds + lifetimes.tombstoneSeconds) * 1000 + 2000
/** The life of what a beat of a channel leaves on Redis. */
export const MARK_MS = 10_000
