import Type, { type Static, type TProperties } from 'typebox'
import { Compile } from 'typebox/compile'

/**
 * The grant: everything about one authorization, from its first request to its end, in one record under one
 * key. Times are milliseconds of the store's clock; `sealed` and `key` fields open only with a live handle;
 * credentials are present as hashes alone.
 *
 *     authorizing → authorized → redeeming → active → ended     (and from each of them to ended)
 */
const text = Type.String()
const hash = Type.String({ pattern: '^[A-Za-z0-9_-]{43}$' })
const time = Type.Number()
const scope = Type.Array(text)
const record = <T extends TProperties>(properties: T) =>
  Type.Object(properties, { additionalProperties: false })

const common = {
  /** Format of the record; any other value reads as absent (G-15). */
  v: Type.Literal(1),
  /** The selector in each of its handles. */
  id: text,
  /** Issuer of the provider, so that several can be configured later. */
  provider: text,
  clientId: text,
  /** What an app is called that nobody registered: its own word, or its host. The grant needs nothing else of it. */
  clientName: Type.Optional(text),
  createdAt: time,
  /** `traceparent` of its authorization request, where that was traced. */
  trace: Type.Optional(text),
}

/** What the authorization request fixed, and every later step must match (RFC 6749 §4.1.3, RFC 7636 §4.4). */
const request = {
  redirectUri: text,
  codeChallenge: hash,
  scope,
  providerScope: scope,
  /** What its tokens are for, where that was asked (RFC 8707). */
  resources: Type.Optional(Type.Array(text)),
  maxAgeSeconds: Type.Optional(Type.Number()),
  /** As sent to the provider: `acr` is one of them. */
  acrValues: Type.Optional(text),
  /** Thumbprint of the key that the code is bound to (RFC 9449 §10). */
  dpopJkt: Type.Optional(hash),
}

const Authorizing = record({
  ...common,
  ...request,
  status: Type.Literal('authorizing'),
  /** The app's own state, returned byte for byte. */
  state: Type.Optional(text),
  stateHash: hash,
  /** Of the cookie that binds the transaction to a browser. */
  browserHash: hash,
  /** The language of its pages, where the app has asked for one that there is. */
  locale: Type.Optional(text),
  /** Which server secret its `TransactionSecrets` are derived with. */
  serverSecret: text,
})

const Authorized = record({
  ...common,
  ...request,
  status: Type.Literal('authorized'),
  codeHash: hash,
  codeExpiresAt: time,
  /** The data key of the grant, for the holder of our code. */
  key: text,
  /** `TokenExchangeSecrets`, under the data key. */
  sealed: text,
})

const Redeeming = record({
  ...common,
  ...request,
  status: Type.Literal('redeeming'),
  codeHash: hash,
  /** As before: a replay of the code must open what is to be revoked (C-14). */
  key: text,
})

/** A used code, remembered to tell a replay, with the way to the tokens that such a replay revokes (C-14). */
const UsedCode = record({
  hash,
  redirectUri: text,
  codeChallenge: hash,
  dpopJkt: Type.Optional(hash),
  key: text,
  forgottenAt: time,
})

/** Thumbprint of the key that a token is bound to, if it is (RFC 9449 §6). */
const jkt = Type.Optional(hash)

/** A live access token. Its scope and its resources may be narrower than the grant's (D-13, N-02). */
const AccessToken = record({
  hash,
  key: text,
  scope,
  resources: Type.Optional(Type.Array(text)),
  expiresAt: time,
  jkt,
})

/**
 * The generation before the current one, which gets the same response again (D-05). `sealed`: that response, in records
 * of before it was derived.
 */
const Predecessor = record({ hash, graceEndsAt: time, sealed: Type.Optional(text) })

const RefreshToken = record({
  familyHash: hash,
  /** Of the whole current handle. */
  hash,
  /** Opens with the family part. */
  key: text,
  idleExpiresAt: time,
  jkt,
  predecessor: Type.Optional(Predecessor),
})

