import { randomBytes } from 'node:crypto'
import type { FastifyRequest } from 'fastify'
import { OAuthError, ProviderError } from '../errors.ts'
import type { ActiveGrant, ProviderSecrets } from '../grant/grant.ts'
import type { StoredGrant } from '../grant/grants.ts'
import { openProviderSecrets, unwrapFor } from '../grant/seals.ts'
import { lease, release } from '../grant/transitions.ts'
import { familyOf, type Handle, parseHandle } from '../handles.ts'
import { narrowScope } from '../oauth/scope.ts'
import type { TokenResponse } from '../oauth/token.ts'
import type { RegisteredClient } from '../options/resolved.ts'
import type { ProviderTokens } from '../provider/provider.ts'
import type { Rooms } from '../rooms.ts'
import { scopeOf } from './identity.ts'
import { judgeRefresh } from './judge-refresh.ts'
import { rotateGrant } from './rotate-grant.ts'

/** A lease outlives the provider's deadline by this much, so that its holder is done or dead when it ends. */
const LEASE_MARGIN_MS = 5000

interface Presented {
  readonly refreshToken: string
  readonly scope: string | undefined
}

/**
 * The refresh grant (RFC 6749 §6): judge the handle, then rotate by one swap. The provider is called only when
 * its token is short-lived by now, by the one holder of the grant's lease; everybody else waits for the change
 * and never calls it (D-03 to D-10).
 */
export async function refreshGrant(
  rooms: Rooms,
  request: FastifyRequest,
  client: RegisteredClient,
  presented: Presented,
): Promise<TokenResponse> {
  const { grants, options } = rooms
  const handle = parseHandle('refresh', presented.refreshToken)
  if (!handle) throw new OAuthError('refresh_unknown')
  const patience = grants.now() + options.provider.timeouts.totalMs + LEASE_MARGIN_MS
  let waited = false
  for (let first = true; ; first = false) {
    const verdict = await judgeRefresh(rooms, request, client, handle, first)
    if (verdict.successor) return verdict.successor

    const { current } = verdict
    const scope = narrowScope(presented.scope, scopeOf(client, current.grant.scope))
    const dataKey = openDataKey(rooms, current.grant, handle)
    if (!needsProvider(rooms, current.grant)) {
      const rotated = await rotateGrant(rooms, request, client, handle, current, { dataKey, scope })
      if (rotated) return rotated
      continue
    }
    if (isLeased(rooms, current.grant)) {
      if (grants.now() >= patience) throw new OAuthError('refresh_busy')
      await waitForLease(rooms, current)
      waited = true
      continue
    }
    // Whoever has waited saw somebody else ask in vain; if every waiter asked again, that would be a storm (D-06).
    if (waited) throw new OAuthError('refresh_busy')
    const answer = await refreshAtProvider(rooms, request, current, { dataKey, client, handle, scope })
    if (answer) return answer
    waited = true
  }
}

/** At the provider token's own pace, and early enough for the next access token to live (D-17). */
function needsProvider({ options, grants }: Rooms, grant: ActiveGrant): boolean {
  if (options.tokens === 'relay') return true
  const early = Math.max(30_000, (options.lifetimes.accessTokenSeconds * 1000) / 2)
  return grant.providerExpiresAt - grants.now() < Math.min(early, grant.providerLifetimeMs / 2)
}

function isLeased({ grants }: Rooms, grant: ActiveGrant): boolean {
  return grant.lease !== undefined && grant.lease.until > grants.now()
}

/** Waits for the next change of the grant. It may have come since the read, so the waiter looks again first. */
async function waitForLease(rooms: Rooms, current: StoredGrant<ActiveGrant>): Promise<void> {
  const change = rooms.grants.nextChange(current.grant.id, 1000)
  const latest = await rooms.grants.read(current.grant.id)
  if (latest?.version === current.version) await change
}

function openDataKey({ sealing }: Rooms, grant: ActiveGrant, handle: Handle): Buffer {
  const dataKey = unwrapFor(sealing, grant, 'refresh', familyOf(handle), grant.refreshToken!.key)
  if (!dataKey) throw new OAuthError('grant_unreadable')
  return dataKey
}

/** Takes the lease, asks the provider, rotates. Null: another request was first, and its answer counts. */
async function refreshAtProvider(
  rooms: Rooms,
  request: FastifyRequest,
  current: StoredGrant<ActiveGrant>,
  step: { dataKey: Buffer; client: RegisteredClient; handle: Handle; scope: readonly string[] },
): Promise<TokenResponse | null> {
  const { grants, options, provider, sealing } = rooms
  const until = grants.now() + options.provider.timeouts.totalMs + LEASE_MARGIN_MS
  const leased = await grants.replace(current, lease(current.grant, randomBytes(8).toString('hex'), until))
  if (!leased) return null

  const secrets = openProviderSecrets(sealing, leased.grant, step.dataKey)
  if (secrets?.refreshToken === undefined) throw new OAuthError('grant_unreadable')
  let tokens: ProviderTokens
  try {
    tokens = await provider.refresh({ refreshToken: secrets.refreshToken, subject: leased.grant.subject })
  } catch (error) {
    await afterProviderFailure(rooms, request, leased, error)
    return null
  }
  const renewed: ProviderSecrets = {
    accessToken: tokens.accessToken,
    tokenType: tokens.tokenType,
    // A provider that does not rotate keeps the old one valid (RFC 6749 §6, D-11).
    refreshToken: tokens.refreshToken ?? secrets.refreshToken,
  }
  const answer = await rotateGrant(rooms, request, step.client, step.handle, leased, {
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
  rooms: Rooms,
  request: FastifyRequest,
  leased: StoredGrant<ActiveGrant>,
  error: unknown,
): Promise<void> {
  const { id, clientId } = leased.grant
  const reason = error instanceof ProviderError ? error.reason : undefined
  rooms.audit.record('provider.error', { request, grantId: id, clientId, reason })
  if (reason === 'provider_refused_grant' || reason === 'provider_subject_mismatch') {
    if (!(await rooms.grants.endUnlessChanged(leased, reason))) return
    rooms.audit.record('session.ended', { request, grantId: id, clientId, reason })
    throw new OAuthError('grant_ended', { cause: error })
  }
  await rooms.grants.replace(leased, release(leased.grant)).catch((cause: unknown) => {
    // The lease runs out by itself.
    request.log.warn({ err: cause }, 'a refresh lease could not be given back')
  })
  throw error
}
