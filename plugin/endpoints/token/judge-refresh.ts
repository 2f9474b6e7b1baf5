import type { FastifyRequest } from 'fastify'
import type { ActiveGrant, SuccessorSecrets } from '../../grant/grant.ts'
import { isActive, type StoredGrant } from '../../grant/grants.ts'
import { openFor } from '../../grant/seals.ts'
import { OAuthError } from '../../oauth/errors.ts'
import { type TokenResponse, tokenResponse } from '../../oauth/token.ts'
import type { RegisteredClient } from '../../options/resolved.ts'
import { familyOf, type Handle, hashCredential, hashFamily, sameHash } from '../../secrets/handles.ts'
import { endPresented } from '../end-presented.ts'
import type { Services } from '../services.ts'

/** A refresh handle that is current, or the answer that its successor was. */
export type RefreshVerdict =
  | { readonly current: StoredGrant<ActiveGrant>; readonly successor?: undefined }
  | { readonly successor: TokenResponse }

/**
 * Tells what a refresh handle is: current; the immediate predecessor within its grace, which gets the same
 * successor again; or an older one of the family, whose reuse ends the grant. A wrong family part, or another
 * client's, has no effect at all (D-01, D-04, D-05, D-12).
 *
 * @param first false when this request looks again, having found its handle current before: if the app has gone
 *   on with the successor meanwhile, that was a slow request and not a reuse.
 * @throws OAuthError `refresh_overtaken`: 503; `refresh_*`, `grant_ended`, `grant_unreadable`: one and the same
 *   `invalid_grant`.
 */
export async function judgeRefresh(
  services: Services,
  request: FastifyRequest,
  client: RegisteredClient,
  handle: Handle,
  first: boolean,
): Promise<RefreshVerdict> {
  const stored = await services.grants.read(handle.selector)
  if (!stored) throw new OAuthError('refresh_unknown')
  if (stored.grant.status === 'ended') throw new OAuthError('grant_ended')
  if (!isActive(stored)) throw new OAuthError('refresh_unknown')
  const { refreshToken, clientId } = stored.grant
  if (!refreshToken || !sameHash(refreshToken.familyHash, hashFamily(handle)))
    throw new OAuthError('refresh_unknown')
  if (clientId !== client.clientId) throw new OAuthError('refresh_client_mismatch')

  const now = services.grants.now()
  if (refreshToken.idleExpiresAt <= now || stored.grant.expiresAt <= now)
    throw new OAuthError('refresh_expired')
  const hash = hashCredential(handle.value)
  if (sameHash(refreshToken.hash, hash)) return { current: stored }

  const { predecessor } = refreshToken
  if (predecessor && sameHash(predecessor.hash, hash) && predecessor.graceEndsAt > now) {
    return { successor: repeatSuccessor(services, stored.grant, handle, predecessor) }
  }
  if (!first) throw new OAuthError('refresh_overtaken')
  throw await endReused(services, request, stored, handle)
}

/** The answer of the rotation that the app may have missed, with the time that has passed taken off. */
function repeatSuccessor(
  { grants, sealing }: Services,
  grant: ActiveGrant,
  handle: Handle,
  predecessor: { sealed: string },
): TokenResponse {
  const successor = openFor<SuccessorSecrets>(sealing, grant, 'predecessor', handle.secret, predecessor)
  const hash = successor && hashCredential(successor.accessToken)
  const token = grant.accessTokens.find((candidate) => candidate.hash === hash)
  if (!successor || !token) throw new OAuthError('grant_unreadable')
  return tokenResponse({
    accessToken: successor.accessToken,
    tokenType: successor.tokenType,
    expiresInSeconds: (token.expiresAt - grants.now()) / 1000,
    refreshToken: successor.refreshToken,
    scope: token.scope,
  })
}

/** Somebody holds a refresh token that was rotated away: thief or victim, nobody can tell, so all of it ends. */
async function endReused(
  services: Services,
  request: FastifyRequest,
  current: StoredGrant<ActiveGrant>,
  handle: Handle,
): Promise<OAuthError> {
  const { id, clientId } = current.grant
  services.audit.record('refresh.reuse', { request, grantId: id, clientId, reason: 'refresh_reused' })
  await endPresented(services, request, current, 'refresh_reused', {
    holder: 'refresh',
    secret: familyOf(handle),
    key: current.grant.refreshToken!.key,
  })
  return new OAuthError('refresh_reused')
}
