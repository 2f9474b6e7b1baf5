import type { AuthorizedGrant, RedeemingGrant, TokenExchangeSecrets } from '../../grant/grant.ts'
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
 * the provider's code, and commit before the response. Nobody gets a second try, unless the provider was never asked.
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

  const { tokens, identity } = await redeemAtProvider(request, presented, secrets, { authorized, redeeming })
  return activateGrant(request, redeeming, { dataKey, tokens, identity })
}

/** The grant before and after its code was claimed. */
interface Claim {
  readonly authorized: StoredGrant<AuthorizedGrant>
  readonly redeeming: StoredGrant<RedeemingGrant>
}

/** The provider's part. What the provider issued is revoked if it cannot be used. */
async function redeemAtProvider(
  request: TokenRequest,
  presented: PresentedCode,
  secrets: TokenExchangeSecrets,
  claim: Claim,
): Promise<{ tokens: ProviderTokens; identity: Identity }> {
  const { options, provider } = request.services
  const { id, maxAgeSeconds } = claim.redeeming.grant
  let tokens: ProviderTokens | undefined
  try {
    tokens = await provider.redeemCode({
      code: secrets.code,
      codeVerifier: options.provider.pkce === 'relay' ? presented.codeVerifier : secrets.codeVerifier,
      nonce: secrets.nonce,
      maxAge: maxAgeSeconds,
    })
    return { tokens, identity: await identify(request, id, tokens) }
  } catch (error) {
    if (tokens) provider.revoke(tokens)
    request.record('provider.error', id, error instanceof ProviderError ? error.reason : undefined)
    throw await settleFailure(request, claim, error)
  }
}

/** What is asked for up to the token request. Keys and userinfo come after it, and the code is used up by then. */
const BEFORE_REDEMPTION = ['discovery', 'token']

/**
 * A request that never left has used nothing up: the code is given back, once, while it lives (C-17). After any other
 * failure the code is burnt, and nobody is told to repeat what cannot succeed.
 *
 * @returns what the app is told.
 */
async function settleFailure(request: TokenRequest, claim: Claim, error: unknown): Promise<unknown> {
  const { grants } = request.services
  const { authorized, redeeming } = claim
  const isUnsent =
    error instanceof ProviderError && error.unsent && BEFORE_REDEMPTION.includes(error.endpoint)
  const note = (cause: unknown) => {
    // The code is claimed already; the record runs out by itself.
    request.log.warn({ err: cause }, 'a failed token exchange could not be recorded')
    return null
  }
  if (isUnsent && authorized.grant.codeExpiresAt > grants.now()) {
    if (await grants.replace(redeeming, authorized.grant).catch(note)) return error
  } else await grants.end(redeeming, 'exchange_failed').catch(note)
  return error instanceof OAuthError ? error.final() : error
}