const Active = record({
  ...common,
  status: Type.Literal('active'),
  activatedAt: time,
  /** Of the last refresh, if there has been one. */
  refreshedAt: Type.Optional(time),
  subject: text,
  /** `sid` of the login's id_token: the session at the provider that it came out of (E-10). */
  sid: Type.Optional(text),
  claims: Type.Record(text, Type.Unknown()),
  /** How the person has signed in, by the id_token of the login; absent: not told, or from before this was kept (S-04). */
  acr: Type.Optional(text),
  /** When the person has signed in. */
  authTime: Type.Optional(time),
  /** The team's (`onLogin`): no refresh renews them. */
  ownClaims: Type.Optional(Type.Record(text, Type.Unknown())),
  scope,
  /** Absent: every resource that the scopes allow. */
  resources: Type.Optional(Type.Array(text)),
  code: Type.Optional(UsedCode),
  accessTokens: Type.Array(AccessToken),
  refreshToken: Type.Optional(RefreshToken),
  /**
   * Hash of the access token that was issued last, while nobody has presented it or its refresh token: the answer that
   * brought it may have been lost, and is given again (C-25, D-05).
   */
  unpresented: Type.Optional(hash),
  expiresAt: time,
  /** `ProviderSecrets`, under the data key, which every live handle can unwrap. */
  sealed: text,
  providerExpiresAt: time,
  /** At receipt, in milliseconds. */
  providerLifetimeMs: Type.Number(),
  /** Who is calling the provider, and until when nobody else may (D-06). */
  lease: Type.Optional(record({ owner: text, until: time })),
})

const Ended = record({ ...common, status: Type.Literal('ended'), reason: text, endedAt: time })

/** The browser is at the provider. */
export type AuthorizingGrant = Readonly<Static<typeof Authorizing>>
/** Our code has been issued. */
export type AuthorizedGrant = Readonly<Static<typeof Authorized>>
/** Our code has been used, and the provider is being asked. */
export type RedeemingGrant = Readonly<Static<typeof Redeeming>>
/** The token exchange has succeeded. */
export type ActiveGrant = Readonly<Static<typeof Active>>
/** Over for good; remembered for as long as a handle could be shown again. */
export type EndedGrant = Readonly<Static<typeof Ended>>
/** Every state of a grant; `status` tells which. */
export type Grant = AuthorizingGrant | AuthorizedGrant | RedeemingGrant | ActiveGrant | EndedGrant
/** What the grant remembers of a live access token. */
export type AccessTokenRecord = Readonly<Static<typeof AccessToken>>
/** What the grant remembers of its refresh token family. */
export type RefreshTokenRecord = Readonly<Static<typeof RefreshToken>>

/** Known to the holder of our state alone, and kept nowhere. */
export interface TransactionSecrets {
  readonly nonce?: string
  readonly codeVerifier?: string
}
/** Sealed until the app redeems our code. */
export interface TokenExchangeSecrets extends TransactionSecrets {
  readonly code: string
  /** Claims that came with the code, by way of the browser: nobody has signed them. */
  readonly user?: Readonly<Record<string, string>>
}
/** Sealed for the life of the grant. */
export interface ProviderSecrets {
  readonly accessToken: string
  readonly tokenType: string
  readonly refreshToken?: string
}
/** Sealed for the holder of the predecessor, in earlier records: the same successor again. */
export interface SuccessorSecrets {
  readonly accessToken: string
  readonly tokenType: string
  readonly refreshToken: string
}

/** The subject of a grant whose provider does not tell who signed in: nobody else's, and not known to be a person's. */
export function subjectOfItsOwn(grantId: string): string {
  return `grant:${grantId}`
}

const validators = {
  authorizing: Compile(Authorizing),
  authorized: Compile(Authorized),
  redeeming: Compile(Redeeming),
  active: Compile(Active),
  ended: Compile(Ended),
}

/** The text that the store keeps. @see decodeGrant */
export function encodeGrant(grant: Grant): string {
  return JSON.stringify(grant)
}

/** The grant, or null if the text is not a complete record of a known version: treated as absent (C-23, G-15). */
export function decodeGrant(text: string): Grant | null {
  try {
    const value = JSON.parse(text) as { status?: keyof typeof validators } | null
    const status = value?.status
    if (typeof status !== 'string' || !Object.hasOwn(validators, status)) return null
    return validators[status].Check(value) ? (value as Grant) : null
  } catch {
    return null
  }
}
