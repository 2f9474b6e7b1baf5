import type { FastifyRequest } from 'fastify'
import { OAuthError, ProviderError } from '../errors.ts'
import { issueAccessToken, issueRefreshToken } from '../grant/credentials.ts'
import type { ActiveGrant, ExchangeSecrets, ProviderSecrets, RedeemingGrant } from '../grant/grant.ts'
import type { StoredGrant } from '../grant/grants.ts'
import { relayedTokenIndex, subjectIndex } from '../grant/indexes.ts'
import { openFor, sealProviderSecrets, wrapFor } from '../grant/seals.ts'
import { activate, redeem } from '../grant/transitions.ts'
import { type Handle, parseHandle } from '../handles.ts'
import { type TokenResponse, tokenResponse } from '../oauth/token.ts'
import type { RegisteredClient } from '../options/resolved.ts'
import type { ProviderTokens } from '../provider/provider.ts'
import type { Rooms } from '../rooms.ts'
import { type Identity, identify, narrowByProvider, scopeOf } from './identity.ts'
import { duplicate, type PresentedCode, proveCode } from './prove-code.ts'

/**
 * The authorization code grant (RFC 6749 §4.1.3): prove the code and its verifier, claim it by one swap, redeem
 * the provider's code, and commit before the answer. Nobody gets a second try.
 */
export async function redeemCode(
  rooms: Rooms,
  request: FastifyRequest,
  client: RegisteredClient,
  presented: PresentedCode,
): Promise<TokenResponse> {
  const handle = parseHandle('code', presented.code)
  const stored = handle && (await rooms.grants.read(handle.selector))
  if (!stored) throw new OAuthError('code_unknown')
  const authorized = await proveCode(rooms, request, client, presented, handle, stored)

  const secrets = openFor<ExchangeSecrets>(
    rooms.sealing,
    authorized.grant,
    'code',
    handle.secret,
    authorized.grant,
  )
  if (!secrets) throw new OAuthError('grant_unreadable')
  const redeeming = await rooms.grants.replace(authorized, redeem(authorized.grant))
  if (!redeeming) throw duplicate(rooms, request, authorized.grant)

  const { tokens, identity } = await exchange(rooms, request, client, presented, secrets, redeeming)
  return commit(rooms, request, client, handle, redeeming, tokens, identity)
}

/** The provider's part. Whatever fails here, the code is used up; what the provider issued is revoked. */
async function exchange(
  rooms: Rooms,
  request: FastifyRequest,
  client: RegisteredClient,
  presented: PresentedCode,
  secrets: ExchangeSecrets,
  redeeming: StoredGrant<RedeemingGrant>,
): Promise<{ tokens: ProviderTokens; identity: Identity }> {
  const { options, provider } = rooms
  let tokens: ProviderTokens | undefined
  try {
    tokens = await provider.exchangeCode({
      code: secrets.code,
      codeVerifier: options.provider.pkce === 'relay' ? presented.codeVerifier : secrets.codeVerifier,
      nonce: secrets.nonce,
      maxAge: redeeming.grant.maxAgeSeconds,
    })
    return { tokens, identity: await identify(provider, client, redeeming.grant.id, tokens) }
  } catch (error) {
    if (tokens) provider.revoke(tokens)
    const reason = error instanceof ProviderError ? error.reason : undefined
    rooms.audit.record('provider.error', {
      request,
      grantId: redeeming.grant.id,
      clientId: client.clientId,
      reason,
    })
    await rooms.grants.end(redeeming, 'exchange_failed').catch((cause: unknown) => {
      // The code is claimed already; the record runs out by itself.
      request.log.warn({ err: cause }, 'a failed exchange could not be recorded')
    })
    throw error
  }
}

/** Commit before answer (C-18): every handle and sealed token in one swap, and only then the 200. */
async function commit(
  rooms: Rooms,
  request: FastifyRequest,
  client: RegisteredClient,
  code: Handle,
  redeeming: StoredGrant<RedeemingGrant>,
  tokens: ProviderTokens,
  identity: Identity,
): Promise<TokenResponse> {
  const { options, grants, sealing, provider } = rooms
  const { grant } = redeeming
  const now = grants.now()
  const { id, clientId } = grant
  const expiresAt = now + options.lifetimes.sessionSeconds * 1000
  const providerLifetimeMs = tokens.expiresInSeconds * 1000
  const terms = {
    now,
    scope: narrowByProvider(scopeOf(client, grant.scope), client, tokens),
    providerExpiresAt: now + providerLifetimeMs,
    grantExpiresAt: expiresAt,
  }
  const secrets: ProviderSecrets = {
    accessToken: tokens.accessToken,
    tokenType: tokens.tokenType,
    ...(tokens.refreshToken !== undefined && { refreshToken: tokens.refreshToken }),
  }
  const dataKey = sealing.newDataKey()
  const access = issueAccessToken(rooms, grant, dataKey, secrets, terms)
  const refresh =
    secrets.refreshToken === undefined ? undefined : issueRefreshToken(rooms, grant, dataKey, terms)
  const next = activate(grant, {
    activatedAt: now,
    ...identity,
    scope: [...terms.scope],
    expiresAt,
    sealed: sealProviderSecrets(sealing, grant, dataKey, secrets),
    providerExpiresAt: terms.providerExpiresAt,
    providerLifetimeMs,
    code: {
      key: wrapFor(sealing, grant, 'used-code', code.secret, dataKey),
      forgottenAt: now + options.lifetimes.tombstoneSeconds * 1000,
    },
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
    rooms.audit.record('store.unavailable', { request, grantId: id, clientId, reason: 'commit_failed' })
    // The write may have happened all the same; nobody holds its handles, and nobody shall find it live.
    await grants.end(redeeming, 'exchange_failed').catch(() => {})
    throw new OAuthError('commit_failed', { cause })
  }
  if (!active) {
    provider.revoke(secrets)
    throw new OAuthError('grant_ended')
  }
  rooms.audit.record('session.activated', { request, grantId: id, clientId })
  return tokenResponse({
    accessToken: access.value,
    tokenType: access.tokenType,
    expiresInSeconds: (access.record.expiresAt - grants.now()) / 1000,
    refreshToken: refresh?.value,
    scope: terms.scope,
  })
}
