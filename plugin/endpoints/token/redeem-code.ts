import type { FastifyRequest } from 'fastify'
import type { ExchangeSecrets, RedeemingGrant } from '../../grant/grant.ts'
import type { StoredGrant } from '../../grant/grants.ts'
import { openExchangeSecrets, unwrapFor } from '../../grant/seals.ts'
import { redeem } from '../../grant/transitions.ts'
import { OAuthError, ProviderError } from '../../oauth/errors.ts'
import type { TokenResponse } from '../../oauth/token.ts'
import type { RegisteredClient } from '../../options/resolved.ts'
import type { ProviderTokens } from '../../provider/provider.ts'
import { parseHandle } from '../../secrets/handles.ts'
import type { Services } from '../services.ts'
import { activateGrant } from './activate-grant.ts'
import { type Identity, identify } from './identity.ts'
import { duplicate, type PresentedCode, proveCode } from './prove-code.ts'

/**
 * The authorization code grant (RFC 6749 §4.1.3): prove the code and its verifier, claim it by one swap, redeem
 * the provider's code, and commit before the answer. Nobody gets a second try.
 */
export async function redeemCode(
  services: Services,
  request: FastifyRequest,
  client: RegisteredClient,
  presented: PresentedCode,
): Promise<TokenResponse> {
  const handle = parseHandle('code', presented.code)
  const stored = handle && (await services.grants.read(handle.selector))
  if (!stored) throw new OAuthError('code_unknown')
  const authorized = await proveCode(services, request, client, presented, handle, stored)

  const { sealing } = services
  const dataKey = unwrapFor(sealing, authorized.grant, 'code', handle.secret, authorized.grant.key)
  const secrets = dataKey && openExchangeSecrets(sealing, authorized.grant, dataKey)
  if (!secrets) throw new OAuthError('grant_unreadable')
  const redeeming = await services.grants.replace(authorized, redeem(authorized.grant))
  if (!redeeming) throw duplicate(services, request, authorized.grant)

  const { tokens, identity } = await exchange(services, request, client, presented, secrets, redeeming)
  return activateGrant(services, request, client, redeeming, dataKey, tokens, identity)
}

/** The provider's part. Whatever fails here, the code is used up; what the provider issued is revoked. */
async function exchange(
  services: Services,
  request: FastifyRequest,
  client: RegisteredClient,
  presented: PresentedCode,
  secrets: ExchangeSecrets,
  redeeming: StoredGrant<RedeemingGrant>,
): Promise<{ tokens: ProviderTokens; identity: Identity }> {
  const { options, provider } = services
  let tokens: ProviderTokens | undefined
  try {
    tokens = await provider.redeemCode({
      code: secrets.code,
      codeVerifier: options.provider.pkce === 'relay' ? presented.codeVerifier : secrets.codeVerifier,
      nonce: secrets.nonce,
      maxAge: redeeming.grant.maxAgeSeconds,
    })
    return { tokens, identity: await identify(provider, client, redeeming.grant.id, tokens) }
  } catch (error) {
    if (tokens) provider.revoke(tokens)
    const reason = error instanceof ProviderError ? error.reason : undefined
    services.audit.record('provider.error', {
      request,
      grantId: redeeming.grant.id,
      clientId: client.clientId,
      reason,
    })
    await services.grants.end(redeeming, 'exchange_failed').catch((cause: unknown) => {
      // The code is claimed already; the record runs out by itself.
      request.log.warn({ err: cause }, 'a failed exchange could not be recorded')
    })
    throw error
  }
}
