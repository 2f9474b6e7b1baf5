/** What can be asked of the system about one login, and what the provider behind it does then. */

/** Of the product, in seconds. */
export const LIFETIMES = {
  transactionSeconds: 600,
  codeSeconds: 55,
  accessTokenSeconds: 150,
  duplicateSeconds: 15,
  refreshGraceSeconds: 15,
  refreshIdleSeconds: 5000,
  sessionSeconds: 25_000,
  tombstoneSeconds: 3600,
}
/** Life of the provider's access tokens. */
export const PROVIDER_SECONDS = 160

/** What the provider does with a request at its token endpoint. */
export type Mood =
  | 'well'
  /** It refuses connections. */
  | 'absent'
  /** 500. */
  | 'failing'
  /** It does its work, and the connection breaks before the answer. */
  | 'cut'
  /** 400 `invalid_grant`. */
  | 'refusing'
  /** 401 `invalid_client`: it has fallen out with us. */
  | 'at odds'
  /** Its id_token is of a key that is not among those it publishes. */
  | 'unknown key'
  /** Its id_token is of a key that this instance has not seen yet. */
  | 'new key'
  /** Its id_token at a refresh names somebody else. */
  | 'other subject'

export type Proof = 'right' | 'wrong secret' | 'other client'

export interface CallbackRequest {
  readonly kind: 'callback'
  readonly as: 'right' | 'denied' | 'other browser'
}
export interface RedeemRequest {
  readonly kind: 'redeem'
  readonly proof: Proof | 'wrong verifier' | 'wrong uri'
  readonly provider: Mood
}
export interface RefreshRequest {
  readonly kind: 'refresh'
  readonly generation: number
  readonly proof: Proof
  readonly provider: Mood
}
export interface CallRequest {
  readonly kind: 'call'
  readonly generation: number
  readonly at: 'route' | 'userinfo' | 'introspection'
}
export interface RevokeRequest {
  readonly kind: 'revoke'
  readonly token: 'access' | 'refresh'
  readonly generation: number
  readonly proof: 'right' | 'other client'
}
export interface LogoutRequest {
  readonly kind: 'logout'
  readonly by: 'grant' | 'subject'
}
export type Request =
  | CallbackRequest
  | RedeemRequest
  | RefreshRequest
  | CallRequest
  | RevokeRequest
  | LogoutRequest
