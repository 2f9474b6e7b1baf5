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
import { refreshGrant } from './refresh/refresh-grant.ts'
import { TokenRequest } from './token-request.ts'

/**
 * `POST /oauth2/token` (RFC 6749 §3.2): grant_type, client, parameters, scope, and only then the grant. What is
 * malformed leaves the code usable (requirements, Appendix A).
 */
export function tokenRoute(scope: FastifyInstance, services: Services): void {
  formRoute(scope, {
    url: '/token',
    schema: tokenSchema,
    parameters: tokenRequestParameters,
    handler: async (request, parameters) => {
      const grantType = parseGrantType(parameters)
      const client = clientOf(services, request, parameters)
      narrowCors(request, client)
      if (grantType === 'authorization_code') {
        const presented = parseAuthorizationCodeRequest(parameters)
        assertScopeAllowed(parameters, client)
        const resources = requestedResources(rawForm(request), services.options)
        return redeemCode(new TokenRequest(services, client, request), { ...presented, resources })
      }
      const presented = parseRefreshRequest(parameters)
      assertScopeAllowed(parameters, client)
      const resources = requestedResources(rawForm(request), services.options)
      return refreshGrant(new TokenRequest(services, client, request), { ...presented, resources })
    },
  })
}
