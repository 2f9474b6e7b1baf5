import type { AccessTokenRecord, ActiveGrant } from '../../grant/grant.ts'
import type { Grants } from '../../grant/grants.ts'
import { relayedTokenIndex, subjectIndex } from '../../grant/indexes.ts'
import { accessTokenOf, areOfOneSubject, isIdentified } from '../../grant/relayed-tokens.ts'
import { ProviderError } from '../../oauth/errors.ts'
import type { Services } from '../services.ts'

/**
 * Lists the grant under the provider token that its app is about to get (`tokens: relay`), unless the provider has
 * given the same token to another subject.
 *
 * The grant is in the index of its subject by now, then it is listed here, then it looks, and the swap that makes
 * the token its own comes last. So of two that do this at the same time, one at least sees the other.
 *
 * @param grant as it will be. @param token its newest access token.
 * @throws ProviderError `provider_subject_mismatch`. @throws StoreError
 */
export async function shareToken(
  { grants, sessions }: Services,
  grant: ActiveGrant,
  token: AccessTokenRecord,
): Promise<void> {
  const index = relayedTokenIndex(token.hash)
  await grants.addToIndex([index], grant.id, token.expiresAt)
  // A session that is kept here was made without this grant. From now on a new one is made with it.
  sessions.cache.forget(token.hash)
  if (!isIdentified(grant)) return
  for (const grantId of await grants.readIndex(index)) {
    if (grantId === grant.id || !(await isAnothers(grants, grant, grantId, token.hash))) continue
    const cause = new Error('a live session of another subject has the same access token')
    throw new ProviderError('provider_subject_mismatch', 'token', { cause })
  }
}

/** True if `otherId`, which is listed under the token, is the grant of another subject, live or about to be. */
async function isAnothers(
  grants: Grants,
  grant: ActiveGrant,
  otherId: string,
  tokenHash: string,
): Promise<boolean> {
  const other = (await grants.read(otherId))?.grant
  if (other?.status === 'redeeming') {
    // Its record does not tell its subject yet; the index of our subject has it, if it is ours.
    return !(await grants.readIndex(subjectIndex(grant.provider, grant.subject))).includes(otherId)
  }
  if (other?.status !== 'active' || areOfOneSubject([grant, other])) return false
  // Without the token it is being refreshed, and gets it now.
  const token = accessTokenOf(other, tokenHash)
  return token === undefined || token.expiresAt > grants.now()
}
