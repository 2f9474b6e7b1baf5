import type { ActiveGrant, ProviderSecrets, RedeemingGrant } from '../../../grant/grant.ts'
import type { StoredGrant } from '../../../grant/grants.ts'
import { indexesOf } from '../../../grant/indexes.ts'
import { activate } from '../../../grant/transitions.ts'
import { OAuthError, ProviderError } from '../../../oauth/errors.ts'
import { type TokenResponse, tokenResponse } from '../../../oauth/token.ts'
import type { ProviderTokens } from '../../../provider/provider.ts'
import type { Handle } from '../../../secrets/handles.ts'
import { isLoggedOut } from '../../../session/provider-logouts.ts'
import { authenticationOf, type Identity, warnOfLostScopes } from '../identity.ts'
import { sameAnswer } from '../same-answer.ts'
import { shareToken } from '../share-token.ts'
import type { TokenRequest } from '../token-request.ts'
import type { DecidedLogin } from './decide-login.ts'

/**
 * `redeeming` → `active`, by one swap: every handle and sealed token, and only then the 200 (C-18). What the
 * provider issued is revoked if the swap fails or loses against a logout.
 *
 * @throws OAuthError `commit_failed`, `grant_ended`. @throws ProviderError `provider_subject_mismatch` for an access
 *   token that a live session of another subject has (`tokens: relay`).
 */
export async function activateGrant(
  request: TokenRequest,
  redeeming: StoredGrant<RedeemingGrant>,
  step: {
    readonly codeSecret: Buffer
    readonly dataKey: Buffer
    readonly tokens: ProviderTokens
    readonly identity: Identity
    /** Of the access token. */
    readonly resources?: readonly string[] | undefined
  } & DecidedLogin,
): Promise<TokenResponse> {
  const { options, grants, seals, credentials, providers } = request.services
  const { client } = request
  const { codeSecret, dataKey, tokens, identity, scope, resources, ownClaims } = step
  const { grant } = redeeming
  const { id } = grant
  const provider = providers.of(grant)
  const now = grants.now()
  const providerLifetimeMs = tokens.expiresInSeconds * 1000
  const providerExpiresAt = now + providerLifetimeMs
  const sessionExpiresAt = now + options.lifetimes.sessionSeconds * 1000
  // What cannot be renewed ends with the provider's token (D-15).
  const isRenewable = tokens.refreshToken !== undefined
  const expiresAt = isRenewable ? sessionExpiresAt : Math.min(sessionExpiresAt, providerExpiresAt)
  const terms = {
    now,
    scope,
    resources,
    providerExpiresAt,
    grantExpiresAt: expiresAt,
  }
  const secrets: ProviderSecrets = {
    accessToken: tokens.accessToken,
    tokenType: tokens.tokenType,
    ...(tokens.refreshToken !== undefined && { refreshToken: tokens.refreshToken }),
  }
  const answer = client.repeatableExchange
    ? credentials.deriveAnswer(grant, codeSecret, grant.key)
    : undefined
  const access = credentials.issueAccessToken(grant, dataKey, secrets, {
    ...terms,
    secret: answer?.accessToken,
    jkt: request.jkt,
  })
  const refresh =
    isRenewable || access.record.expiresAt < expiresAt
      ? credentials.issueRefreshToken(grant, dataKey, {
          ...terms,
          secret: answer?.refreshToken,
          jkt: request.refreshJkt,
        })
      : undefined
  const next = activate(grant, {
    activatedAt: now,
    ...{ subject: identity.subject, claims: identity.claims },
    ...(identity.sid !== undefined && { sid: identity.sid }),
    ...(ownClaims && { ownClaims }),
    ...authenticationOf(tokens.claims, now),
    scope: [...scope],
    expiresAt,
    sealed: seals.sealProviderSecrets(grant, dataKey, secrets),
    providerExpiresAt,
    providerLifetimeMs,
    codeForgottenAt: now + options.lifetimes.tombstoneSeconds * 1000,
    accessToken: access.record,
    refreshToken: refresh?.record,
    repeatable: answer !== undefined,
  })

  let active: StoredGrant<ActiveGrant> | null
  try {
    // The indexes first: a logout by subject meanwhile then finds the grant, active or about to be (G-10).
    await grants.addToIndex(indexesOf(next), id, expiresAt)
    if (options.tokens === 'relay') await shareToken(request.services, next, access.record)
    const [activated, isOver] = await Promise.all([
      grants.replace(redeeming, next),
      provider.sendsLogouts && isLoggedOut(grants, next),
    ])
    active = isOver ? null : activated
    // Before anybody gets its handles (E-11).
    if (isOver && activated && (await grants.end(activated, 'provider_logout'))) {
      request.record('session.ended', { grant: next, reason: 'provider_logout' })
    }
  } catch (cause) {
    if (cause instanceof ProviderError) {
      request.record('provider.error', { grant: next, reason: cause.reason })
      // Nothing is revoked at the provider: that would end the other subject's session.
      await grants.end(redeeming, 'provider_subject_mismatch').catch(() => {})
      throw cause
    }
    request.record('store.unavailable', { grant: next, reason: 'commit_failed' })
    // The write may have happened. Nobody holds its handles, so the grant is ended. Not awaited: the store has had its
    // second, and the app gets its response (G-11).
    const ending = grants.end(redeeming, 'exchange_failed').catch(() => {})
    // A relayed token counts as in use until then.
    if (options.tokens === 'relay') void ending.then(() => provider.revoke(secrets))
    else provider.revoke(secrets)
    throw new OAuthError('commit_failed', { cause }).final()
  }
  if (!active) {
    provider.revoke(secrets)
    throw new OAuthError('grant_ended')
  }
  request.record('session.activated', { grant: next })
  warnOfLostScopes(request, grant.scope, tokens)
  return tokenResponse({
    accessToken: access.value,
    tokenType: access.tokenType,
    expiresInSeconds: (access.record.expiresAt - grants.now()) / 1000,
    refreshToken: refresh?.value,
    scope: terms.scope,
  })
}

/**
 * The answer to a code once more, for the app that may not have received it (C-25).
 *
 * @param code proved. @returns null once one of its tokens has been presented: then it has been received; and for another key.
 */
export function repeatAnswer(
  { services, jkt }: TokenRequest,
  { grant }: StoredGrant<ActiveGrant>,
  code: Handle,
): TokenResponse | null {
  const { seals, credentials } = services
  const { unpresented } = grant
  const { key } = grant.code!
  const answer = unpresented === undefined ? undefined : credentials.deriveAnswer(grant, code.secret, key)
  const dataKey = answer && seals.unwrapDataKey(grant, 'code', code.secret, key)
  const again = dataKey && sameAnswer(services, grant, dataKey, answer)
  // Of a later answer nothing is known here.
  return again && again.token.hash === unpresented && again.token.jkt === jkt ? again.response : null
}
