import type { FastifyInstance } from 'fastify'
import { narrowCors } from '../../http/cors.ts'
import { formRoute, rawForm } from '../../http/route.ts'
import { tokenSchema } from '../../http/schemas.ts'
import { requestedResources } from '../../oauth/access/resource.ts'
import {
  assertScopeAllowed,
  parseAuthorizationCodeRequest,
  parseGrantType,
  parseRefreshRequest,
  tokenRequestParameters,
} from '../../oauth/token.ts'
import { clientOf } from '../client.ts'
import type { Services } from '../services.ts'
import { redeemCode } from './code/redeem-code.ts'
import { provenKey } from './proven-key.ts'
import { refreshGrant } from './refresh/refresh-grant.ts'
import { TokenRequest } from './token-request.ts'

/**
 * `POST /oauth2/token` (RFC 6749 §3.2): grant_type, client, parameters, scope, the proof of a key, and only then the
 * grant. What is malformed or not proved leaves the code usable (requirements, Appendix A; O-01).
 */
export function tokenRoute(scope: FastifyInstance, services: Services): void {
  formRoute(scope, {
    url: '/token',
    schema: tokenSchema,
    parameters: tokenRequestParameters,
    handler: async (request, parameters, reply) => {
      const grantType = parseGrantType(parameters)
      const client = clientOf(services, request, parameters)
      narrowCors(request, client)
      if (grantType === 'authorization_code') {
        const presented = parseAuthorizationCodeRequest(parameters)
        assertScopeAllowed(parameters, client)
        const resources = requestedResources(rawForm(request), services.options)
        const jkt = provenKey(services, client, reply)
        return redeemCode(new TokenRequest(services, client, request, jkt), { ...presented, resources })
      }
      const presented = parseRefreshRequest(parameters)
      assertScopeAllowed(parameters, client)
      const resources = requestedResources(rawForm(request), services.options)
      const jkt = provenKey(services, client, reply)
      return refreshGrant(new TokenRequest(services, client, request, jkt), { ...presented, resources })
    },
  })
}
