import type { Claims } from '../oauth/callback.ts'
import type { ProviderError } from '../oauth/errors.ts'
import type { ProviderName } from '../options/provider/named.ts'
import type { ResolvedProvider } from '../options/resolved.ts'
import type { Metadata } from './metadata/endpoints.ts'

export type { Claims } from '../oauth/callback.ts'

/** What the endpoints know of the provider: the only door to it. */
export interface Provider {
  /** Among several; undefined for the only one. */
  readonly name: ProviderName
  readonly options: ResolvedProvider
  /** The configured issuer: grants and indexes know the provider by it. */
  readonly issuer: string
  /** What to look at, for the operator, when an authorization is refused with one of these words of the provider's own. */
  adviceOn(words: readonly string[]): string | undefined
  /** True if an authorization response with this `iss` is the provider's (RFC 9207 §2.4). */
  isIssuer(iss: string): boolean
  /** True once metadata has been accepted; it stays true through later outages. */
  readonly ready: boolean
  /** As accepted; undefined before that. */
  readonly metadata: Metadata | undefined
  /** Metadata promised `iss` in authorization responses (RFC 9207 §3), so that a missing one is refused. */
  readonly issRequired: boolean

  /**
   * Finds the endpoints. Resolves when they are accepted, or when the provider cannot be reached (retries go on
   * in the background until the first success).
   * @throws ConfigError when the metadata is wrong: another issuer, no S256, an endpoint that is not allowed.
   */
  start(): Promise<void>

  /**
   * True at once when `ready`. Else those who ask share one try, made now, and learn within seconds what came of it;
   * after one that failed, false at once for a second (M-06).
   */
  whenReady(): Promise<boolean>

  /**
   * The URL to send the browser to, by PAR as `provider.par` says (RFC 9126).
   * @throws ProviderError when not ready, or when the PAR request fails.
   */
  authorizationUrl(request: ProviderAuthorizationRequest): Promise<string>

  /** RFC 6749 §4.1.3, once `whenReady`, and id_token validation (OIDC Core §3.1.3.7). Never retried. @throws ProviderError */
  redeemCode(redemption: ProviderCodeRedemption): Promise<ProviderTokens>

  /**
   * RFC 6749 §6, once `whenReady`. Retried once, only if nothing was sent. Once the provider has answered, the old refresh token may be
   * dead: what the answer brings is committed first, and its id_token is judged afterwards (D-11).
   *
   * @param refresh `subject` of the login, where the provider has told one.
   * @throws ProviderError; `provider_subject_mismatch` for the tokens of somebody else, which are revoked (D-14).
   */
  refresh(refresh: { refreshToken: string; subject?: string | undefined }): Promise<ProviderRefresh>

  /** Verifies the id_token of a refresh, for its claims (OIDC Core §12.2). @throws ProviderError */
  refreshedClaims(idToken: string, accessToken: string): Promise<Claims>

  /** OIDC Core §5.3; `sub` must equal `subject` when that is known (§5.3.2). @throws ProviderError */
  userinfo(accessToken: string, subject: string | undefined): Promise<Claims>
  /** True if userinfo answers our tokens: it is configured, or discovered and the scope has `openid`. */
  readonly hasUserinfo: boolean

  /** True where its logout tokens can be verified: it speaks OpenID Connect. */
  readonly sendsLogouts: boolean
  /**
   * Verifies a logout token (Back-Channel Logout §2.6), but for its `jti` having been used.
   * @throws OAuthError `logout_token_invalid`, whose cause names the check. @throws ProviderError of a key fetch.
   */
  readLogoutToken(jwt: string): Promise<LogoutToken>

  /** RFC 7009, the refresh token if there is one. Three tries in the background; never throws. */
  revoke(tokens: { accessToken: string; refreshToken?: string | undefined }): void

  /** Waits for revocations under way, bounded, and closes the connections. */
  close(): Promise<void>
}

/** What a logout token says is over: one session at the provider, or all of a subject; at least one of them is named. */
export interface LogoutToken {
  /** Once only: whoever gets it again refuses it. */
  readonly jti: string
  readonly sid?: string | undefined
  /** `sub`. */
  readonly subject?: string | undefined
  /** Milliseconds from now, after which it is refused for its age. */
  readonly remainingMs: number
}

/** What an authorization request to the provider says besides what it always says. */
export interface ProviderAuthorizationRequest {
  state: string
  /** Absent where no id_token is asked for. */
  nonce?: string | undefined
  codeChallenge?: string | undefined
  /** `clients[].providerScopes` that were granted; `provider.scope` is always sent. */
  extraScope: readonly string[]
  /** The app's own parameters, already checked against its pass-through list. */
  passThrough: Readonly<Record<string, string>>
  /** A human must see a step at the provider: `prompt=consent` unless configured otherwise. */
  prompt: boolean
}

/** The provider's code, and what binds it to its transaction. */
export interface ProviderCodeRedemption {
  code: string
  codeVerifier?: string | undefined
  nonce?: string | undefined
  /** Seconds, when `max_age` was sent: `auth_time` is then checked. */
  maxAge?: number | undefined
  /** When they were sent: `acr` must be one of them. */
  acrValues?: string | undefined
}

/** A token response of the provider, checked. */
export interface ProviderTokens {
  accessToken: string
  /** As the provider spells it, e.g. `Bearer`. */
  tokenType: string
  /** From receipt; see `tokenSeconds` (D-15). */
  expiresInSeconds: number
  refreshToken?: string
  /** As answered; absent where the provider did not say. */
  scope?: readonly string[]
  /** Of the validated id_token, if there was one. */
  claims?: Claims
}

/** A response to a refresh that is not an error. */
export interface ProviderRefresh {
  /** Absent where the old one stays valid (RFC 6749 §6). */
  readonly refreshToken?: string
  /** Or what is wrong with the rest of the response, which is of no use then. */
  readonly tokens: ProviderTokens | ProviderError
  /** Of nobody else (D-14), and not verified. */
  readonly idToken?: string
}
