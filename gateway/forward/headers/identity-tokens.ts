import type { Session } from '../../../plugin/index.ts'

/** Says who is calling, and how long that may be said. */
export interface IdentityToken {
  /** A JWS in its compact form. */
  readonly token: string
  /** In milliseconds from now. */
  readonly lifeMs: number
}

/** Who signs for upstreams that do not trust the provider's tokens. */
export interface IdentityTokens {
  /** Another number as soon as tokens of before are refused. */
  readonly revision: number
  /**
   * Without I/O.
   * @param claims names of claims that are told besides.
   */
  sign(session: Session, audience: string, claims: readonly string[]): IdentityToken
}

/** The fields of a session for one upstream, and when they are to be made anew. */
export interface PreparedFields {
  /** A flat list. */
  readonly fields: readonly string[]
  /** By `performance.now()`. */
  readonly freshUntil: number
  /** Of who has signed; 0: nobody. */
  readonly revision: number
}
