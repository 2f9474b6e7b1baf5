import type { ActiveGrant, EndedGrant, Grant } from '../grant/grant.ts'
import type { Grants, StoredGrant } from '../grant/grants.ts'
import { logoutIndex, providerSessionIndex, subjectIndex } from '../grant/indexes.ts'
import type { ResolvedOptions } from '../options/resolved.ts'

/** What has ended at a provider: one session there, or all of a subject. At least one of them is named. */
export interface ProviderLogout {
  /** Issuer. */
  readonly provider: string
  readonly sid?: string | undefined
  readonly subject?: string | undefined
}

/**
 * Ends the grants that a logout at their provider means (Back-Channel Logout §2.7, requirements E-10). Written down
 * first: a login whose activation is under way is listed later than we look, and finds the note then (E-11, G-10).
 *
 * `sid` alone, or with `sub`, means that session; `sub` alone means all of them. A grant whose id_token had no `sid`
 * cannot be told from the others of its subject, and is meant whenever that is named.
 *
 * @returns those that this call has ended, as they were. @throws StoreError
 */
export async function endByProvider(
  grants: Grants,
  logout: ProviderLogout,
  lifetimes: ResolvedOptions['lifetimes'],
): Promise<Exclude<Grant, EndedGrant>[]> {
  const { provider, sid, subject } = logout
  const bySid = sid === undefined ? undefined : providerSessionIndex(provider, sid)
  const bySubject = subject === undefined ? undefined : subjectIndex(provider, subject)
  const indexes = [bySid, bySubject].filter((index) => index !== undefined)
  const now = grants.now()
  await grants.addToIndex(indexes.map(logoutIndex), noteOf(now, sid), now + longestLoginMs(lifetimes))

  const [ofSession, ofSubject] = await Promise.all([
    bySid === undefined ? [] : readAll(grants, bySid),
    bySubject === undefined ? [] : readAll(grants, bySubject),
  ])
  const meant = [
    ...ofSession.filter(
      ({ grant }) => subject === undefined || !isActive(grant) || grant.subject === subject,
    ),
    // Of one that is being activated it is not known yet which session it came out of.
    ...ofSubject.filter(({ grant }) => sid === undefined || !isActive(grant) || grant.sid === undefined),
  ]
  const once = new Map(meant.map((stored) => [stored.grant.id, stored]))
  const ended = await Promise.all([...once.values()].map((stored) => grants.end(stored, 'provider_logout')))
  return ended.filter((grant) => grant !== null)
}

/**
 * True for a grant whose login began before a logout at its provider that means it. Asked once it is listed in its
 * indexes: a logout that was not written down by then finds it there (G-10).
 *
 * @throws StoreError
 */
export async function isLoggedOut(grants: Grants, grant: ActiveGrant): Promise<boolean> {
  const { provider, subject, sid, createdAt } = grant
  const [ofSession, ofSubject] = await Promise.all([
    sid === undefined ? [] : grants.readIndex(logoutIndex(providerSessionIndex(provider, sid))),
    grants.readIndex(logoutIndex(subjectIndex(provider, subject))),
  ])
  const meant = [...ofSession, ...ofSubject.filter((note) => sid === undefined || !namesSession(note))]
  return meant.some((note) => createdAt <= Number.parseInt(note, 10))
}

/** No login that begins before a logout ends later than so long after it: its records do not live longer. */
function longestLoginMs({
  transactionSeconds,
  codeSeconds,
  tombstoneSeconds,
}: ResolvedOptions['lifetimes']): number {
  return (transactionSeconds + codeSeconds + tombstoneSeconds) * 1000
}

/** When it was, by the store's clock in milliseconds, and whether it was of one session. */
function noteOf(now: number, sid: string | undefined): string {
  return sid === undefined ? `${now}` : `${now} sid`
}

function namesSession(note: string): boolean {
  return note.endsWith(' sid')
}

async function readAll(grants: Grants, index: string): Promise<StoredGrant[]> {
  const ids = await grants.readIndex(index)
  const found = await Promise.all(ids.map((id) => grants.read(id)))
  return found.filter((stored) => stored !== null)
}

function isActive(grant: Grant): grant is ActiveGrant {
  return grant.status === 'active'
}
