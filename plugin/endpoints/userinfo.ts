import type { FastifyInstance } from 'fastify'
import { narrowCors } from '../http/cors.ts'
import { jsonRoute } from '../http/route.ts'
import { userinfoSchema } from '../http/schemas.ts'
import type { Authenticate } from '../session/authenticate.ts'
import type { Services } from './services.ts'

/** `GET` and `POST /oauth2/userinfo` (OIDC Core §5.3): `sub` and the client's claims, never tokens. */
export function userinfoRoute(scope: FastifyInstance, services: Services, authenticate: Authenticate): void {
  jsonRoute(scope, ['GET', 'POST'], {
    url: '/userinfo',
    schema: userinfoSchema,
    handler: async (request, reply) => {
      const session = await authenticate(request, [], undefined, null)
      reply.headers(services.proofs.headers(session))
      narrowCors(request, services.clients.named(session.clientId)!)
      return session.claims
    },
  })
}
