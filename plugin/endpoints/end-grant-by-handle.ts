import type { AuditedRequest } from '../grant/audit-events.ts'
import type { ActiveGrant } from '../grant/grant.ts'
import type { StoredGrant } from '../grant/grants.ts'
import type { Holder } from '../grant/seals.ts'
import type { Services } from './services.ts'

/** A live grant, and the handle of it that was presented, as what opens the provider's tokens in it. */
export interface PresentedHandle {
  readonly stored: StoredGrant<ActiveGrant>
  readonly holder: Holder
  readonly secret: Buffer
  /** The data key, wrapped for this handle. */
  readonly key: string
}

/**
 * Ends an active grant because of a handle that was presented: here first, and at the provider afterwards.
 *
 * The record is the only place where the provider's tokens are, and it may be gone although the store has not
 * said so. So they are taken back then too: whoever wanted the end asks again, and finds nothing to open. A relayed
 * token that a session still lives on is left alone (D-11).
 *
 * @throws StoreError
 */
export async function endGrantByHandle(
  services: Services,
  request: AuditedRequest,
  presented: PresentedHandle,
  reason: 'revoked' | 'code_replayed' | 'refresh_reused',
): Promise<void> {
  const { stored } = presented
  const ended = await services.grants.end(stored, reason).catch((error: unknown) => {
    revokeAtProvider(services, stored.grant, presented)
    throw error
  })
  if (ended?.status !== 'active') return
  services.audit.record('session.ended', { request, grant: ended, reason })
  revokeAtProvider(services, ended, presented)
}

function revokeAtProvider(
  { seals, providers }: Services,
  grant: ActiveGrant,
  { holder, secret, key }: PresentedHandle,
): void {
  const dataKey = seals.unwrapDataKey(grant, holder, secret, key)
  const tokens = dataKey && seals.openProviderSecrets(grant, dataKey)
  if (tokens) providers.of(grant).revoke(tokens)
}
