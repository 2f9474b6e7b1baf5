import type { ResolvedOptions } from '../options/resolved.ts'
import {
  familyOf,
  type Handle,
  hashCredential,
  hashFamily,
  issueHandle,
  issueRefreshHandle,
} from '../secrets/handles.ts'
import type { Sealing } from '../secrets/sealing.ts'
import type { AccessTokenRecord, ProviderSecrets, RefreshTokenRecord } from './grant.ts'
import { wrapFor } from './seals.ts'

type Owner = { readonly id: string; readonly clientId: string }

/** A new access token: what the app gets, and what the grant remembers of it. */
export interface IssuedAccessToken {
  readonly value: string
  readonly tokenType: string
  readonly record: AccessTokenRecord
}

/**
 * Issues the access token of the configured mode: a handle of ours, or the provider's token itself, which then
 * is its own secret. It never outlives the provider token behind it (D-17).
 */
export function issueAccessToken(
  { options, sealing }: { options: Pick<ResolvedOptions, 'tokens' | 'lifetimes'>; sealing: Sealing },
  owner: Owner,
  dataKey: Buffer,
  provider: ProviderSecrets,
  terms: { scope: readonly string[]; now: number; providerExpiresAt: number; grantExpiresAt: number },
): IssuedAccessToken {
  const providerEnd = Math.min(terms.providerExpiresAt, terms.grantExpiresAt)
  const relay = options.tokens === 'relay'
  const handle = relay ? undefined : issueHandle('access', owner.id)
  const value = handle?.value ?? provider.accessToken
  const secret = handle?.secret ?? Buffer.from(value)
  return {
    value,
    tokenType: relay ? provider.tokenType : 'Bearer',
    record: {
      hash: hashCredential(value),
      key: wrapFor(sealing, owner, 'access', secret, dataKey),
      scope: [...terms.scope],
      expiresAt: relay
        ? providerEnd
        : Math.min(providerEnd, terms.now + options.lifetimes.accessTokenSeconds * 1000),
    },
  }
}

/** Issues a refresh token: the first of a family, or the next generation of the given one. */
export function issueRefreshToken(
  { options, sealing }: { options: Pick<ResolvedOptions, 'lifetimes'>; sealing: Sealing },
  owner: Owner,
  dataKey: Buffer,
  terms: { now: number; grantExpiresAt: number; previous?: Handle },
): { value: string; record: RefreshTokenRecord } {
  const handle = issueRefreshHandle(owner.id, terms.previous && familyOf(terms.previous))
  return {
    value: handle.value,
    record: {
      familyHash: hashFamily(handle),
      hash: hashCredential(handle.value),
      key: wrapFor(sealing, owner, 'refresh', familyOf(handle), dataKey),
      idleExpiresAt: Math.min(terms.grantExpiresAt, terms.now + options.lifetimes.refreshIdleSeconds * 1000),
    },
  }
}
