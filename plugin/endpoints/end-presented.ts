import type { FastifyRequest } from 'fastify'
import type { ActiveGrant } from '../grant/grant.ts'
import type { StoredGrant } from '../grant/grants.ts'
import { type Holder, openProviderSecrets, unwrapFor } from '../grant/seals.ts'
import type { Services } from './services.ts'

/** A handle of a grant, as what opens the provider's tokens in it. */
export interface Presented {
  readonly holder: Holder
  readonly secret: Buffer
  /** The data key, wrapped for this handle. */
  readonly key: string
}

/**
 * Ends an active grant because of a handle that was presented: here first, and at the provider afterwards.
 *
 * The record is the only place where the provider's tokens are, and it may be gone although the store has not
 * said so. So they are taken back then too: whoever wanted the end asks again, and finds nothing to open.
 *
 * @throws StoreError
 */
export async function endPresented(
  services: Services,
  request: FastifyRequest,
  stored: StoredGrant<ActiveGrant>,
  reason: 'revoked' | 'code_replayed' | 'refresh_reused',
  presented: Presented,
): Promise<void> {
  const ended = await services.grants.end(stored, reason).catch((error: unknown) => {
    revokeAtProvider(services, stored.grant, presented)
    throw error
  })
  if (ended?.status !== 'active') return
  const { id: grantId, clientId } = ended
  services.audit.record('session.ended', { request, grantId, clientId, reason })
  revokeAtProvider(services, ended, presented)
}

function revokeAtProvider(
  { sealing, provider }: Services,
  grant: ActiveGrant,
  { holder, secret, key }: Presented,
): void {
  const dataKey = unwrapFor(sealing, grant, holder, secret, key)
  const tokens = dataKey && openProviderSecrets(sealing, grant, dataKey)
  if (tokens) provider.revoke(tokens)
}
