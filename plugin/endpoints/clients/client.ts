import type { FastifyRequest } from 'fastify'
import {
  isUnregistered,
  type RegisteredClient,
  type ResourceServer,
  type UnregisteredClient,
} from '../../oauth/client.ts'
import {
  type ClientParameter,
  identifyClient,
  identifyResourceServer,
} from '../../oauth/client-authentication.ts'
import { OAuthError } from '../../oauth/errors.ts'
import type { FormParameters } from '../../oauth/form.ts'
import type { Services } from '../services.ts'

/** The client of a token or revocation request (RFC 6749 §2.3). @throws OAuthError `client_*`, audited. */
export function clientOf(
  services: Services,
  request: FastifyRequest,
  parameters: FormParameters<ClientParameter>,
): RegisteredClient {
  const { publicUrl } = services.options
  const clients = { get: (clientId: string) => services.clients.named(clientId) }
  return audited(services, request, (authorization) =>
    identifyClient(authorization, parameters, clients, publicUrl),
  )
}

/**
 * The client of a pushed authorization request, with its redirect URIs.
 *
 * @throws OAuthError `client_*`. @throws StoreError
 */
export async function wholeClientOf(
  services: Services,
  request: FastifyRequest,
  parameters: FormParameters<ClientParameter>,
): Promise<RegisteredClient> {
  const client = clientOf(services, request, parameters)
  if (!isUnregistered(client)) return client
  const found = await services.clients.find(client.clientId)
  if (!found) throw gone(services)
  return found
}

/**
 * Answers a token request of an app that nobody registered. Its grant decides, and keeps its registration alive. An app
 * whose registration is gone cannot begin a session, and is told why it has none any more, so that it registers anew:
 * who is told of its grant alone begins with the same name again.
 *
 * @param isLogin it brings a code. @throws OAuthError `client_unknown`, and what `answer` throws. @throws StoreError
 */
export async function answerUnregistered<T>(
  services: Services,
  client: UnregisteredClient,
  isLogin: boolean,
  answer: () => Promise<T>,
): Promise<T> {
  const { clients } = services
  if (isLogin && (await clients.isGone(client))) throw gone(services)
  try {
    const answered = await answer()
    clients.used(client)
    return answered
  } catch (error) {
    const isAboutGrant = error instanceof OAuthError && error.error === 'invalid_grant'
    if (isAboutGrant && (await clients.isGone(client))) throw gone(services)
    throw error
  }
}

function gone({ options }: Services): OAuthError {
  return new OAuthError('client_unknown', {
    headers: { 'www-authenticate': `Basic realm="${options.publicUrl}"` },
  })
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
