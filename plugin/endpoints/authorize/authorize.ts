import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { AuthorizingGrant, TransactionSecrets } from '../../grant/grant.ts'
import { transactionSecrets } from '../../grant/transaction-secrets.ts'
import { limitedAddress } from '../../http/address.ts'
import { queryParameters } from '../../http/query.ts'
import { pageRoute } from '../../http/route.ts'
import { authorizeSchema } from '../../http/schemas.ts'
import {
  AuthorizationResponseError,
  type VerifiedAuthorizationRequest,
  validateAuthorizationRequest,
} from '../../oauth/authorization.ts'
import { OAuthError, ProviderError, type Reason } from '../../oauth/errors.ts'
import { codeChallengeS256 } from '../../oauth/pkce.ts'
import { hashCredential, issueFirstHandle } from '../../secrets/handles.ts'
import type { Services } from '../services.ts'
import { answerApp, interactionOf } from './authorization-response.ts'
import { bindBrowser } from './browser-binding.ts'

/** `GET /oauth2/authorize`: the app's request becomes a grant, and the browser goes to the provider (RFC 6749 §4.1.1). */
export function authorizeRoute(scope: FastifyInstance, services: Services): void {
  pageRoute(scope, {
    url: '/authorize',
    schema: authorizeSchema,
    handler: async (request, reply) => {
      try {
        const verified = validateAuthorizationRequest(queryParameters(request), services.options.clients)
        return await beginTransaction(services, verified, request, reply)
      } catch (error) {
        return answerRefusal(services, error, request, reply)
      }
    },
  })
}

async function beginTransaction(
  services: Services,
  verified: VerifiedAuthorizationRequest,
  request: FastifyRequest,
  reply: FastifyReply,
): Promise<FastifyReply> {
  const { options, grants, provider, transactions } = services
  if (!provider.ready) throw refusedTo(verified, 'provider_not_ready')

  const state = issueFirstHandle('state')
  const id = state.selector
  transactions.begin(id, limitedAddress(request), grants.now())
  try {
    const serverSecret = services.sealing.current
    const owner = { id, clientId: verified.client.clientId }
    const secrets = transactionSecrets(services, owner, state.secret, serverSecret)!
    const { browserHash, setCookies } = bindBrowser(options, id, request.headers.cookie)
    const grant: AuthorizingGrant = {
      v: 1,
      ...owner,
      provider: provider.issuer,
      createdAt: grants.now(),
      status: 'authorizing',
      redirectUri: verified.redirectUri,
      codeChallenge: verified.codeChallenge,
      scope: [...verified.scope],
      providerScope: [...verified.providerScope],
      ...(verified.maxAgeSeconds !== undefined && { maxAgeSeconds: verified.maxAgeSeconds }),
      ...(verified.state !== undefined && { state: verified.state }),
      stateHash: hashCredential(state.value),
      browserHash,
      serverSecret,
    }
    if (!(await grants.create(grant))) throw new OAuthError('internal')

    const location = await provider.authorizationUrl({
      state: state.value,
      nonce: secrets.nonce,
      codeChallenge: providerChallenge(services, verified, secrets),
      extraScope: verified.providerScope,
      passThrough: verified.passThrough,
      prompt: interactionOf(verified) === 'prompt',
    })
    return reply.code(302).header('set-cookie', setCookies).header('location', location).send()
  } catch (error) {
    transactions.finish(id)
    if (!(error instanceof ProviderError)) throw error
    services.audit.record('provider.error', { request, grantId: id, reason: error.reason })
    throw refusedTo(verified, error.reason)
  }
}

function providerChallenge(
  { options }: Services,
  verified: VerifiedAuthorizationRequest,
  secrets: TransactionSecrets,
): string | undefined {
  if (options.provider.pkce === 'relay') return verified.codeChallenge
  return secrets.codeVerifier && codeChallengeS256(secrets.codeVerifier)
}

function refusedTo(verified: VerifiedAuthorizationRequest, reason: Reason): AuthorizationResponseError {
  return new AuthorizationResponseError(reason, verified)
}

/** Refusals go to the app once its redirect URI is proved; before that, and for outages of ours, they are local. */
function answerRefusal(
  services: Services,
  error: unknown,
  request: FastifyRequest,
  reply: FastifyReply,
): FastifyReply {
  if (!(error instanceof OAuthError)) throw error
  const toApp = error instanceof AuthorizationResponseError ? error : undefined
  services.audit.record('authorize.refused', {
    request,
    reason: error.reason,
    clientId: toApp?.client.clientId,
  })
  if (!toApp) throw error
  return answerApp(reply, toApp, {
    error: toApp.error,
    error_description: toApp.message,
    state: toApp.state,
    iss: services.options.publicUrl,
  })
}
