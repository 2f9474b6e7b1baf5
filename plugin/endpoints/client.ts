import type { FastifyRequest } from 'fastify'
import type { RegisteredClient, ResourceServer } from '../oauth/client.ts'
import {
  type ClientParameter,
  identifyClient,
  identifyResourceServer,
} from '../oauth/client-authentication.ts'
import { OAuthError } from '../oauth/errors.ts'
import type { FormParameters } from '../oauth/form.ts'
import type { Services } from './services.ts'

/** The client of a token or revocation request (RFC 6749 §2.3). @throws OAuthError `client_*`, audited. */
export function clientOf(
  services: Services,
  request: FastifyRequest,
  parameters: FormParameters<ClientParameter>,
): RegisteredClient {
  const { clients, publicUrl } = services.options
  return audited(services, request, (authorization) =>
    identifyClient(authorization, parameters, clients, publicUrl),
  )
}

/** The resource server of an introspection request (RFC 7662 §2.1). @throws OAuthError `client_*`, audited. */
export function resourceServerOf(
  services: Services,
  request: FastifyRequest,
  parameters: FormParameters<ClientParameter>,
): ResourceServer {
  const { resourceServers, publicUrl } = services.options
  return audited(services, request, (authorization) =>
    identifyResourceServer(authorization, parameters, resourceServers, publicUrl),
  )
}

function audited<T>(services: Services, request: FastifyRequest, identify: (authorization?: string) => T): T {
  try {
    const { authorization } = request.headers
    // Of several headers Node shows the first, in silence (P-3); the one that counts elsewhere may be another.
    if (authorization !== undefined && countHeaders(request, 'authorization') > 1) {
      throw new OAuthError('client_methods_several')
    }
    return identify(authorization)
  } catch (error) {
    if (error instanceof OAuthError)
      services.audit.record('client.auth_failed', { request, reason: error.reason })
    throw error
  }
}

function countHeaders({ raw: { rawHeaders } }: FastifyRequest, name: string): number {
  return rawHeaders.filter((text, index) => index % 2 === 0 && text.toLowerCase() === name).length
}
