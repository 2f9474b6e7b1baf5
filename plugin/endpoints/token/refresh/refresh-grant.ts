import type { ActiveGrant } from '../../../grant/grant.ts'
import { narrowResources } from '../../../oauth/access/resource.ts'
import { narrowScope, stillAllowed } from '../../../oauth/access/scope.ts'
import { OAuthError } from '../../../oauth/errors.ts'
import type { TokenResponse } from '../../../oauth/token.ts'
import { familyOf, type Handle, parseHandle } from '../../../secrets/handles.ts'
import type { Services } from '../../services.ts'
import type { TokenRequest } from '../token-request.ts'
import { judgeRefresh } from './judge-refresh.ts'
import { refreshAtProvider } from './refresh-at-provider.ts'
import { rotateGrant } from './rotate-grant.ts'

/** How long a request waits for another one's lease (D-09). */
const PATIENCE_MS = 5000
/** And how long it trusts in hearing of a change. */
const LOOK_AGAIN_MS = 1000

/** What a refresh request presents, its syntax already checked. */
interface PresentedRefresh {
  readonly refreshToken: string
  readonly scope: string | undefined
  readonly resources?: readonly string[] | undefined
}

/**
 * The refresh grant (RFC 6749 §6): judge the handle, then rotate by one swap. The provider is called only when
 * its token is short-lived by now, by the one holder of the grant's lease; everybody else waits for the change
 * and never calls it (D-03 to D-10).
 */
export async function refreshGrant(
  request: TokenRequest,
  presented: PresentedRefresh,
): Promise<TokenResponse> {
  const { client, services } = request
  try {
    const answer = await refresh(request, presented)
    services.observer.refresh('ok', client.clientId)
    return answer
  } catch (error) {
    const isRefused = error instanceof OAuthError && error.statusCode < 500
    services.observer.refresh(isRefused ? 'refused' : 'failed', client.clientId)
    throw error
  }
}

async function refresh(request: TokenRequest, presented: PresentedRefresh): Promise<TokenResponse> {
  const { services, client } = request
  const { grants } = services
  const handle = parseHandle('refresh', presented.refreshToken)
  if (!handle) throw new OAuthError('refresh_unknown')
  const giveUpAt = grants.now() + PATIENCE_MS
  for (let first = true; ; first = false) {
    const verdict = await judgeRefresh(request, handle, first)
    if (verdict.successor) return verdict.successor

    const { current } = verdict
    const scope = narrowScope(presented.scope, stillAllowed(current.grant.scope, client.scopes))
    const resources = narrowResources(presented.resources, current.grant.resources)
    const dataKey = openDataKey(services, current.grant, handle)
    if (!needsProvider(services, current.grant)) {
      const rotated = await rotateGrant(request, handle, current, { dataKey, scope, resources })
      if (rotated) return rotated
      continue
    }
    if (isLeased(services, current.grant)) {
      if (grants.now() >= giveUpAt) throw busyUntil(current.grant.lease!.until - grants.now())
      await grants.changeSince(current, LOOK_AGAIN_MS)
      continue
    }
    // Whoever comes here again saw somebody else ask in vain; if all of them asked, that would be a storm (D-06).
    if (!first) throw new OAuthError('refresh_busy')
    const refreshed = await refreshAtProvider(request, handle, current, { dataKey, scope, resources })
    if (refreshed) return refreshed
  }
}

/**
 * At the provider token's own pace, and early enough for the next access token to live (D-17). Never for one that lives
 * as long as the session: without a refresh token of the provider that is its end (D-15).
 */
function needsProvider({ options, grants }: Services, grant: ActiveGrant): boolean {
  if (options.tokens === 'relay') return true
  if (grant.providerExpiresAt >= grant.expiresAt) return false
  const early = Math.max(30_000, (options.lifetimes.accessTokenSeconds * 1000) / 2)
  return grant.providerExpiresAt - grants.now() < Math.min(early, grant.providerLifetimeMs / 2)
}

function isLeased({ grants }: Services, grant: ActiveGrant): boolean {
  return grant.lease !== undefined && grant.lease.until > grants.now()
}

/** @param leaseMs what is left of the lease. */
function busyUntil(leaseMs: number): OAuthError {
  const seconds = Math.max(1, Math.ceil(leaseMs / 1000))
  return new OAuthError('refresh_busy', { headers: { 'retry-after': String(seconds) } })
}

function openDataKey({ seals }: Services, grant: ActiveGrant, handle: Handle): Buffer {
  const dataKey = seals.unwrapDataKey(grant, 'refresh', familyOf(handle), grant.refreshToken!.key)
  if (!dataKey) throw new OAuthError('grant_unreadable')
  return dataKey
}
