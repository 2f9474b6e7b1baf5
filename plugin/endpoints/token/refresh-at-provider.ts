import { randomBytes } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import type { ActiveGrant, ProviderSecrets } from '../../grant/grant.ts'
import type { StoredGrant } from '../../grant/grants.ts'
import { openProviderSecrets } from '../../grant/seals.ts'
import { lease, release } from '../../grant/transitions.ts'
import { OAuthError, ProviderError } from '../../oauth/errors.ts'
import type { TokenResponse } from '../../oauth/token.ts'
import type { RegisteredClient } from '../../options/resolved.ts'
import type { ProviderTokens } from '../../provider/provider.ts'
import type { Handle } from '../../secrets/handles.ts'
import type { Services } from '../services.ts'
import { rotateGrant } from './rotate-grant.ts'

/** A lease outlives the provider's deadline by this much, so that its holder is done or dead when it ends. */
const LEASE_MARGIN_MS = 5000

/** How long a refresh at the provider may keep others waiting, in milliseconds. */
export function leaseMs({ options }: Services): number {
  return options.provider.timeouts.totalMs + LEASE_MARGIN_MS
}

/**
 * Takes the lease, asks the provider, rotates (D-06 to D-11).
 *
 * @returns null if another request was first, and its answer counts.
 * @throws ProviderError, StoreError; OAuthError `grant_ended` when the provider's verdict ends the grant.
 */
export async function refreshAtProvider(
  services: Services,
  request: FastifyRequest,
  current: StoredGrant<ActiveGrant>,
  step: { dataKey: Buffer; client: RegisteredClient; handle: Handle; scope: readonly string[] },
): Promise<TokenResponse | null> {
  const { grants, provider, sealing } = services
  // First, so that nobody waits for a lease that is of no use.
  const secrets = openProviderSecrets(sealing, current.grant, step.dataKey)
  if (secrets?.refreshToken === undefined) throw new OAuthError('grant_unreadable')
  const owner = randomBytes(8).toString('hex')
  const leased = await grants.replace(current, lease(current.grant, owner, grants.now() + leaseMs(services)))
  if (!leased) return null

  let tokens: ProviderTokens
  try {
    tokens = await provider.refresh({ refreshToken: secrets.refreshToken, subject: leased.grant.subject })
  } catch (error) {
    await afterProviderFailure(services, request, leased, error)
    return null
  }
  const renewed: ProviderSecrets = {
    accessToken: tokens.accessToken,
    tokenType: tokens.tokenType,
    // A provider that does not rotate keeps the old one valid (RFC 6749 §6, D-11).
    refreshToken: tokens.refreshToken ?? secrets.refreshToken,
  }
  const answer = await rotateGrant(services, request, step.client, step.handle, leased, {
    ...step,
    renewed,
    tokens,
  })
  if (answer) return answer
  // The fence (D-07, D-08): a logout or a later lease has won, so what the provider just issued must not live on.
  // Only that: the refresh token that was there before may be the later lease's own.
  provider.revoke(tokens)
  return null
}

/**
 * `invalid_grant` and a changed subject end the grant; everything else leaves it as it was (D-10, D-14).
 *
 * @returns when the verdict is void: it was about a refresh token that a later lease has replaced meanwhile.
 */
async function afterProviderFailure(
  services: Services,
  request: FastifyRequest,
  leased: StoredGrant<ActiveGrant>,
  error: unknown,
): Promise<void> {
  const { id, clientId } = leased.grant
  const reason = error instanceof ProviderError ? error.reason : undefined
  services.audit.record('provider.error', { request, grantId: id, clientId, reason })
  if (reason === 'provider_refused_grant' || reason === 'provider_subject_mismatch') {
    if (!(await services.grants.endUnlessChanged(leased, reason))) return
    services.audit.record('session.ended', { request, grantId: id, clientId, reason })
    throw new OAuthError('grant_ended', { cause: error })
  }
  await services.grants.replace(leased, release(leased.grant)).catch((cause: unknown) => {
    // The lease runs out by itself.
    request.log.warn({ err: cause }, 'a refresh lease could not be given back')
  })
  throw error
}
