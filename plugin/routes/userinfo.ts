import type { FastifyInstance } from 'fastify'
import type { Authenticate } from '../authenticate.ts'
import { narrowCors } from '../cors.ts'
import type { Rooms } from '../rooms.ts'
import { jsonRoute } from './methods.ts'
import { userinfoSchema } from './schemas.ts'

/** `GET` and `POST /oauth2/userinfo` (OIDC Core §5.3): `sub` and the client's claims, never tokens. */
export function userinfoRoute(scope: FastifyInstance, rooms: Rooms, authenticate: Authenticate): void {
  jsonRoute(scope, ['GET', 'POST'], {
    url: '/userinfo',
    schema: userinfoSchema,
    handler: async (request) => {
      const session = await authenticate(request)
      narrowCors(request, rooms.options.clients.get(session.clientId)!)
      return session.claims
    },
  })
}
