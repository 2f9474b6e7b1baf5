import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { ActiveGrant } from '../grant/grant.ts'
import { isActive, type StoredGrant } from '../grant/grants.ts'
import { subjectIndex } from '../grant/indexes.ts'
import { narrowCors } from '../http/cors.ts'
import { jsonRoute } from '../http/route.ts'
import { endSessionSchema, sessionsSchema } from '../http/schemas.ts'
import { isUnregistered } from '../oauth/client.ts'
import { OAuthError } from '../oauth/errors.ts'
import type { Authenticate } from '../session/authenticate.ts'
import type { Session } from '../session/session.ts'
import type { Services } from './services.ts'

/** Of one answer. Each is a read of the store. */
const SESSIONS_MAX = 100

/**
 * `GET /oauth2/sessions` and `DELETE /oauth2/sessions/{id}`, with the access token of any session of the person: on which
 * devices and in which apps there is a session, and the end of one of them (S-02). A person is a subject at its provider.
 * Whoever is not asked about gets no other answer than who is not there: 404.
 */
export function sessionsRoutes(scope: FastifyInstance, services: Services, authenticate: Authenticate): void {
  const { grants, audit, clients, proofs } = services

  jsonRoute(scope, ['GET'], {
    url: '/sessions',
    schema: sessionsSchema,
    handler: async (request, reply) => {
      const session = await sessionOf(request, reply)
      const listed = await grants.readIndex(subjectIndex(session.issuer, session.subject))
      const others = listed.filter((id) => id !== session.grantId)
      const ids = [session.grantId, ...others].slice(0, SESSIONS_MAX)
      const found = await Promise.all(ids.map((id) => grants.read(id)))
      const live = found.filter((stored) => isSessionOf(stored, session)).map(({ grant }) => grant)
      live.sort((a, b) => b.createdAt - a.createdAt)
      return { sessions: live.map((grant) => describe(grant, session)) }
    },
  })

  jsonRoute(scope, ['DELETE'], {
    url: '/sessions/:id',
    schema: endSessionSchema,
    handler: async (request, reply) => {
      const session = await sessionOf(request, reply)
      const stored = await grants.read((request.params as { readonly id: string }).id)
      const ended = isSessionOf(stored, session) ? await grants.end(stored, 'revoked') : null
      if (!ended) throw new OAuthError('session_unknown')
      audit.record('session.ended', { request, grant: ended, reason: 'revoked' })
      return {}
    },
  })

  async function sessionOf(request: FastifyRequest, reply: FastifyReply): Promise<Session> {
    const session = await authenticate(request)
    reply.headers(proofs.headers(session))
    narrowCors(request, clients.named(session.clientId)!)
    return session
  }

  function describe(grant: ActiveGrant, session: Session) {
    const { id, clientId, createdAt, refreshedAt } = grant
    const client = clients.named(clientId)
    const isRegistered = client === undefined || !isUnregistered(client)
    const name = isRegistered ? client?.name : grant.clientName || undefined
    return {
      id,
      client_id: clientId,
      ...(name !== undefined && { client_name: name }),
      ...(!isRegistered && { client_registered: false }),
      created_at: seconds(createdAt),
      ...(refreshedAt !== undefined && { last_refresh_at: seconds(refreshedAt) }),
      current: id === session.grantId,
    }
  }
}

/** Of the same person: equal subjects of two providers are two (M-05). */
function isSessionOf(
  stored: StoredGrant | null,
  { issuer, subject }: Session,
): stored is StoredGrant<ActiveGrant> {
  return isActive(stored) && stored.grant.provider === issuer && stored.grant.subject === subject
}

function seconds(ms: number): number {
  return Math.floor(ms / 1000)
}
