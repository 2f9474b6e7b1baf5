import type { FastifyInstance, FastifyReply } from 'fastify'
import { narrowCors } from '../../http/cors.ts'
import { formRoute, rawForm } from '../../http/route.ts'
import { tokenSchema } from '../../http/schemas.ts'
import { requestedResources } from '../../oauth/access/resource.ts'
import { isUnregistered, type RegisteredClient } from '../../oauth/client.ts'
import {
  assertScopeAllowed,
  parseAuthorizationCodeRequest,
  parseGrantType,
  parseRefreshRequest,
  type TokenRequestParameters,
  type TokenResponse,
  tokenRequestParameters,
} from '../../oauth/token.ts'
import { answerUnregistered, clientOf } from '../clients/client.ts'
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
      const isLogin = grantType === 'authorization_code'
      const answer = () => answerTo(client, isLogin, parameters, reply)
      return isUnregistered(client) ? answerUnregistered(services, client, isLogin, answer) : answer()
    },
  })

  async function answerTo(
    client: RegisteredClient,
    isLogin: boolean,
    parameters: TokenRequestParameters,
    reply: FastifyReply,
  ): Promise<TokenResponse> {
    const { request } = reply
    if (isLogin) {
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
  }
}
