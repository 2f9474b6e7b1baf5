import type { FastifyRequest } from 'fastify'
import { identifyClient, identifyResourceServer } from '../oauth/client-authentication.ts'
import { OAuthError } from '../oauth/errors.ts'
import type { FormParameters } from '../oauth/form.ts'
import type { RegisteredClient, ResourceServer } from '../options/resolved.ts'
import type { Rooms } from './services.ts'

/** The client of a token or revocation request (RFC 6749 §2.3). @throws OAuthError `client_*`, audited. */
export function clientOf(
  rooms: Rooms,
  request: FastifyRequest,
  parameters: FormParameters,
): RegisteredClient {
  const { clients, publicUrl } = rooms.options
  return audited(rooms, request, (authorization) =>
    identifyClient(authorization, parameters, clients, publicUrl),
  )
}

/** The resource server of an introspection request (RFC 7662 §2.1). @throws OAuthError `client_*`, audited. */
export function resourceServerOf(
  rooms: Rooms,
  request: FastifyRequest,
  parameters: FormParameters,
): ResourceServer {
  const { resourceServers, publicUrl } = rooms.options
  return audited(rooms, request, (authorization) =>
    identifyResourceServer(authorization, parameters, resourceServers, publicUrl),
  )
}

function audited<T>(rooms: Rooms, request: FastifyRequest, identify: (authorization?: string) => T): T {
  try {
    const { authorization } = request.headers
    // Of several headers Node shows the first, in silence (P-3); the one that counts elsewhere may be another.
    if (authorization !== undefined && countHeaders(request, 'authorization') > 1) {
      throw new OAuthError('client_methods_several')
    }
    return identify(authorization)
  } catch (error) {
    if (error instanceof OAuthError)
      rooms.audit.record('client.auth_failed', { request, reason: error.reason })
    throw error
  }
}

function countHeaders({ raw: { rawHeaders } }: FastifyRequest, name: string): number {
  return rawHeaders.filter((text, index) => index % 2 === 0 && text.toLowerCase() === name).length
}
