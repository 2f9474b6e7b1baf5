import { isDeepStrictEqual } from 'node:util'
import { type ActiveGrant, type ProviderSecrets, subjectOfItsOwn } from '../../../grant/grant.ts'
import { isActive, type StoredGrant } from '../../../grant/grants.ts'
import { lease, present, release } from '../../../grant/transitions.ts'
import { OAuthError, ProviderError } from '../../../oauth/errors.ts'
import type { TokenResponse } from '../../../oauth/token.ts'
import type { ProviderRefresh } from '../../../provider/provider.ts'
import type { Handle } from '../../../secrets/handles.ts'
import { randomBytes } from '../../../secrets/random.ts'
import { StoreError } from '../../../stores/store.ts'
import { within } from '../../../stores/within.ts'
import type { Services } from '../../services.ts'
import { warnOfLostScopes } from '../identity.ts'
import type { TokenRequest } from '../token-request.ts'
import { commitRefreshToken, readClaims, takeBack } from './provider-answer.ts'
import { type Rotation, rotateGrant } from './rotate-grant.ts'

/** A lease outlives the provider's deadline by this much, so that its holder is done or dead when it ends. */
const LEASE_MARGIN_MS = 5000
/** The store has had most of the second that an outage may last for a client (G-11). */
const READ_BACK_MS = 150

/** How long a refresh at the provider may keep others waiting, in milliseconds. */
function leaseMs({ providers }: Services, grant: ActiveGrant): number {
  return providers.of(grant).options.timeouts.totalMs + LEASE_MARGIN_MS
}

/**
 * Takes the lease, asks the provider, rotates (D-06 to D-11).
 *
 * @returns null if another request was first, and its result counts.
 * @throws ProviderError, StoreError; OAuthError `grant_ended` when the provider's verdict ends the grant.
 */
export async function refreshAtProvider(
  request: TokenRequest,
  presented: Handle,
  current: StoredGrant<ActiveGrant>,
  step: Omit<Rotation, 'provider'>,
): Promise<TokenResponse | null> {
  const { services } = request
  const { providers, seals } = services
  // First, so that nobody waits for a lease that is of no use.
  const secrets = seals.openProviderSecrets(current.grant, step.dataKey)
  if (secrets?.refreshToken === undefined) throw new OAuthError('grant_unreadable')
  const owner = randomBytes(8).toString('hex')
  const leased = await takeLease(services, current, owner)
  if (!leased) return null

  let answer: ProviderRefresh
  try {
    const { id, subject } = leased.grant
    answer = await providers.of(leased.grant).refresh({
      refreshToken: secrets.refreshToken,
      subject: subject === subjectOfItsOwn(id) ? undefined : subject,
    })
  } catch (error) {
    await settleProviderFailure(request, leased, error)
    return null
  }
  // From here on the old refresh token may be dead: commit first, judge afterwards (D-11).
  const { dataKey } = step
  // A provider that does not rotate keeps the old one valid (RFC 6749 §6).
  const refreshToken = answer.refreshToken ?? secrets.refreshToken
  if (answer.tokens instanceof ProviderError) {
    await commitRefreshToken(request, leased, { ...secrets, refreshToken }, dataKey)
    throw answer.tokens
  }
  const { tokens } = answer
  const { accessToken, tokenType } = tokens
  const renewed: ProviderSecrets = { accessToken, tokenType, refreshToken }
  const onLost = () => void takeBack(request, leased.grant, { ...answer, accessToken }, dataKey)
  const rotated = await rotateGrant(request, presented, leased, {
    ...step,
    provider: { tokens, secrets: renewed, onLost },
  }).catch(async (error: unknown) => {
    // The access token of somebody else's session: what was proved is another subject.
    if (error instanceof ProviderError) await settleProviderFailure(request, leased, error)
    throw error
  })
  if (!rotated) return null
  warnOfLostScopes(request, leased.grant.scope, tokens)
  if (answer.idToken === undefined) return rotated
  const from = services.grants.now()
  await readClaims(request, leased.grant, answer.idToken, accessToken)
  const waitedSeconds = Math.ceil((services.grants.now() - from) / 1000)
  return { ...rotated, expires_in: Math.max(0, rotated.expires_in - waitedSeconds) }
}

/**
 * Takes the lease by one swap. A swap whose answer was lost may have been made: whoever reads his own name there goes
 * on, for nobody else will (D-09).
 *
 * @returns null if another request was first. @throws StoreError
 */
async function takeLease(
  services: Services,
  current: StoredGrant<ActiveGrant>,
  owner: string,
): Promise<StoredGrant<ActiveGrant> | null> {
  const { grants } = services
  try {
    const leased = await grants.replace(
      current,
      lease(current.grant, owner, grants.now() + leaseMs(services, current.grant)),
    )
    if (leased || current.grant.unpresented === undefined) return leased
    // Its access token may have been presented just now. To have noted that is no other request (D-05).
    const noted = await grants.read(current.grant.id)
    const isNoted = isActive(noted) && isDeepStrictEqual(noted.grant, present(current.grant))
    return isNoted ? await takeLease(services, noted, owner) : null
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    const stored = await within(READ_BACK_MS, grants.read(current.grant.id)).catch(() => null)
    if (isActive(stored) && stored.grant.lease?.owner === owner) return stored
    throw error
  }
}

/**
 * A refused refresh token and a changed subject end the grant; everything else leaves it as it was: a provider that
 * is down, and one that refuses us, which is no fault of the session (D-10, D-14).
 *
 * @returns when the verdict is void: it was about a refresh token that a later lease has replaced meanwhile.
 */
async function settleProviderFailure(
  request: TokenRequest,
  leased: StoredGrant<ActiveGrant>,
  error: unknown,
): Promise<void> {
  const { grants } = request.services
  const { grant } = leased
  const reason = error instanceof ProviderError ? error.reason : undefined
  request.record('provider.error', { grant, reason })
  if (reason === 'provider_refused_grant' || reason === 'provider_subject_mismatch') {
    if (!(await grants.endUnlessChanged(leased, reason))) return
    request.record('session.ended', { grant, reason })
    throw new OAuthError('grant_ended', { cause: error })
  }
  await grants.replace(leased, release(leased.grant)).catch((cause: unknown) => {
    // The lease runs out by itself.
    request.log.warn({ err: cause }, 'a refresh lease could not be given back')
  })
  throw error
}
