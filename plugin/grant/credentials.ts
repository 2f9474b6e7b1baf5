import type { ResolvedOptions } from '../options/resolved.ts'
import {
  familyOf,
  type Handle,
  hashCredential,
  hashFamily,
  issueHandle,
  issueRefreshHandle,
} from '../secrets/handles.ts'
import type { AccessTokenRecord, ProviderSecrets, RefreshTokenRecord } from './grant.ts'
import type { SealOwner, Seals } from './seals.ts'

/** A new access token: what the app gets, and what the grant remembers of it. */
export interface IssuedAccessToken {
  readonly value: string
  readonly tokenType: string
  readonly record: AccessTokenRecord
}

/** A new refresh token: what the app gets, and what the grant remembers of it. */
export interface IssuedRefreshToken {
  readonly value: string
  readonly record: RefreshTokenRecord
}

/** Issues access and refresh tokens, each with the grant's data key wrapped for its holder. */
export class Credentials {
  readonly #seals: Seals
  readonly #options: Pick<ResolvedOptions, 'tokens' | 'lifetimes'>

  constructor(options: Pick<ResolvedOptions, 'tokens' | 'lifetimes'>, seals: Seals) {
    this.#options = options
    this.#seals = seals
  }

  /**
   * Issues the access token of the configured mode: a handle of ours, or the provider's token itself, which then
   * is its own secret. It never outlives the provider token behind it (D-17).
   *
   * @param terms times in milliseconds of the store's clock.
   */
  issueAccessToken(
    owner: SealOwner,
    dataKey: Buffer,
    provider: ProviderSecrets,
    terms: { scope: readonly string[]; now: number; providerExpiresAt: number; grantExpiresAt: number },
  ): IssuedAccessToken {
    const { tokens, lifetimes } = this.#options
    const providerEnd = Math.min(terms.providerExpiresAt, terms.grantExpiresAt)
    const relay = tokens === 'relay'
    const handle = relay ? undefined : issueHandle('access', owner.id)
    const value = handle?.value ?? provider.accessToken
    const secret = handle?.secret ?? Buffer.from(value)
    return {
      value,
      tokenType: relay ? provider.tokenType : 'Bearer',
      record: {
        hash: hashCredential(value),
        key: this.#seals.wrapDataKey(owner, 'access', secret, dataKey),
        scope: [...terms.scope],
        expiresAt: relay
          ? providerEnd
          : Math.min(providerEnd, terms.now + lifetimes.accessTokenSeconds * 1000),
      },
    }
  }

  /**
   * Issues a refresh token: the first of a family, or the next generation of the given one.
   *
   * @param terms times in milliseconds of the store's clock.
   */
  issueRefreshToken(
    owner: SealOwner,
    dataKey: Buffer,
    terms: { now: number; grantExpiresAt: number; previous?: Handle },
  ): IssuedRefreshToken {
    const { refreshIdleSeconds } = this.#options.lifetimes
    const handle = issueRefreshHandle(owner.id, terms.previous && familyOf(terms.previous))
    return {
      value: handle.value,
      record: {
        familyHash: hashFamily(handle),
        hash: hashCredential(handle.value),
        key: this.#seals.wrapDataKey(owner, 'refresh', familyOf(handle), dataKey),
        idleExpiresAt: Math.min(terms.grantExpiresAt, terms.now + refreshIdleSeconds * 1000),
      },
    }
  }
}
