import type { Services } from '../endpoints/services.ts'
import { isActive, type StoredGrant } from '../grant/grants.ts'
import { subjectIndex } from '../grant/indexes.ts'
import type { SessionSummary } from './pkce.ts'

/**
 * Ends one grant, or all of a subject's, without a handle: what is sealed is deleted unopened (G-04). A grant
 * that is in the index and not yet active has a token exchange under way, whose activation then loses (G-10).
 */
export async function endSession(
  services: Services,
  target: { grantId: string } | { subject: string; issuer?: string },
): Promise<number> {
  const { grants, audit } = services
  const found =
    'grantId' in target
      ? [await grants.read(target.grantId)]
      : await grantsOf(services, target.subject, target.issuer)
  let count = 0
  for (const stored of found) {
    const ended = stored && (await grants.end(stored, 'administrator'))
    if (!ended) continue
    count++
    audit.record('session.ended', { grant: ended, reason: 'administrator' })
  }
  return count
}

/** The live grants of a subject at a provider. */
export async function sessionsOf(
  services: Services,
  subject: string,
  issuer?: string,
): Promise<SessionSummary[]> {
  const active = (await grantsOf(services, subject, issuer)).filter(isActive)
  return active.map(({ grant }) => ({
    grantId: grant.id,
    clientId: grant.clientId,
    issuer: grant.provider,
    subject: grant.subject,
    scope: grant.scope,
    createdAt: grant.createdAt,
    expiresAt: grant.expiresAt,
  }))
}

/** Those in the subject's index: live ones, and such as are about to be. */
async function grantsOf(
  { grants, providers }: Services,
  subject: string,
  issuer: string | undefined,
): Promise<StoredGrant[]> {
  const issuers = providers.all.map((provider) => provider.issuer)
  const at = issuer ?? (issuers.length === 1 ? issuers[0]! : undefined)
  if (at === undefined || !issuers.includes(at)) {
    const which = at === undefined ? 'is required: there are several providers' : 'is no provider here'
    throw new TypeError(`issuer ${which} (${issuers.join(', ')})`)
  }
  const ids = await grants.readIndex(subjectIndex(at, subject))
  const found = await Promise.all(ids.map((id) => grants.read(id)))
  return found.filter((stored) => stored !== null)
}
