import type { ResolvedOptions } from '../options/resolved.ts'
import {
  familyOf,
  type Handle,
  hashCredential,
  hashFamily,
  issueHandle,
  nextGeneration,
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

/** What makes the handles of an answer: 32 bytes each. */
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
    return this.#derive(owner, codeSecret, this.#seals.serverSecretOf(key))
  }

  /**
   * The same for what follows a refresh handle: the same successor again, and nothing is stored for it (D-05). The data
   * key is part of it, so that it takes the record, too, and not the server secret and an old handle alone.
   *
   * @param serverSecret names the one that it is derived with. @returns undefined if that is gone.
   */
  deriveSuccessor(
    owner: SealOwner,
    presented: Handle,
    dataKey: Buffer,
    serverSecret: string,
  ): AnswerSecrets | undefined {
    const derived = this.#derive(owner, Buffer.concat([presented.secret, dataKey]), serverSecret)
    return (
      derived && {
        accessToken: derived.accessToken,
        refreshToken: nextGeneration(presented, derived.refreshToken),
      }
    )
  }

  #derive(owner: SealOwner, secret: Buffer, serverSecret: string): AnswerSecrets | undefined {
    const accessToken = this.#seals.derive(owner, 'access_token', secret, serverSecret)
    const refreshToken = this.#seals.derive(owner, 'refresh_token', secret, serverSecret)
    return accessToken && refreshToken ? { accessToken, refreshToken } : undefined
  }

  /**
   * Issues the access token of the configured mode: a handle of ours, or the provider's token itself, which then
   * is its own secret. It never outlives the provider token behind it (D-17).
   *
   * @param provider its tokens; of a handle of ours nothing of them is needed.
   * @param terms times in milliseconds of the store's clock. `secret`, 32 bytes: of the handle, in place of random ones.
   *   `jkt`: thumbprint of the key that it is bound to; undefined: to none.
   */
  issueAccessToken(
    owner: SealOwner,
    dataKey: Buffer,
    provider: ProviderSecrets | undefined,
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
    const relayed = tokens === 'relay' ? provider! : undefined
    const handle = relayed ? undefined : issueHandle('access', owner.id, terms.secret)
    const value = handle?.value ?? relayed!.accessToken
    const key = handle
      ? this.#seals.wrapDataKey(owner, 'access', handle.secret, dataKey)
      : this.#seals.wrapDataKeyForAny(owner, 'access', Buffer.from(value), dataKey)
    return {
      value,
      tokenType: relayed?.tokenType ?? tokenTypeOf(terms),
      record: {
        hash: hashCredential(value),
        key,
        scope: [...terms.scope],
        ...(terms.resources && { resources: [...terms.resources] }),
        expiresAt: relayed
          ? providerEnd
          : Math.min(providerEnd, terms.now + lifetimes.accessTokenSeconds * 1000),
        ...(terms.jkt !== undefined && { jkt: terms.jkt }),
      },
    }
  }

  /**
   * Issues a refresh token: the first of a family, or the next generation of the given one.
   *
   * @param terms times in milliseconds of the store's clock. `secret`, 32 bytes: in place of random ones. `previous`:
   *   the one of the same family before it. `jkt`: as above.
   */
  issueRefreshToken(
    owner: SealOwner,
    dataKey: Buffer,
    terms: {
      now: number
      grantExpiresAt: number
      previous?: RefreshTokenRecord
      secret?: Buffer | undefined
      jkt?: string | undefined
    },
  ): IssuedRefreshToken {
    const { refreshIdleSeconds } = this.#options.lifetimes
    const { previous, secret } = terms
    const handle = issueHandle('refresh', owner.id, secret)
    // The family part is what opens it, and stays: it is wrapped anew for another server secret alone.
    const isWrapped =
      previous !== undefined && this.#seals.serverSecretOf(previous.key) === this.#seals.serverSecret
    return {
      value: handle.value,
      record: {
        familyHash: previous?.familyHash ?? hashFamily(handle),
        hash: hashCredential(handle.value),
        key: isWrapped ? previous.key : this.#seals.wrapDataKey(owner, 'refresh', familyOf(handle), dataKey),
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
