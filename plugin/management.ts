import type { ActiveGrant } from './grant/grant.ts'
import type { StoredGrant } from './grant/grants.ts'
import { subjectIndex } from './grant/indexes.ts'
import type { SessionSummary } from './pkce.ts'
import type { Rooms } from './rooms.ts'

/** Ends one grant, or all of a subject's, without a handle: what is sealed is deleted unopened (G-04). */
export async function endSession(
  rooms: Rooms,
  target: { grantId: string } | { subject: string },
): Promise<number> {
  const { grants, audit } = rooms
  const found =
    'grantId' in target ? [await grants.read(target.grantId)] : await activeGrants(rooms, target.subject)
  let count = 0
  for (const stored of found) {
    const ended = stored && (await grants.end(stored, 'administrator'))
    if (!ended) continue
    count++
    audit.record('session.ended', { grantId: ended.id, clientId: ended.clientId, reason: 'administrator' })
    if (ended.status === 'active') {
      await grants.removeFromIndexes([subjectIndex(ended.provider, ended.subject)], ended.id)
    }
  }
  return count
}

/** The live grants of a subject at our provider. */
export async function sessionsOf(rooms: Rooms, subject: string): Promise<SessionSummary[]> {
  return (await activeGrants(rooms, subject)).map(({ grant }) => ({
    grantId: grant.id,
    clientId: grant.clientId,
    subject: grant.subject,
    scope: grant.scope,
    createdAt: grant.createdAt,
    expiresAt: grant.expiresAt,
  }))
}

async function activeGrants(
  { grants, provider }: Rooms,
  subject: string,
): Promise<StoredGrant<ActiveGrant>[]> {
  const ids = await grants.readIndex(subjectIndex(provider.issuer, subject))
  const found = await Promise.all(ids.map((id) => grants.read(id)))
  return found.filter((stored): stored is StoredGrant<ActiveGrant> => {
    return stored?.grant.status === 'active' && stored.grant.subject === subject
  })
}
