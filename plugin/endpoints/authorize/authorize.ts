import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AuthorizingGrant, TransactionSecrets } from '../../grant/grant.ts'
import { deriveTransactionSecrets } from '../../grant/transaction-secrets.ts'
import { limitedAddress } from '../../http/address.ts'
import { rawQuery } from '../../http/query.ts'
import { pageRoute } from '../../http/route.ts'
import { authorizeSchema } from '../../http/schemas.ts'
import {
  requireClient,
  type VerifiedAuthorizationRequest,
  validateAuthorizationRequest,
  validatePushedRequest,
} from '../../oauth/authorization.ts'
import type { RegisteredClient } from '../../oauth/client.ts'
import { OAuthError, ProviderError } from '../../oauth/errors.ts'
import { formatForm, parseForm } from '../../oauth/form.ts'
import { codeChallengeS256 } from '../../oauth/pkce.ts'
import type { ResolvedProvider } from '../../options/resolved.ts'
import type { Provider } from '../../provider/provider.ts'
import { hashCredential, issueFirstHandle } from '../../secrets/handles.ts'
import type { Services } from '../services.ts'
import { interactionOf, sendAuthorizationResponse } from './authorization-response.ts'
import { bindBrowser } from './browser-binding.ts'
import { PROVIDER_PARAMETER, providersOf, sendChoice } from './provider-choice.ts'
import { isPushedRequestUri, type PushedRequest } from './pushed-requests.ts'

/** `GET /oauth2/authorize`: the app's request becomes a grant, and the browser goes to the provider (RFC 6749 §4.1.1). */
export function authorizeRoute(scope: FastifyInstance, services: Services): void {
  pageRoute(scope, {
    url: '/authorize',
    schema: authorizeSchema,
    handler: async (request, reply) => {
      try {
        const query = rawQuery(request)
        const { verified, pushed } = await receive(services, query)
        const { client } = verified
        const candidates = providersOf(services, verified)
        const [provider, ...others] = candidates
        if (others.length > 0) {
          const link = pushed ? await pushAgain(services, client, pushed, request) : query
          return sendChoice(services, { client, query: link }, candidates, reply)
        }
        return await beginTransaction(services, provider!, verified, reply)
      } catch (error) {
        return sendRefusal(services, error, reply)
      }
    },
  })
}

/**
 * The request that the browser has brought, or the one that it has brought a reference to. Of what stands beside such
 * a reference nothing counts, whatever it is: it is not what the app has pushed (RFC 9126 §4, RFC 9101 §6.3).
 *
 * @throws OAuthError of `validateAuthorizationRequest` and `PushedRequests.take`. @throws StoreError
 */
async function receive(
  { options, pushedRequests }: Services,
  query: string,
): Promise<{ verified: VerifiedAuthorizationRequest; pushed?: PushedRequest }> {
  const beside = parseForm(query, ['client_id', 'request_uri'])
  if (!isPushedRequestUri(beside.request_uri)) {
    return { verified: validateAuthorizationRequest(query, options) }
  }
  const client = requireClient(beside.client_id, options.clients)
  const pushed = await pushedRequests.take(client, beside.request_uri)
  const choice = pushed.awaitsChoice ? `&${formatForm(parseForm(query, [PROVIDER_PARAMETER]))}` : ''
  return { verified: validatePushedRequest(pushed.form + choice, client, options), pushed }
}

/** @returns the query of an authorization request with a new reference, which lasts while a person chooses. */
async function pushAgain(
  { pushedRequests }: Services,
  client: RegisteredClient,
  { form }: PushedRequest,
  request: FastifyRequest,
): Promise<string> {
  const requestUri = await pushedRequests.pushAgain(client, form, limitedAddress(request))
  return formatForm({ client_id: client.clientId, request_uri: requestUri })
}

async function beginTransaction(
  services: Services,
  provider: Provider,
  verified: VerifiedAuthorizationRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { request } = reply
  const { options, grants, transactions } = services
  const { responseMode } = provider.options
  if (!(await provider.whenReady())) throw new OAuthError('provider_not_ready', { redirectTo: verified })

  const state = issueFirstHandle('state')
  const id = state.selector
  transactions.begin(id, limitedAddress(request), grants.now())
  try {
    const { serverSecret } = services.seals
    const owner = { id, clientId: verified.client.clientId, serverSecret }
    const secrets = deriveTransactionSecrets(services.seals, provider.options, owner, state.secret)!
    const { browserHash, setCookies } = bindBrowser(
      {
        publicUrl: options.publicUrl,
        responseMode,
        transactionSeconds: options.lifetimes.transactionSeconds,
      },
      id,
      request.headers.cookie,
    )
    const trace = services.observer.loginTracing?.begin()
    const grant: AuthorizingGrant = {
      v: 1,
      id,
      clientId: verified.client.clientId,
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
      serverSecret,
      ...(trace !== undefined && { trace }),
    }
    if (!(await grants.create(grant))) throw new OAuthError('internal')

    const location = await provider.authorizationUrl({
      state: state.value,
      nonce: secrets.nonce,
      codeChallenge: providerChallenge(provider, verified, secrets),
      extraScope: verified.providerScope,
      passThrough: verified.passThrough,
      prompt: interactionOf(verified) === 'prompt',
    })
    services.observer.login('begun', 'ok', verified.client.clientId)
    return reply.code(302).header('set-cookie', setCookies).header('location', location).send()
  } catch (error) {
    transactions.finish(id)
    if (!(error instanceof ProviderError)) throw error
    services.audit.record('provider.error', {
      request,
      grant: { id, clientId: verified.client.clientId },
      reason: error.reason,
    })
    throw new OAuthError(error.reason, { redirectTo: verified })
  }
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

/** Refusals go to the app once its redirect URI is proved; before that, and for outages of ours, they stay here. */
function sendRefusal(
  { audit, observer, options }: Services,
  error: unknown,
  reply: FastifyReply,
): FastifyReply {
  if (!(error instanceof OAuthError)) throw error
  const { request } = reply
  const { reason, redirectTo } = error
  const outcome = error.statusCode < 500 ? 'refused' : 'failed'
  observer.login('begun', outcome, redirectTo?.client.clientId)
  audit.record('authorize.refused', { request, reason, clientId: redirectTo?.client.clientId })
  if (!redirectTo) throw error
  return sendAuthorizationResponse(reply, redirectTo, {
    error: error.error,
    error_description: error.message,
    state: redirectTo.state,
    iss: options.publicUrl,
  })
}
