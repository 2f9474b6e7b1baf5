/**
 * A registered app, complete: every option of `clients[]` with its default (RFC 6749 §2).
 *
 * `plugin/options` makes it out of its schema; the type test `test/types/options.ts` proves that the two agree.
 */
export interface RegisteredClient {
  readonly clientId: string
  /** What the page calls it. */
  readonly name: string
  /** False: it is refused everywhere, its live sessions included. */
  readonly enabled: boolean
  /** Its one method at the token and revocation endpoints; `none` for a public client. */
  readonly authentication: 'none' | 'client_secret_basic' | 'client_secret_post'
  /** Of a confidential client. */
  readonly clientSecret?: string
  /** Exact, but for the port of a loopback redirect (RFC 8252 §7.3). */
  readonly redirectUris: readonly string[]
  /** Scopes of ours that it may have. */
  readonly scopes: readonly string[]
  /** Those of `scopes` that the provider is asked for as well. */
  readonly providerScopes: readonly string[]
  /** Claims that userinfo and identity headers may show, besides `sub`. */
  readonly claims: readonly string[]
  /** Undefined: decided by the kind of redirect URI. */
  readonly interaction?: 'page' | 'none' | 'prompt'
  /** Authorization parameters of the app that the provider gets. */
  readonly passThrough: readonly string[]
  /** Exact origins of a browser client (CORS). */
  readonly allowedOrigins: readonly string[]
  /** Names of the providers where its users may sign in; empty: all of them. */
  readonly providers: readonly string[]
  /** Its authorization requests must be pushed (RFC 9126 §6). */
  readonly requirePar: boolean
  /** Whether its tokens are bound to keys that it proves to hold (RFC 9449). */
  readonly dpop: 'off' | 'allowed' | 'required'
  /** A code that is proved again shortly after it was used gets the same answer, should that have been lost (C-25). */
  readonly repeatableExchange: boolean
}

/** Who may introspect (RFC 7662 §2.1). It always authenticates. */
export interface ResourceServer {
  readonly clientId: string
  readonly clientSecret: string
}
