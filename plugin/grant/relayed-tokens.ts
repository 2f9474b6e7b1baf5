import { hashCredential, sameHash } from '../secrets/handles.ts'
import { type AccessTokenRecord, type ActiveGrant, subjectOfItsOwn } from './grant.ts'
import { type Grants, isActive } from './grants.ts'
import { relayedTokenIndex } from './indexes.ts'

/**
 * With `tokens: relay` a provider may give one access token to several logins of a person, as long as it lives. Each
 * login has its own grant, and the token is live while one of them is.
 */

/** What the grant remembers of an access token, live or expired. */
export function accessTokenOf(grant: ActiveGrant, tokenHash: string): AccessTokenRecord | undefined {
  return grant.accessTokens.find(({ hash }) => sameHash(hash, tokenHash))
}

/** True if the provider has told whose grant it is. */
export function isIdentified({ id, subject }: ActiveGrant): boolean {
  return subject !== subjectOfItsOwn(id)
}

/** False if two of the grants are known to be of different subjects. One without an identity may be anybody's. */
export function areOfOneSubject(grants: readonly ActiveGrant[]): boolean {
  const users = grants
    .filter(isIdentified)
    .map(({ provider, subject }) => JSON.stringify([provider, subject]))
  return new Set(users).size < 2
}

/**
 * True if a grant lives on this access token, or is about to: its token exchange is under way.
 *
 * @throws StoreError
 */
export async function isRelayedTokenInUse(grants: Grants, accessToken: string): Promise<boolean> {
  const hash = hashCredential(accessToken)
  for (const grantId of await grants.readIndex(relayedTokenIndex(hash))) {
    const stored = await grants.read(grantId)
    if (stored?.grant.status === 'redeeming') return true
    const token = isActive(stored) && accessTokenOf(stored.grant, hash)
    if (token && token.expiresAt > grants.now()) return true
  }
  return false
}
