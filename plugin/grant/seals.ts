import type { Sealing } from '../sealing.ts'
import type { ActiveGrant, ProviderSecrets } from './grant.ts'

/** Whose handle opens what; part of every authenticated context, so that no key opens in another's place. */
export type Holder = 'state' | 'code' | 'used-code' | 'access' | 'refresh' | 'predecessor'
type Owner = { readonly id: string; readonly clientId: string }
/** A sealed JSON value and its wrapped data key. */
export interface Sealed {
  readonly sealed: string
  readonly key: string
}

/** Version, purpose, grant and client: ciphertexts moved between rows do not open (G-03). */
function context(owner: Owner, purpose: string): string {
  return JSON.stringify([1, purpose, owner.id, owner.clientId])
}

/** Seals `value` for one holder alone, under a data key of its own. */
export function sealFor(
  sealing: Sealing,
  owner: Owner,
  holder: Holder,
  secret: Buffer,
  value: unknown,
): Sealed {
  const dataKey = sealing.newDataKey()
  const bound = context(owner, holder)
  return { sealed: sealing.sealJson(dataKey, value, bound), key: sealing.wrap(dataKey, secret, bound) }
}

/** What `sealFor` sealed, or null if it does not open: another handle, another row, a retired server secret. */
export function openFor<T>(
  sealing: Sealing,
  owner: Owner,
  holder: Holder,
  secret: Buffer,
  from: Sealed,
): T | null {
  const bound = context(owner, holder)
  const dataKey = sealing.unwrap(from.key, secret, bound)
  return dataKey && (sealing.openJson(dataKey, from.sealed, bound) as T | null)
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

/** The grant's data key for one of its holders, or null. */
export function unwrapFor(
  sealing: Sealing,
  owner: Owner,
  holder: Holder,
  secret: Buffer,
  key: string,
): Buffer | null {
  return sealing.unwrap(key, secret, context(owner, holder))
}

/** Seals the provider's tokens under the grant's data key, for all of its holders. */
export function sealProviderSecrets(
  sealing: Sealing,
  owner: Owner,
  dataKey: Buffer,
  secrets: ProviderSecrets,
): string {
  return sealing.sealJson(dataKey, secrets, context(owner, 'provider'))
}

/** The provider's tokens, or null if they do not open. */
export function openProviderSecrets(
  sealing: Sealing,
  grant: ActiveGrant,
  dataKey: Buffer,
): ProviderSecrets | null {
  return sealing.openJson(dataKey, grant.sealed, context(grant, 'provider')) as ProviderSecrets | null
}
