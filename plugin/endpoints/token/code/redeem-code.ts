import type { AuthorizedGrant, RedeemingGrant, TokenExchangeSecrets } from '../../../grant/grant.ts'
import { isActive, type StoredGrant } from '../../../grant/grants.ts'
import { redeem } from '../../../grant/transitions.ts'
import { narrowResources } from '../../../oauth/access/resource.ts'
import { stillAllowed } from '../../../oauth/access/scope.ts'
import { OAuthError, ProviderError } from '../../../oauth/errors.ts'
import type { TokenResponse } from '../../../oauth/token.ts'
import type { ProviderTokens } from '../../../provider/provider.ts'
import { type Handle, parseHandle } from '../../../secrets/handles.ts'
import type { Services } from '../../services.ts'
import { type Identity, identify, narrowByProvider } from '../identity.ts'
import type { TokenRequest } from '../token-request.ts'
import { activateGrant, repeatAnswer } from './activate-grant.ts'
import { decideLogin } from './decide-login.ts'
import { type PresentedCode, proveCode, refuseDuplicate } from './prove-code.ts'

/** How long a repetition waits for the request that was first (C-25), and how long it trusts in hearing of its end. */
const PATIENCE_MS = 5000
const LOOK_AGAIN_MS = 1000

/**
 * The authorization code grant (RFC 6749 §4.1.3): prove the code and its verifier, claim it by one swap, redeem
 * the provider's code, and commit before the response. Nobody gets a second try, unless the provider was never asked;
 * a client with `repeatableExchange` gets the answer to the first one again.
 */
export async function redeemCode(request: TokenRequest, presented: PresentedCode): Promise<TokenResponse> {
  const { grants } = request.services
  const handle = parseHandle('code', presented.code)
  if (!handle) throw new OAuthError('code_unknown')
  const giveUpAt = grants.now() + PATIENCE_MS
  for (;;) {
    const stored = await grants.read(handle.selector)
    if (!stored) throw new OAuthError('code_unknown')
    const proved = await proveCode(request, presented, handle, stored)
    if (isActive(proved)) {
      const answer = repeatAnswer(request, proved, handle)
      if (!answer) throw refuseDuplicate(request, proved.grant)
      request.record('code.duplicate', { grant: proved.grant })
      return answer
    }
    if (isAuthorized(proved)) {
      const answer = await redeemAuthorized(request, presented, handle, proved)
      if (answer) return answer
      if (!request.client.repeatableExchange) throw refuseDuplicate(request, proved.grant)
    } else {
      if (grants.now() >= giveUpAt) throw new OAuthError('code_busy')
      await grants.changeSince(proved, LOOK_AGAIN_MS)
    }
  }
}

/** @returns null if another request was first. */
async function redeemAuthorized(
  request: TokenRequest,
  presented: PresentedCode,
  handle: Handle,
  authorized: StoredGrant<AuthorizedGrant>,
): Promise<TokenResponse | null> {
  const { grants, seals } = request.services
  const { grant } = authorized
  const dataKey = seals.unwrapDataKey(grant, 'code', handle.secret, grant.key)
  const secrets = dataKey && seals.openTokenExchangeSecrets(grant, dataKey)
  if (!secrets) throw new OAuthError('grant_unreadable')
  // Before the code is used up: the app may ask again.
  const resources = narrowResources(presented.resources, grant.resources)
  const redeeming = await grants.replace(authorized, redeem(grant))
  if (!redeeming) return null

  const { client, services } = request
  services.observer.login('proved', 'ok', client.clientId)
  try {
    const answer = await inLogin(services, grant, async () => {
      const login = await redeemAtProvider(request, presented, secrets, { authorized, redeeming })
      const scope = narrowByProvider(stillAllowed(grant.scope, client.scopes), client, login.tokens)
      const decided = await decideLogin(request, redeeming, scope, login)
      const terms = { codeSecret: handle.secret, dataKey, resources, ...login, ...decided }
      return activateGrant(request, redeeming, terms)
    })
    services.observer.login('redeemed', 'ok', client.clientId)
    return answer
  } catch (error) {
    const isDenied = error instanceof OAuthError && error.reason === 'login_denied'
    services.observer.login('redeemed', isDenied ? 'denied' : 'failed', client.clientId)
    throw error
  }
}

/** In the trace of its login, where there is one. */
function inLogin<T>({ observer }: Services, { trace }: AuthorizedGrant, work: () => Promise<T>): Promise<T> {
  return observer.loginTracing ? observer.loginTracing.step(trace, 'token', work) : work()
}

function isAuthorized(stored: StoredGrant): stored is StoredGrant<AuthorizedGrant> {
  return stored.grant.status === 'authorized'
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
  const { grant } = claim.redeeming
  const { maxAgeSeconds, acrValues } = grant
  const provider = request.services.providers.of(grant)
  let tokens: ProviderTokens | undefined
  try {
    tokens = await provider.redeemCode({
      code: secrets.code,
      codeVerifier: provider.options.pkce === 'relay' ? presented.codeVerifier : secrets.codeVerifier,
      nonce: secrets.nonce,
      maxAge: maxAgeSeconds,
      acrValues,
    })
    return { tokens, identity: await identify(request, grant, tokens, secrets.user) }
  } catch (error) {
    if (tokens) provider.revoke(tokens)
    const reason = error instanceof ProviderError ? error.reason : undefined
    request.record('provider.error', { grant, reason })
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
