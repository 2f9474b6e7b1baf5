import type { AuditedRequest } from '../grant/audit-events.ts'
import type { Claims } from '../oauth/callback.ts'

/** What the check looks at: any `FastifyRequest` is one. */
export interface ProtectedRequest extends AuditedRequest {
  /** As received: any `IncomingMessage` is one. */
  readonly raw: {
    readonly rawHeaders: readonly string[]
    /** A DPoP proof is for one. */
    readonly method?: string | undefined
    readonly url?: string | undefined
  }
}

/** What a session is made of. Times are milliseconds of the store's clock. */
export interface SessionFields {
  grantId: string
  clientId: string
  issuer: string
  subject: string
  scope: readonly string[]
  resources?: readonly string[] | undefined
  claims: Claims
  expiresAt: number
  acr?: string | undefined
  authTime?: number | undefined
  jkt?: string | undefined
  tokenHash: string
  providerAuthorization: string
}

/**
 * What an access token resolves to: the proof that a token exchange has succeeded here.
 *
 * Only the session resolver makes one, and the private field makes the type nominal: code that asks for a
 * `Session` cannot be handed anything else (requirements H-03). Read-only; shared by all requests that carry
 * the same token.
 */
export class Session {
  /** Names the grant in logs and in `endSession`; it is no credential. */
  readonly grantId: string
  readonly clientId: string
  /** The provider's. A subject is unique there, and nowhere else (OIDC Core §2). */
  readonly issuer: string
  /** `sub` at the provider. */
  readonly subject: string
  /** Granted scopes of ours. */
  readonly scope: readonly string[]
  /** What its token is for (RFC 8707). Undefined: every resource that the scopes allow. */
  readonly resources: readonly string[] | undefined
  /** The client's allow-listed claims, those of `onLogin`, and `sub`. */
  readonly claims: Claims
  /** Milliseconds since the epoch, by the store's clock. */
  readonly expiresAt: number
  /** `acr` of the id_token: how the person has signed in. Undefined: the provider has not told. */
  readonly acr: string | undefined
  /** When the person has signed in at the provider, in milliseconds of the store's clock. Undefined: not told. */
  readonly authTime: number | undefined
  /** Thumbprint of the key that the access token is bound to (RFC 9449 §6); undefined: to none, it is a bearer token. */
  readonly jkt: string | undefined
  readonly #tokenHash: string
  readonly #providerAuthorization: string

  constructor(fields: SessionFields) {
    this.grantId = fields.grantId
    this.clientId = fields.clientId
    this.issuer = fields.issuer
    this.subject = fields.subject
    this.scope = fields.scope
    this.resources = fields.resources
    this.claims = fields.claims
    this.expiresAt = fields.expiresAt
    this.acr = fields.acr
    this.authTime = fields.authTime
    this.jkt = fields.jkt
    this.#tokenHash = fields.tokenHash
    this.#providerAuthorization = fields.providerAuthorization
    // One request must not be able to change who the next one is.
    Object.freeze(this)
  }

  /** Names the access token in its grant. Kept out of JSON and logs. */
  get tokenHash(): string {
    return this.#tokenHash
  }

  /** The `Authorization` value for an upstream, e.g. `Bearer …`. A secret: kept out of JSON and logs. */
  get providerAuthorization(): string {
    return this.#providerAuthorization
  }
}
