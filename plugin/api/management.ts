import type { Services } from '../endpoints/services.ts'
import type { ActiveGrant } from '../grant/grant.ts'
import { isActive, type StoredGrant } from '../grant/grants.ts'
import { correlationId, correlationIndex, subjectIndex } from '../grant/indexes.ts'
import type { SessionSummary } from './pkce.ts'

/** It cannot be told which sessions are meant. The message says what to write. */
export class TargetError extends TypeError {}

/**
 * Ends one grant, or all of a subject's, without a handle: what is sealed is deleted unopened (G-04). A grant
 * that is in the index and not yet active has a token exchange under way, whose activation then loses (G-10).
 */
export async function endSession(
  services: Services,
  target: { grantId: string } | { grant: string } | { subject: string; issuer?: string },
): Promise<number> {
  const { grants, audit } = services
  const found =
    'grantId' in target
      ? [await grants.read(target.grantId)]
      : 'grant' in target
        ? await theOneCalled(services, target.grant)
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

/** The live grants of a subject at a provider, or those that a line of the log can mean. */
export async function sessionsOf(
  services: Services,
  of: string | { grant: string },
  issuer?: string,
): Promise<SessionSummary[]> {
  const found = typeof of === 'string' ? grantsOf(services, of, issuer) : grantsCalled(services, of.grant)
  return (await found).filter(isActive).map(summaryOf)
}

/** Which part of the sessions is asked for. */
export interface SessionQuery {
  /** A subject, or what the log calls a session. */
  readonly of: string | { readonly grant: string }
  readonly issuer?: string | undefined
  /** The `next` of the page before. */
  readonly after?: string | undefined
  readonly limit: number
}

/** Some of the sessions, the newest first. */
export interface SessionPage {
  readonly sessions: readonly SessionSummary[]
  /** There may be more. */
  readonly next?: string
}

/**
 * As `sessionsOf`, in parts: however many there are, no more are read than are asked for.
 *
 * @throws StoreError. @throws TargetError. Source: requirements S-01.
 */
export async function sessionPage(
  services: Services,
  { of, issuer, after = '', limit }: SessionQuery,
): Promise<SessionPage> {
  const listed = typeof of === 'string' ? idsOf(services, of, issuer) : idsCalled(services, of.grant)
  const ids = (await listed).filter((id) => id > after).sort((a, b) => (a < b ? -1 : 1))
  const sessions: SessionSummary[] = []
  let read = 0
  while (read < ids.length && sessions.length < limit) {
    const some = ids.slice(read, read + limit - sessions.length)
    sessions.push(...(await readAll(services, some)).filter(isActive).map(summaryOf))
    read += some.length
  }
  sessions.sort((a, b) => b.createdAt - a.createdAt)
  return { sessions, ...(read < ids.length && { next: ids[read - 1]! }) }
}

function summaryOf({ grant }: StoredGrant<ActiveGrant>): SessionSummary {
  return {
    grantId: grant.id,
    grant: correlationId(grant.id),
    clientId: grant.clientId,
    issuer: grant.provider,
    subject: grant.subject,
    scope: grant.scope,
    createdAt: grant.createdAt,
    expiresAt: grant.expiresAt,
  }
}

/** Those in the subject's index: live ones, and such as are about to be. */
async function grantsOf(
  services: Services,
  subject: string,
  issuer: string | undefined,
): Promise<StoredGrant[]> {
  return readAll(services, await idsOf(services, subject, issuer))
}

/** The index may name grants that are over. */
async function idsOf(
  { grants, providers }: Services,
  subject: string,
  issuer: string | undefined,
): Promise<string[]> {
  const issuers = providers.all.map((provider) => provider.issuer)
  const at = issuer ?? (issuers.length === 1 ? issuers[0]! : undefined)
  if (at === undefined || !issuers.includes(at)) {
    const which = at === undefined ? 'is required: there are several providers' : 'is no provider here'
    throw new TargetError(`issuer ${which} (${issuers.join(', ')})`)
  }
  return grants.readIndex(subjectIndex(at, subject))
}

/** Eight digits name one of four thousand million: with a million sessions, one of 4,000 has a namesake. */
async function theOneCalled(services: Services, correlation: string): Promise<StoredGrant[]> {
  const found = (await grantsCalled(services, correlation)).filter(({ grant }) => grant.status !== 'ended')
  if (found.length <= 1) return found
  const ids = found.map(({ grant }) => grant.id).join(', ')
  throw new TargetError(
    `grant ${correlation} is what the log calls ${found.length} sessions: end one by its grantId (${ids})`,
  )
}

/** Those that a line of the log calls so. */
async function grantsCalled(services: Services, correlation: string): Promise<StoredGrant[]> {
  return readAll(services, await idsCalled(services, correlation))
}

async function idsCalled({ grants }: Services, correlation: string): Promise<string[]> {
  if (!/^[0-9a-f]{8}$/.test(correlation)) {
    throw new TargetError('grant takes the 8 hexadecimal digits of a log line; an id goes in grantId')
  }
  const ids = await grants.readIndex(correlationIndex(correlation))
  return ids.filter((id) => correlationId(id) === correlation)
}

async function readAll({ grants }: Services, ids: readonly string[]): Promise<StoredGrant[]> {
  const found = await Promise.all(ids.map((id) => grants.read(id)))
  return found.filter((stored) => stored !== null)
}
