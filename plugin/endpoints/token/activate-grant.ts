import type { FastifyRequest } from 'fastify'
import { issueAccessToken, issueRefreshToken } from '../../grant/credentials.ts'
import type { ActiveGrant, ProviderSecrets, RedeemingGrant } from '../../grant/grant.ts'
import type { StoredGrant } from '../../grant/grants.ts'
import { relayedTokenIndex, subjectIndex } from '../../grant/indexes.ts'
import { sealProviderSecrets } from '../../grant/seals.ts'
import { activate } from '../../grant/transitions.ts'
import { OAuthError } from '../../oauth/errors.ts'
import { stillAllowed } from '../../oauth/scope.ts'
import { type TokenResponse, tokenResponse } from '../../oauth/token.ts'
import type { RegisteredClient } from '../../options/resolved.ts'
import type { ProviderTokens } from '../../provider/provider.ts'
import type { Services } from '../services.ts'
import { type Identity, narrowByProvider } from './identity.ts'

/**
 * `redeeming` → `active`, by one swap: every handle and sealed token, and only then the 200 (C-18). What the
 * provider issued is revoked if the swap fails or loses against a logout.
 *
 * @throws OAuthError `commit_failed`, `grant_ended`.
 */
export async function activateGrant(
  services: Services,
  request: FastifyRequest,
  client: RegisteredClient,
  redeeming: StoredGrant<RedeemingGrant>,
  dataKey: Buffer,
  tokens: ProviderTokens,
  identity: Identity,
): Promise<TokenResponse> {
  const { options, grants, sealing, provider } = services
  const { grant } = redeeming
  const now = grants.now()
  const { id, clientId } = grant
  const expiresAt = now + options.lifetimes.sessionSeconds * 1000
  const providerLifetimeMs = tokens.expiresInSeconds * 1000
  const terms = {
    now,
    scope: narrowByProvider(stillAllowed(grant.scope, client.scopes), client, tokens),
    providerExpiresAt: now + providerLifetimeMs,
    grantExpiresAt: expiresAt,
  }
  const secrets: ProviderSecrets = {
    accessToken: tokens.accessToken,
    tokenType: tokens.tokenType,
    ...(tokens.refreshToken !== undefined && { refreshToken: tokens.refreshToken }),
  }
  const access = issueAccessToken(services, grant, dataKey, secrets, terms)
  const refresh =
    secrets.refreshToken === undefined ? undefined : issueRefreshToken(services, grant, dataKey, terms)
  const next = activate(grant, {
    activatedAt: now,
    ...identity,
    scope: [...terms.scope],
    expiresAt,
    sealed: sealProviderSecrets(sealing, grant, dataKey, secrets),
    providerExpiresAt: terms.providerExpiresAt,
    providerLifetimeMs,
    codeForgottenAt: now + options.lifetimes.tombstoneSeconds * 1000,
    accessToken: access.record,
    refreshToken: refresh?.record,
  })

  let active: StoredGrant<ActiveGrant> | null
  try {
    // The indexes first: a logout by subject meanwhile then finds the grant, active or about to be (G-10).
    await Promise.all([
      grants.addToIndex(subjectIndex(grant.provider, identity.subject), id, expiresAt),
      options.tokens === 'relay' &&
        grants.addToIndex(relayedTokenIndex(access.record.hash), id, access.record.expiresAt),
    ])
    active = await grants.replace(redeeming, next)
  } catch (cause) {
    provider.revoke(secrets)
    services.audit.record('store.unavailable', { request, grantId: id, clientId, reason: 'commit_failed' })
    // The write may have happened all the same; nobody holds its handles, and nobody shall find it live. Not
    // awaited: the store has had its second, and the app gets its answer (G-11).
    void grants.end(redeeming, 'exchange_failed').catch(() => {})
    throw new OAuthError('commit_failed', { cause })
  }
  if (!active) {
    provider.revoke(secrets)
    throw new OAuthError('grant_ended')
  }
  services.audit.record('session.activated', { request, grantId: id, clientId })
  return tokenResponse({
    accessToken: access.value,
    tokenType: access.tokenType,
    expiresInSeconds: (access.record.expiresAt - grants.now()) / 1000,
    refreshToken: refresh?.value,
    scope: terms.scope,
  })
}
