import type { EndReason } from './audit-events.ts'
import type {
  AccessTokenRecord,
  ActiveGrant,
  AuthorizedGrant,
  AuthorizingGrant,
  EndedGrant,
  Grant,
  RedeemingGrant,
  RefreshTokenRecord,
} from './grant.ts'

/**
 * The transitions of a grant, pure: the clock, random values and sealed texts are arguments. Nobody else makes
 * a grant from a grant; each result is written by one compare-and-swap.
 */

/** Access tokens alive at once: one per refresh within an access token's life; the oldest go first. */
const ACCESS_TOKENS_MAX = 8

/** `authorizing` → `authorized`: the browser came back with the provider's code. */
export function authorize(
  grant: AuthorizingGrant,
  step: { codeHash: string; codeExpiresAt: number; key: string; sealed: string },
): AuthorizedGrant {
  return Object.assign(keepRequest(grant), step, { status: 'authorized' as const })
}

/** `authorized` → `redeeming`: the code is used, by one winner, whatever the provider will answer. */
export function redeem(grant: AuthorizedGrant): RedeemingGrant {
  const { codeHash, key } = grant
  return Object.assign(keepRequest(grant), { status: 'redeeming' as const, codeHash, key })
}

/** What the authorization request fixed, in a new object. Spreads of what remains cost 2 µs each on Node 20. */
function keepRequest(grant: AuthorizingGrant | AuthorizedGrant) {
  const { v, id, provider, clientId, clientName, createdAt, trace } = grant
  const { redirectUri, codeChallenge, scope, providerScope, resources } = grant
  const { maxAgeSeconds, acrValues, dpopJkt } = grant
  const kept = { v, id, provider, clientId, createdAt, redirectUri, codeChallenge, scope, providerScope }
  if ((maxAgeSeconds ?? acrValues ?? resources ?? dpopJkt ?? trace ?? clientName) === undefined) return kept
  return {
    ...kept,
    ...(clientName !== undefined && { clientName }),
    ...(resources !== undefined && { resources }),
    ...(maxAgeSeconds !== undefined && { maxAgeSeconds }),
    ...(acrValues !== undefined && { acrValues }),
    ...(dpopJkt !== undefined && { dpopJkt }),
    ...(trace !== undefined && { trace }),
  }
}

/** `redeeming` → `active`: the token exchange has succeeded. */
export function activate(
  grant: RedeemingGrant,
  step: Pick<
    ActiveGrant,
    | 'activatedAt'
    | 'subject'
    | 'sid'
    | 'claims'
    | 'ownClaims'
    | 'acr'
    | 'authTime'
    | 'scope'
    | 'expiresAt'
    | 'sealed'
    | 'providerExpiresAt'
    | 'providerLifetimeMs'
  > & {
    codeForgottenAt: number
    accessToken: AccessTokenRecord
    refreshToken: RefreshTokenRecord | undefined
    /** The same answer is given again, should it be lost (C-25). */
    repeatable?: boolean
  },
): ActiveGrant {
  const { accessToken, refreshToken, codeForgottenAt, repeatable, ...fields } = step
  return {
    v: 1,
    id: grant.id,
    provider: grant.provider,
    clientId: grant.clientId,
    ...(grant.clientName !== undefined && { clientName: grant.clientName }),
    createdAt: grant.createdAt,
    ...(grant.trace !== undefined && { trace: grant.trace }),
    ...(grant.resources !== undefined && { resources: grant.resources }),
    ...fields,
    status: 'active',
    code: {
      hash: grant.codeHash,
      redirectUri: grant.redirectUri,
      codeChallenge: grant.codeChallenge,
      ...(grant.dpopJkt !== undefined && { dpopJkt: grant.dpopJkt }),
      key: grant.key,
      forgottenAt: codeForgottenAt,
    },
    accessTokens: [accessToken],
    ...(refreshToken && { refreshToken }),
    ...(repeatable && { unpresented: accessToken.hash }),
  }
}

/** Somebody has the answer that was given last: one of its tokens has been presented. */
export function present(grant: ActiveGrant): ActiveGrant {
  const { unpresented: _, ...kept } = grant
  return kept
}

/** Takes the right to call the provider. The predecessor's grace ends: its successor has now been presented. */
export function lease(grant: ActiveGrant, owner: string, until: number): ActiveGrant {
  const { predecessor: _, ...refreshToken } = grant.refreshToken!
  return { ...present(grant), refreshToken, lease: { owner, until } }
}

/** Gives the lease back: the provider was asked in vain, and the grant is as it was. */
export function release(grant: ActiveGrant): ActiveGrant {
  const { lease: _, ...kept } = grant
  return kept
}

/** Gives the lease back with a new refresh token of the provider, from a response that brought nothing else of use. */
export function keepRefreshToken(grant: ActiveGrant, sealed: string): ActiveGrant {
  return { ...release(grant), sealed }
}

/** Other claims of the same subject, told by the id_token of a refresh. */
export function renewClaims(grant: ActiveGrant, claims: ActiveGrant['claims']): ActiveGrant {
  return { ...grant, claims: { ...grant.claims, ...claims } }
}

/** One refresh: a new access token beside those still alive, a new generation, and new provider tokens if any. */
export function rotate(
  grant: ActiveGrant,
  step: Partial<Pick<ActiveGrant, 'scope' | 'sealed' | 'providerExpiresAt' | 'providerLifetimeMs'>> & {
    now: number
    accessToken: AccessTokenRecord
    refreshToken: RefreshTokenRecord
  },
): ActiveGrant {
  const { now, accessToken, ...fields } = step
  const alive = grant.accessTokens.filter((token) => token.expiresAt > now && token.hash !== accessToken.hash)
  // One that a provider gives out again (`tokens: relay`) tells nothing when it is presented.
  const isNew = grant.accessTokens.every((token) => token.hash !== accessToken.hash)
  // As `release` and `present` would, in one copy.
  const { code, lease: _lease, unpresented: _unpresented, ...kept } = grant
  return {
    ...kept,
    ...fields,
    ...(code && code.forgottenAt > now && { code }),
    accessTokens: [...alive, accessToken].slice(-ACCESS_TOKENS_MAX),
    refreshedAt: now,
    ...(isNew && { unpresented: accessToken.hash }),
  }
}

/** Any grant → `ended`, for good: every hash and sealed text is gone with it. */
export function end(grant: Grant, reason: EndReason, now: number): EndedGrant {
  const { v, id, provider, clientId, createdAt } = grant
  return { v, id, provider, clientId, createdAt, status: 'ended', reason, endedAt: now }
}

/** How long the store keeps the record: as long as one of its handles can mean something. */
export function timeToLiveMs(
  grant: Grant,
  now: number,
  lifetimes: { transactionSeconds: number; codeSeconds: number; tombstoneSeconds: number },
): number {
  switch (grant.status) {
    case 'authorizing':
      return lifetimes.transactionSeconds * 1000
    case 'authorized':
      return lifetimes.codeSeconds * 1000
    case 'redeeming':
    case 'ended':
      return lifetimes.tombstoneSeconds * 1000
    case 'active': {
      const refresh = grant.refreshToken ? Math.min(grant.refreshToken.idleExpiresAt, grant.expiresAt) : 0
      const last = Math.max(
        refresh,
        grant.code?.forgottenAt ?? 0,
        ...grant.accessTokens.map((token) => token.expiresAt),
      )
      return Math.max(1, last - now)
    }
  }
}
