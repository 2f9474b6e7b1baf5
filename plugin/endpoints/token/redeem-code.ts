import type { RedeemingGrant, TokenExchangeSecrets } from '../../grant/grant.ts'
import type { StoredGrant } from '../../grant/grants.ts'
import { redeem } from '../../grant/transitions.ts'
import { OAuthError, ProviderError } from '../../oauth/errors.ts'
import type { TokenResponse } from '../../oauth/token.ts'
import type { ProviderTokens } from '../../provider/provider.ts'
import { parseHandle } from '../../secrets/handles.ts'
import { activateGrant } from './activate-grant.ts'
import { type Identity, identify } from './identity.ts'
import { type PresentedCode, proveCode, refuseDuplicate } from './prove-code.ts'
import type { TokenRequest } from './token-request.ts'

/**
 * The authorization code grant (RFC 6749 §4.1.3): prove the code and its verifier, claim it by one swap, redeem
 * the provider's code, and commit before the response. Nobody gets a second try.
 */
export async function redeemCode(request: TokenRequest, presented: PresentedCode): Promise<TokenResponse> {
  const { grants, seals } = request.services
  const handle = parseHandle('code', presented.code)
  const stored = handle && (await grants.read(handle.selector))
  if (!stored) throw new OAuthError('code_unknown')
  const authorized = await proveCode(request, presented, handle, stored)

  const { grant } = authorized
  const dataKey = seals.unwrapDataKey(grant, 'code', handle.secret, grant.key)
  const secrets = dataKey && seals.openTokenExchangeSecrets(grant, dataKey)
  if (!secrets) throw new OAuthError('grant_unreadable')
  const redeeming = await grants.replace(authorized, redeem(grant))
  if (!redeeming) throw refuseDuplicate(request, grant.id)

  const { tokens, identity } = await redeemAtProvider(request, redeeming, presented, secrets)
  return activateGrant(request, redeeming, { dataKey, tokens, identity })
}

/** The provider's part. Whatever fails here, the code is used up; what the provider issued is revoked. */
async function redeemAtProvider(
  request: TokenRequest,
  redeeming: StoredGrant<RedeemingGrant>,
  presented: PresentedCode,
  secrets: TokenExchangeSecrets,
): Promise<{ tokens: ProviderTokens; identity: Identity }> {
  const { options, provider, grants } = request.services
  const { id, maxAgeSeconds } = redeeming.grant
  let tokens: ProviderTokens | undefined
  try {
    tokens = await provider.redeemCode({
      code: secrets.code,
      codeVerifier: options.provider.pkce === 'relay' ? presented.codeVerifier : secrets.codeVerifier,
      nonce: secrets.nonce,
      maxAge: maxAgeSeconds,
    })
    return { tokens, identity: await identify(provider, request.client, id, tokens) }
  } catch (error) {
    if (tokens) provider.revoke(tokens)
    request.record('provider.error', id, error instanceof ProviderError ? error.reason : undefined)
    await grants.end(redeeming, 'exchange_failed').catch((cause: unknown) => {
      // The code is claimed already; the record runs out by itself.
      request.log.warn({ err: cause }, 'a failed token exchange could not be recorded')
    })
    throw error
  }
}
