import type { JWTPayload } from 'jose'
import type { HostRequest } from './hosts.ts'

/** What the token endpoint refuses. */
export type Refusal =
  | 'client'
  | 'code'
  | 'redirect_uri'
  | 'verifier'
  | 'refresh_token'
  | 'grant_type'
  | 'scope'

/** An answer: text is a page, anything else is JSON. */
export interface Answer {
  readonly status: number
  readonly body: unknown
}

/** What a person has allowed. */
export interface Allowed {
  readonly query: URLSearchParams
  readonly scopes: readonly string[]
  readonly person: string
  /** The person's first consent to this client. */
  readonly isFirst: boolean
  isEnded: boolean
}

/**
 * What a provider does that the textbook does not, as a table. Written from what its documentation and those who met
 * it say, and never from our presets: those are judged by it.
 */
export interface Facts {
  /** Absolute addresses; what is absent there is not there. */
  readonly endpoints: {
    readonly authorization: string
    readonly token: string
    readonly userinfo?: string
    readonly revocation?: string
    readonly par?: string
    readonly jwks?: string
    readonly metadata?: string
  }
  /** `iss` of id_tokens, and of the metadata unless that says otherwise. Absent: no OpenID. */
  readonly issuer?: string
  /** What metadata says besides issuer and endpoints. */
  readonly metadata?: Readonly<Record<string, unknown>>
  readonly scopes: readonly string[]
  /** For a scope that it does not know: an error of this word at the callback, or a page. Absent: it is ignored. */
  readonly unknownScope?: string
  readonly clientAuthentication: readonly ('basic' | 'post')[]
  /** In place of comparing the secret. */
  readonly isSecret?: (secret: string, clientId: string) => Promise<boolean>
  readonly revokesWithoutClient?: true
  /** A code_verifier where there was no challenge, or at all. */
  readonly verifier?: 'refused'
  /** What becomes of a refresh token at its use; absent: there are none. */
  readonly refresh?: 'kept' | 'sent again' | 'rotated' | 'rotated, the old one stays good' | 'ends its family'
  readonly givesRefreshToken?: (allowed: Allowed) => boolean
  /** Members of a token answer besides the tokens, `token_type` and `scope`. */
  readonly token?: Readonly<Record<string, unknown>>
  readonly scopeText?: (scopes: readonly string[]) => string | undefined
  /** The characters of an access token besides a number. */
  readonly accessToken?: string
  /** The code is at least so long. */
  readonly codeLength?: number
  /** Also where the scope lacks openid. */
  readonly alwaysIdToken?: true
  readonly idToken?: (allowed: Allowed) => JWTPayload
  /** Answers about the person, once the token has been accepted. */
  readonly userinfo?: (allowed: Allowed, request: HostRequest) => Answer
  readonly refusedUserinfo?: Answer
  /** What comes back when the person says no; absent: there is no such button. */
  readonly cancel?: Readonly<Record<string, string>>
  /** What else comes back with a code. */
  readonly callback?: (allowed: Allowed) => Readonly<Record<string, string>>
  /** Behind the address that the browser is sent to. */
  readonly fragment?: string
  readonly sendsIss?: boolean
  /** Why an authorization request gets a page, or undefined. */
  readonly refuses?: (query: URLSearchParams) => string | undefined
  /** Where an unregistered redirect URI leads: to a page, or to the registered one with this error. */
  readonly unregistered?: string
  readonly refusals?: Readonly<Partial<Record<Refusal, Answer>>>
  /** Before anything else at any endpoint. */
  readonly answersFirst?: (request: HostRequest) => Answer | undefined
  /** Of the token endpoint; JSON by default. */
  readonly isForm?: (request: HostRequest) => boolean
  /** Without the parts that may stand in a path. */
  readonly path?: (path: string) => string
}
