import type { FastifyReply } from 'fastify'
import type { AuthorizingGrant, TransactionSecrets } from '../../grant/grant.ts'
import { deriveTransactionSecrets } from '../../grant/transaction-secrets.ts'
import { limitedAddress } from '../../http/address.ts'
import { localeLanguage } from '../../http/pages/language.ts'
import type { VerifiedAuthorizationRequest } from '../../oauth/authorization.ts'
import { isUnregistered } from '../../oauth/client.ts'
import { OAuthError, ProviderError } from '../../oauth/errors.ts'
import { codeChallengeS256 } from '../../oauth/pkce.ts'
import type { ResolvedProvider } from '../../options/resolved.ts'
import type { Provider } from '../../provider/provider.ts'
import { type Handle, hashCredential, issueFirstHandle, sameHash } from '../../secrets/handles.ts'
import type { Services } from '../services.ts'
import { interactionOf } from './authorization-response.ts'
import { type BrowserBinding, bindBrowser } from './browser-binding.ts'

/** The names and the cookie that a page of consent has already given a login, in the browser that comes back with it. */
export interface Prepared {
  readonly state: Handle
  readonly binding: BrowserBinding
}

/**
 * A verified request becomes a grant, and the browser goes to the provider (RFC 6749 §4.1.1, A-16 to A-20). What was
 * prepared begins once: whoever asks again while the browser is at the provider is sent there again.
 *
 * @throws OAuthError with a `redirectTo`, and those of `Transactions.begin`. @throws StoreError
 */
export async function beginTransaction(
  services: Services,
  provider: Provider,
  verified: VerifiedAuthorizationRequest,
  { reply, prepared }: { readonly reply: FastifyReply; readonly prepared?: Prepared },
): Promise<FastifyReply> {
  const { request } = reply
  const { grants, transactions } = services
  if (!(await provider.whenReady())) throw new OAuthError('provider_not_ready', { redirectTo: verified })

  const state = prepared?.state ?? issueFirstHandle('state')
  const id = state.selector
  const { clientId } = verified.client
  transactions.begin(id, limitedAddress(request), grants.now())
  try {
    const { browserHash, setCookies } =
      prepared?.binding ?? bindBrowser(bindingOf(services, provider), id, request.headers.cookie)
    const locale = localeLanguage(verified.uiLocales)
    const trace = services.observer.loginTracing?.begin()
    const grant: AuthorizingGrant = {
      v: 1,
      id,
      clientId,
      ...(isUnregistered(verified.client) && { clientName: verified.client.label }),
      provider: provider.issuer,
      createdAt: grants.now(),
      status: 'authorizing',
      redirectUri: verified.redirectUri,
      codeChallenge: verified.codeChallenge,
      scope: [...verified.scope],
      providerScope: [...verified.providerScope],
      ...(verified.resources && { resources: [...verified.resources] }),
      ...requestedAuthentication(provider.options, verified),
      ...(verified.dpopJkt !== undefined && { dpopJkt: verified.dpopJkt }),
      ...(verified.state !== undefined && { state: verified.state }),
      stateHash: hashCredential(state.value),
      browserHash,
      serverSecret: services.seals.serverSecret,
      ...(trace !== undefined && { trace }),
      ...(locale !== undefined && { locale }),
    }
    const isNew = await grants.create(grant)
    const begun = isNew ? grant : prepared && (await begunBefore(services, grant))
    if (!begun) throw new OAuthError(prepared ? 'state_used' : 'internal')

    const secrets = deriveTransactionSecrets(services.seals, provider.options, begun, state.secret)
    if (!secrets) throw new OAuthError('transaction_sealed')
    const location = await provider.authorizationUrl({
      state: state.value,
      nonce: secrets.nonce,
      codeChallenge: providerChallenge(provider, verified, secrets),
      extraScope: verified.providerScope,
      passThrough: verified.passThrough,
      prompt: interactionOf(verified) === 'prompt',
    })
    if (isNew) services.observer.login('begun', 'ok', clientId)
    // What came by POST must not go on as one (RFC 9700 §4.12).
    const status = request.method === 'POST' ? 303 : 302
    return reply.code(status).header('set-cookie', setCookies).header('location', location).send()
  } catch (error) {
    transactions.finish(id)
    if (!(error instanceof ProviderError)) throw error
    services.audit.record('provider.error', { request, grant: { id, clientId }, reason: error.reason })
    throw new OAuthError(error.reason, { redirectTo: verified })
  }
}

/** What ties a login at this provider to its browser. */
export function bindingOf({ options }: Services, provider: Provider) {
  const { publicUrl, lifetimes } = options
  const { responseMode } = provider.options
  return { publicUrl, responseMode, transactionSeconds: lifetimes.transactionSeconds }
}

/** The same login, begun before: somebody has clicked twice. */
async function begunBefore({ grants }: Services, wanted: AuthorizingGrant): Promise<AuthorizingGrant | null> {
  const grant = (await grants.read(wanted.id))?.grant
  const isSame =
    grant?.status === 'authorizing' &&
    sameHash(grant.stateHash, wanted.stateHash) &&
    grant.provider === wanted.provider
  return isSame ? grant : null
}

/** What is asked of the authentication, the operator's word before the app's, to be checked in the id_token (F-14). */
function requestedAuthentication(
  { authorizationParams }: ResolvedProvider,
  { passThrough }: VerifiedAuthorizationRequest,
): Pick<AuthorizingGrant, 'maxAgeSeconds' | 'acrValues'> {
  const { max_age, acr_values } = { ...passThrough, ...authorizationParams }
  return {
    ...(max_age !== undefined && { maxAgeSeconds: Number(max_age) }),
    ...(acr_values !== undefined && { acrValues: acr_values }),
  }
}

function providerChallenge(
  { options }: Provider,
  verified: VerifiedAuthorizationRequest,
  secrets: TransactionSecrets,
): string | undefined {
  if (options.pkce === 'relay') return verified.codeChallenge
  return secrets.codeVerifier && codeChallengeS256(secrets.codeVerifier)
}
