import type { FastifyInstance } from 'fastify'
import { tokenTypeOf } from '../grant/credentials.ts'
import { formRoute } from '../http/route.ts'
import { introspectSchema } from '../http/schemas.ts'
import { formatScope } from '../oauth/access/scope.ts'
import { OAuthError } from '../oauth/errors.ts'
import { parseTokenParameter, tokenParameters } from '../oauth/token.ts'
import { resourceServerOf } from './clients/client.ts'
import type { Services } from './services.ts'

/**
 * `POST /oauth2/introspect` (RFC 7662), for registered resource servers only. Speaks of live access tokens;
 * everything else, refresh tokens included, is exactly `{"active":false}`.
 */
export function introspectRoute(scope: FastifyInstance, services: Services): void {
  const { options, sessions } = services
  formRoute(scope, {
    url: '/introspect',
    schema: introspectSchema,
    parameters: tokenParameters,
    handler: async (request, parameters) => {
      resourceServerOf(services, request, parameters)
      try {
        const session = await sessions.resolve(parseTokenParameter(parameters))
        return {
          active: true,
          iss: options.publicUrl,
          client_id: session.clientId,
          sub: session.subject,
          scope: formatScope(session.scope),
          ...(session.resources !== undefined && { aud: [...session.resources] }),
          token_type: tokenTypeOf(session),
          exp: Math.floor(session.expiresAt / 1000),
          ...(session.jkt !== undefined && { cnf: { jkt: session.jkt } }),
          ...(session.acr !== undefined && { acr: session.acr }),
          ...(session.authTime !== undefined && { auth_time: Math.floor(session.authTime / 1000) }),
        }
      } catch (error) {
        if (error instanceof OAuthError && error.statusCode === 401) return { active: false }
        throw error
      }
    },
  })
}
