import type { FastifyInstance, FastifyRequest } from 'fastify'
import { limitedAddress } from '../../http/address.ts'
import { localeLanguage, settleLanguage } from '../../http/pages/language.ts'
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
import { formatForm, parseForm } from '../../oauth/form.ts'
import type { Services } from '../services.ts'
import { sendRefusal } from './authorization-response.ts'
import { askForConsent, needsConsent } from './consent.ts'
import { PROVIDER_PARAMETER, providersOf, sendChoice } from './provider-choice.ts'
import { isPushedRequestUri, type PushedRequest } from './pushed-requests.ts'
import { beginTransaction } from './transaction.ts'

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
        // What was pushed is not in the query.
        settleLanguage(request, localeLanguage(verified.uiLocales))
        const candidates = providersOf(services, verified)
        const [provider, ...others] = candidates
        if (others.length > 0) {
          const link = pushed ? await pushAgain(services, client, pushed, request) : query
          return sendChoice(services, { client, query: link }, candidates, reply)
        }
        if (needsConsent(verified)) {
          return askForConsent(services, provider!, verified, { reply, form: pushed?.form ?? query })
        }
        return await beginTransaction(services, provider!, verified, { reply })
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
  { clients, options, pushedRequests }: Services,
  query: string,
): Promise<{ verified: VerifiedAuthorizationRequest; pushed?: PushedRequest }> {
  const beside = parseForm(query, ['client_id', 'request_uri'])
  const found = clients.find(beside.client_id ?? '')
  // A registered one is there at once.
  const client = requireClient(found instanceof Promise ? await found : found)
  if (!isPushedRequestUri(beside.request_uri)) {
    return { verified: validateAuthorizationRequest(query, client, options) }
  }
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
