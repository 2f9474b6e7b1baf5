import type { SealContext, Sealing } from '../secrets/sealing.ts'
import type { ActiveGrant, AuthorizedGrant, ExchangeSecrets, ProviderSecrets } from './grant.ts'

/** Whose handle opens what; part of every authenticated context, so that no key opens in another's place. */
export type Holder = 'code' | 'access' | 'refresh' | 'predecessor'
type Owner = { readonly id: string; readonly clientId: string }
/** A sealed JSON value. */
export interface Sealed {
  readonly sealed: string
}

/** What the holder of a state can derive. */
export type Derived = 'nonce' | 'code_verifier'

/** Version, purpose, grant and client; only the last may have spaces. Moved between rows, nothing opens (G-03). */
function context({ id, clientId }: Owner, purpose: Holder | Derived | 'exchange' | 'provider'): SealContext {
  return { grantId: id, text: `1 ${purpose} ${id} ${clientId}` }
}

/**
 * A value of 256 bits, base64url, that only the holder of `secret` can tell, and that need not be kept: the same
 * again at every call. Null if the server secret is gone.
 */
export function deriveFor(
  sealing: Sealing,
  owner: Owner,
  purpose: Derived,
  secret: Buffer,
  serverSecret: string,
): string | null {
  return sealing.deriveFor(serverSecret, secret, context(owner, purpose))?.toString('base64url') ?? null
}

/** Seals `value` for one holder alone. */
export function sealFor(
  sealing: Sealing,
  owner: Owner,
  holder: Holder,
  secret: Buffer,
  value: unknown,
): Sealed {
  return { sealed: sealing.sealFor(secret, toBytes(value), context(owner, holder)) }
}

/** What `sealFor` sealed, or null if it does not open: another handle, another row, a retired server secret. */
export function openFor<T>(
  sealing: Sealing,
  owner: Owner,
  holder: Holder,
  secret: Buffer,
  { sealed }: Sealed,
): T | null {
  return fromBytes(sealing.openFor(secret, sealed, context(owner, holder)))
}

/** Lets the holder of `secret` open what is sealed under the grant's data key. */
export function wrapFor(
  sealing: Sealing,
  owner: Owner,
  holder: Holder,
  secret: Buffer,
  dataKey: Buffer,
): string {
  return sealing.wrap(dataKey, secret, context(owner, holder))
}

/** The grant's data key for one of its holders: null, or one that opens nothing, if it is another's. */
export function unwrapFor(
  sealing: Sealing,
  owner: Owner,
  holder: Holder,
  secret: Buffer,
  key: string,
): Buffer | null {
  return sealing.unwrap(key, secret, context(owner, holder))
}

/** Seals what the exchange will need under the grant's data key. */
export function sealExchangeSecrets(
  sealing: Sealing,
  owner: Owner,
  dataKey: Buffer,
  secrets: ExchangeSecrets,
): string {
  return sealing.seal(dataKey, toBytes(secrets), context(owner, 'exchange'))
}

/** What the exchange needs, or null if it does not open. */
export function openExchangeSecrets(
  sealing: Sealing,
  grant: AuthorizedGrant,
  dataKey: Buffer,
): ExchangeSecrets | null {
  return fromBytes(sealing.open(dataKey, grant.sealed, context(grant, 'exchange')))
}

/** Seals the provider's tokens under the grant's data key, for all of its holders. */
export function sealProviderSecrets(
  sealing: Sealing,
  owner: Owner,
  dataKey: Buffer,
  secrets: ProviderSecrets,
): string {
  return sealing.seal(dataKey, toBytes(secrets), context(owner, 'provider'))
}

/** The provider's tokens, or null if they do not open. */
export function openProviderSecrets(
  sealing: Sealing,
  grant: ActiveGrant,
  dataKey: Buffer,
): ProviderSecrets | null {
  return fromBytes(sealing.open(dataKey, grant.sealed, context(grant, 'provider')))
}

function toBytes(value: unknown): Buffer {
  return Buffer.from(JSON.stringify(value))
}

function fromBytes<T>(bytes: Buffer | null): T | null {
  return bytes && (JSON.parse(bytes.toString()) as T)
}
