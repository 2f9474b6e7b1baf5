import type { FastifyRequest } from 'fastify'
import { OAuthError } from '../errors.ts'
import type { Rooms } from '../rooms.ts'

/** Runs a client authentication, and records its failure before passing it on (requirements J-04). */
export function auditClientFailure<T>(rooms: Rooms, request: FastifyRequest, authenticate: () => T): T {
  try {
    return authenticate()
  } catch (error) {
    if (error instanceof OAuthError)
      rooms.audit.record('client.auth_failed', { request, reason: error.reason })
    throw error
  }
}
