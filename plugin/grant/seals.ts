import { type SealContext, Sealing } from '../secrets/sealing.ts'
import type { ActiveGrant, AuthorizedGrant, ProviderSecrets, TokenExchangeSecrets } from './grant.ts'

/** Whose handle opens what; part of every authenticated context, so that no key opens in another's place. */
export type Holder = 'code' | 'access' | 'refresh' | 'predecessor' | 'pushed_request' | 'consent'

/** The grant that something is sealed in. */
export interface SealOwner {
  readonly id: string
  readonly clientId: string
}

/** What the holder of a state can derive, and what the holder of a code can. */
export type Derived = 'nonce' | 'code_verifier' | 'access_token' | 'refresh_token'

/**
 * What a grant seals, for whom, and under which context: nothing opens in the place of something else, in another
 * grant, or for another client (requirements G-03, G-04). Whatever does not open is null.
 */
export class Seals {
  readonly #sealing: Sealing

  constructor(sealing: Sealing) {
    this.#sealing = sealing
  }

  /** Names the server secret that is used now. */
  get serverSecret(): string {
    return this.#sealing.current
  }

  /** Names the server secret that a data key was wrapped with. */
  serverSecretOf(key: string): string {
    return Sealing.serverSecretOf(key)
  }

  /** A fresh data key: 32 bytes. One for the life of a grant. */
  newDataKey(): Buffer {
    return this.#sealing.newDataKey()
  }

  /**
   * 32 bytes that only the holder of `secret` can tell, and that need not be kept: the same again at every call. Null
   * if the server secret that `serverSecret` names is gone.
   */
  derive(owner: SealOwner, purpose: Derived, secret: Buffer, serverSecret: string): Buffer | null {
    return this.#sealing.deriveFor(serverSecret, secret, contextOf(owner, purpose))
  }

  /** Lets the holder of a handle of ours open what is sealed under the grant's data key, by the handle's secret. */
  wrapDataKey(owner: SealOwner, holder: Holder, secret: Buffer, dataKey: Buffer): string {
    return this.#sealing.wrap(dataKey, secret, contextOf(owner, holder), true)
  }

  /** The same for the holder of a secret that was not made here: a token of the provider's. */
  wrapDataKeyForAny(owner: SealOwner, holder: Holder, secret: Buffer, dataKey: Buffer): string {
    return this.#sealing.wrap(dataKey, secret, contextOf(owner, holder), false)
  }

  /** The grant's data key for one of its holders: null, or one that opens nothing, if it is another's. */
  unwrapDataKey(owner: SealOwner, holder: Holder, secret: Buffer, key: string): Buffer | null {
    return this.#sealing.unwrap(key, secret, contextOf(owner, holder))
  }

  /** Seals `value` for one holder alone. */
  sealFor(owner: SealOwner, holder: Holder, secret: Buffer, value: unknown): string {
    return this.#sealing.sealFor(secret, toBytes(value), contextOf(owner, holder))
  }

  /** What `sealFor` sealed, or null: another handle, another grant, a retired server secret. */
  openFor<T>(owner: SealOwner, holder: Holder, secret: Buffer, sealed: string): T | null {
    return fromBytes(this.#sealing.openFor(secret, sealed, contextOf(owner, holder)))
  }

  /** Seals what the token exchange will need, under the grant's data key. */
  sealTokenExchangeSecrets(owner: SealOwner, dataKey: Buffer, secrets: TokenExchangeSecrets): string {
    return this.#sealing.seal(dataKey, toBytes(secrets), contextOf(owner, 'exchange'))
  }

  /** What the token exchange needs, or null if it does not open. */
  openTokenExchangeSecrets(grant: AuthorizedGrant, dataKey: Buffer): TokenExchangeSecrets | null {
    return fromBytes(this.#sealing.open(dataKey, grant.sealed, contextOf(grant, 'exchange')))
  }

  /** Seals the provider's tokens under the grant's data key, for all of its holders. */
  sealProviderSecrets(owner: SealOwner, dataKey: Buffer, secrets: ProviderSecrets): string {
    return this.#sealing.seal(dataKey, toBytes(secrets), contextOf(owner, 'provider'))
  }

  /** True if the provider's tokens open: the record is whole. */
  opensProviderSecrets(grant: ActiveGrant, dataKey: Buffer): boolean {
    return this.#sealing.open(dataKey, grant.sealed, contextOf(grant, 'provider')) !== null
  }

  /** The provider's tokens, or null if they do not open. */
  openProviderSecrets(grant: ActiveGrant, dataKey: Buffer): ProviderSecrets | null {
    return fromBytes(this.#sealing.open(dataKey, grant.sealed, contextOf(grant, 'provider')))
  }
}

/**
 * Version, purpose, grant and client; only the last may have spaces. Sealed records hold what was made with these
 * very words, so none of them may change.
 */
function contextOf(
  { id, clientId }: SealOwner,
  purpose: Holder | Derived | 'exchange' | 'provider',
): SealContext {
  return { grantId: id, text: `1 ${purpose} ${id} ${clientId}` }
}

function toBytes(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

function fromBytes<T>(bytes: Buffer | null): T | null {
  return bytes && (JSON.parse(bytes.toString()) as T)
}
