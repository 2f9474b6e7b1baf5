import type { ResolvedOptions } from '../options/resolved.ts'
import {
  familyOf,
  type Handle,
  hashCredential,
  hashFamily,
  issueHandle,
  issueNextRefreshHandle,
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

/** What makes the handles in the answer to a code: 32 bytes each. */
export interface AnswerSecrets {
  readonly accessToken: Buffer
  readonly refreshToken: Buffer
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
   * Derives the secrets of both handles from the secret of the code: the same again at every call, and nothing is
   * stored for it (C-25).
   *
   * @param key the grant's data key as it was wrapped for the code. @returns undefined if its server secret is gone.
   */
  deriveAnswer(owner: SealOwner, codeSecret: Buffer, key: string): AnswerSecrets | undefined {
    const derive = (purpose: 'access_token' | 'refresh_token') => {
      const secret = this.#seals.derive(owner, purpose, codeSecret, this.#seals.serverSecretOf(key))
      return secret === null ? undefined : Buffer.from(secret, 'base64url')
    }
    const [accessToken, refreshToken] = [derive('access_token'), derive('refresh_token')]
    return accessToken && refreshToken && { accessToken, refreshToken }
  }

  /**
   * Issues the access token of the configured mode: a handle of ours, or the provider's token itself, which then
   * is its own secret. It never outlives the provider token behind it (D-17).
   *
   * @param terms times in milliseconds of the store's clock. `secret`, 32 bytes: of the handle, in place of random ones.
   *   `jkt`: thumbprint of the key that it is bound to; undefined: to none.
   */
  issueAccessToken(
    owner: SealOwner,
    dataKey: Buffer,
    provider: ProviderSecrets,
    terms: {
      scope: readonly string[]
      /** Undefined: every resource that the scopes allow. */
      resources?: readonly string[] | undefined
      now: number
      providerExpiresAt: number
      grantExpiresAt: number
      secret?: Buffer | undefined
      jkt?: string | undefined
    },
  ): IssuedAccessToken {
    const { tokens, lifetimes } = this.#options
    const providerEnd = Math.min(terms.providerExpiresAt, terms.grantExpiresAt)
    const relay = tokens === 'relay'
    const handle = relay ? undefined : issueHandle('access', owner.id, terms.secret)
    const value = handle?.value ?? provider.accessToken
    const secret = handle?.secret ?? Buffer.from(value)
    return {
      value,
      tokenType: relay ? provider.tokenType : tokenTypeOf(terms),
      record: {
        hash: hashCredential(value),
        key: this.#seals.wrapDataKey(owner, 'access', secret, dataKey),
        scope: [...terms.scope],
        ...(terms.resources && { resources: [...terms.resources] }),
        expiresAt: relay
          ? providerEnd
          : Math.min(providerEnd, terms.now + lifetimes.accessTokenSeconds * 1000),
        ...(terms.jkt !== undefined && { jkt: terms.jkt }),
      },
    }
  }

  /**
   * Issues a refresh token: the first of a family, or the next generation of the given one.
   *
   * @param terms times in milliseconds of the store's clock. `secret`, 32 bytes: of the first one, in place of random
   *   ones. `jkt`: as above.
   */
  issueRefreshToken(
    owner: SealOwner,
    dataKey: Buffer,
    terms: {
      now: number
      grantExpiresAt: number
      previous?: Handle
      secret?: Buffer | undefined
      jkt?: string | undefined
    },
  ): IssuedRefreshToken {
    const { refreshIdleSeconds } = this.#options.lifetimes
    const { previous, secret } = terms
    const handle = previous ? issueNextRefreshHandle(previous) : issueHandle('refresh', owner.id, secret)
    return {
      value: handle.value,
      record: {
        familyHash: hashFamily(handle),
        hash: hashCredential(handle.value),
        key: this.#seals.wrapDataKey(owner, 'refresh', familyOf(handle), dataKey),
        idleExpiresAt: Math.min(terms.grantExpiresAt, terms.now + refreshIdleSeconds * 1000),
        ...(terms.jkt !== undefined && { jkt: terms.jkt }),
      },
    }
  }
}

/** `token_type` of an access token of ours (RFC 6749 §7.1, RFC 9449 §5). */
export function tokenTypeOf({ jkt }: { readonly jkt?: string | undefined }): 'Bearer' | 'DPoP' {
  return jkt === undefined ? 'Bearer' : 'DPoP'
}
