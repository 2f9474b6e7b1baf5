import type { AnswerSecrets } from '../../../grant/credentials.ts'
import type { ActiveGrant, SuccessorSecrets } from '../../../grant/grant.ts'
import { isActive, type StoredGrant } from '../../../grant/grants.ts'
import { OAuthError } from '../../../oauth/errors.ts'
import type { TokenResponse } from '../../../oauth/token.ts'
import {
  familyOf,
  type Handle,
  hashCredential,
  hashFamily,
  parseHandle,
  sameHash,
} from '../../../secrets/handles.ts'
import type { Services } from '../../services.ts'
import { sameAnswer } from '../same-answer.ts'
import type { TokenRequest } from '../token-request.ts'

/** A refresh handle that is current, or the response that its successor was. */
export type RefreshVerdict =
  | { readonly current: StoredGrant<ActiveGrant>; readonly successor?: undefined }
  | { readonly successor: TokenResponse }

/**
 * Tells what a refresh handle is: current; the immediate predecessor, which gets the same successor again within its
 * grace, and for as long as nobody has presented the successor; or an older one of the family, whose reuse ends the
 * grant. A wrong family part, another client's, or one without the key that it is bound to, has no effect at all (D-01,
 * D-04, D-05, D-12, O-01).
 *
 * @param first false when this request looks again, having found its handle current before: if the app has gone
 *   on with the successor meanwhile, that was a slow request and not a reuse.
 * @throws OAuthError `refresh_overtaken`: 503; `refresh_*`, `grant_ended`, `grant_unreadable`: one and the same
 *   `invalid_grant`.
 */
export async function judgeRefresh(
  request: TokenRequest,
  handle: Handle,
  first: boolean,
): Promise<RefreshVerdict> {
  const { grants } = request.services
  const stored = await grants.read(handle.selector)
  if (!stored) throw new OAuthError('refresh_unknown')
  if (stored.grant.status === 'ended') throw new OAuthError('grant_ended')
  if (!isActive(stored)) throw new OAuthError('refresh_unknown')
  const { refreshToken, clientId } = stored.grant
  if (!refreshToken || !sameHash(refreshToken.familyHash, hashFamily(handle)))
    throw new OAuthError('refresh_unknown')
  if (clientId !== request.client.clientId) throw new OAuthError('refresh_client_mismatch')
  // Before anything that a thief without the key could end (RFC 9449 §5, O-01).
  if (refreshToken.jkt !== undefined && refreshToken.jkt !== request.jkt) {
    throw refuseKey(request, stored.grant)
  }

  const now = grants.now()
  if (refreshToken.idleExpiresAt <= now || stored.grant.expiresAt <= now)
    throw new OAuthError('refresh_expired')
  const hash = hashCredential(handle.value)
  if (sameHash(refreshToken.hash, hash)) return { current: stored }

  const { predecessor } = refreshToken
  const mayBeLost = stored.grant.unpresented !== undefined
  if (predecessor && sameHash(predecessor.hash, hash) && (mayBeLost || predecessor.graceEndsAt > now)) {
    return { successor: repeatSuccessor(request, stored.grant, handle, predecessor) }
  }
  // Whoever sent it has given it up meanwhile and gone on elsewhere: it lay before an instance that stood still, say.
  if (!first || request.isAbandoned) throw new OAuthError('refresh_overtaken')
  throw await refuseReuse(request, stored, handle)
}

/** The response of the rotation that the app may have missed, with the time that has passed taken off. */
function repeatSuccessor(
  request: TokenRequest,
  grant: ActiveGrant,
  handle: Handle,
  predecessor: { sealed?: string },
): TokenResponse {
  const { services } = request
  const { seals } = services
  const { key } = grant.refreshToken!
  const dataKey = seals.unwrapDataKey(grant, 'refresh', familyOf(handle), key)
  const answer = dataKey && successorOf(services, grant, handle, { ...predecessor, dataKey, key })
  const again = answer && sameAnswer(services, grant, dataKey, answer)
  if (!again) throw new OAuthError('grant_unreadable')
  // Of a confidential client, whose refresh tokens are bound to no key: it was issued for another.
  if (again.token.jkt !== request.jkt) throw refuseKey(request, grant)
  return again.response
}

/** What the successor was made of: derived, or in earlier records sealed with the predecessor. */
function successorOf(
  { seals, credentials }: Services,
  grant: ActiveGrant,
  handle: Handle,
  { sealed, dataKey, key }: { sealed?: string; dataKey: Buffer; key: string },
): AnswerSecrets | undefined {
  if (sealed === undefined) {
    return credentials.deriveSuccessor(grant, handle, dataKey, seals.serverSecretOf(key))
  }
  const successor = seals.openFor<SuccessorSecrets>(grant, 'predecessor', handle.secret, sealed)
  const refresh = successor && parseHandle('refresh', successor.refreshToken)
  if (!refresh) return undefined
  // A relayed access token is the provider's own, and no handle.
  const access = parseHandle('access', successor.accessToken)
  return { accessToken: access?.secret ?? Buffer.alloc(0), refreshToken: refresh.secret }
}

/** Somebody holds a refresh token that was rotated away: thief or victim, nobody can tell, so all of it ends. */
async function refuseReuse(
  request: TokenRequest,
  stored: StoredGrant<ActiveGrant>,
  handle: Handle,
): Promise<OAuthError> {
  request.record('refresh.reuse', { grant: stored.grant, reason: 'refresh_reused' })
  const { key } = stored.grant.refreshToken!
  await request.endGrant({ stored, holder: 'refresh', secret: familyOf(handle), key }, 'refresh_reused')
  return new OAuthError('refresh_reused')
}

function refuseKey(request: TokenRequest, grant: ActiveGrant): OAuthError {
  request.record('refresh.key_mismatch', { grant, reason: 'refresh_key_mismatch' })
  return new OAuthError('refresh_key_mismatch')
}
