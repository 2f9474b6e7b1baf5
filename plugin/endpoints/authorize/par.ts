import type { FastifyInstance } from 'fastify'
import { limitedAddress } from '../../http/address.ts'
import { narrowCors } from '../../http/cors.ts'
import { formRoute, rawForm } from '../../http/route.ts'
import { parSchema } from '../../http/schemas.ts'
import { formatPushedRequest, validatePushedRequest } from '../../oauth/authorization.ts'
import { clientParameters } from '../../oauth/client-authentication.ts'
import { OAuthError } from '../../oauth/errors.ts'
import { wholeClientOf } from '../clients/client.ts'
import type { Services } from '../services.ts'
import { provenKey } from '../token/proven-key.ts'
import { providersOf } from './provider-choice.ts'

/**
 * `POST /oauth2/par` (RFC 9126): the app pushes its authorization request, and its browser carries a reference to it.
 * The request is checked as at the authorization endpoint, and what is wrong is told at once, in JSON.
 */
export function parRoute(scope: FastifyInstance, services: Services): void {
  formRoute(scope, {
    url: '/par',
    schema: parSchema,
    parameters: clientParameters,
    handler: async (request, parameters, reply) => {
      const client = await wholeClientOf(services, request, parameters)
      narrowCors(request, client)
      try {
        const form = rawForm(request)
        providersOf(services, validatePushedRequest(form, client, services.options))
        const jkt = provenKey(services, client, reply, false)
        const { requestUri, expiresInSeconds } = await services.pushedRequests.push(
          client,
          formatPushedRequest(form, client, jkt),
          limitedAddress(request),
        )
        reply.code(201)
        return { request_uri: requestUri, expires_in: expiresInSeconds }
      } catch (error) {
        if (error instanceof OAuthError) {
          const { clientId } = client
          services.observer.login('begun', error.statusCode < 500 ? 'refused' : 'failed', clientId)
          services.audit.record('authorize.refused', { request, reason: error.reason, clientId })
        }
        throw error
      }
    },
  })
}
