/** Somebody has just signed in at the provider. Nothing has been issued to the app yet. */
export interface Login {
  /** Names the grant to be, in `endSession` and in audit events. */
  readonly grantId: string
  /** The provider's issuer. With `subject` it says who this is (OIDC Core §2). */
  readonly issuer: string
  /** The provider's name in `providers`; undefined where there is but one. */
  readonly provider: string | undefined
  /** `sub` at the provider, or `grant:<id>` where it tells nobody who signs in. */
  readonly subject: string
  /** All that the provider has told: of the id_token, and of userinfo where that was asked (`clients[].claims`). */
  readonly claims: Readonly<Record<string, unknown>>
  readonly clientId: string
  /** Of ours, that the session would have. */
  readonly scopes: readonly string[]
  /** Aborts when the time for the decision is over: five seconds. */
  readonly signal: AbortSignal
}

/**
 * What becomes of a login. Nothing: it goes on.
 *
 * `claims` are added to `session.claims`, userinfo and identity headers, for the life of the session: plain JSON of at
 * most 4096 bytes, without `sub` and `iss`. `scopes`: some of those that were given. `deny`: why, for the log; the app
 * gets `access_denied`.
 */
export type LoginDecision =
  | { readonly claims?: Readonly<Record<string, unknown>>; readonly scopes?: readonly string[] }
  | { readonly deny: string }
  | undefined

/**
 * The first moment at which the person is known: look up the user, veto, add claims.
 *
 * It runs once for each grant, never at a refresh, and never for a login that is refused for another reason. What it
 * throws, and five seconds without a decision, refuse the login with 502; the provider's tokens are revoked.
 */
export type OnLogin = (login: Login) => LoginDecision | Promise<LoginDecision>
