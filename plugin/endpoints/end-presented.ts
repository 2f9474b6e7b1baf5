import type { FastifyRequest } from 'fastify'
import type { ActiveGrant } from '../grant/grant.ts'
import type { StoredGrant } from '../grant/grants.ts'
import { type Holder, openProviderSecrets, unwrapFor } from '../grant/seals.ts'
import type { Rooms } from './services.ts'

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
  rooms: Rooms,
  request: FastifyRequest,
  stored: StoredGrant<ActiveGrant>,
  reason: 'revoked' | 'code_replayed' | 'refresh_reused',
  presented: Presented,
): Promise<void> {
  const ended = await rooms.grants.end(stored, reason).catch((error: unknown) => {
    revokeAtProvider(rooms, stored.grant, presented)
    throw error
  })
  if (ended?.status !== 'active') return
  const { id: grantId, clientId } = ended
  rooms.audit.record('session.ended', { request, grantId, clientId, reason })
  revokeAtProvider(rooms, ended, presented)
}

function revokeAtProvider(
  { sealing, provider }: Rooms,
  grant: ActiveGrant,
  { holder, secret, key }: Presented,
): void {
  const dataKey = unwrapFor(sealing, grant, holder, secret, key)
  const tokens = dataKey && openProviderSecrets(sealing, grant, dataKey)
  if (tokens) provider.revoke(tokens)
}
