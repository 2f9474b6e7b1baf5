import type { FastifyInstance } from 'fastify'
import { narrowCors } from '../../http/cors.ts'
import { formRoute } from '../../http/route.ts'
import { tokenSchema } from '../../http/schemas.ts'
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
        return redeemCode(new TokenRequest(services, client, request), presented)
      }
      const presented = parseRefreshRequest(parameters)
      assertScopeAllowed(parameters, client)
      return refreshGrant(new TokenRequest(services, client, request), presented)
    },
  })
}
