import type { FastifyInstance, FastifyRequest } from 'fastify'
import Type from 'typebox'
import { isActive } from '../../grant/grants.ts'
import { clientIndex } from '../../grant/indexes.ts'
import { jsonBodyRoute, jsonRoute } from '../../http/route.ts'
import { formatScope } from '../../oauth/access/scope.ts'
import { challenge, credentialsOf, isDpopScheme, tokenIn } from '../../oauth/bearer.ts'
import { OAuthError } from '../../oauth/errors.ts'
import type { Services } from '../services.ts'
import { readClientMetadata } from './client-metadata.ts'
import type { Registration, Registrations } from './registrations.ts'

const REASONS = {
  malformed: 'client_metadata_malformed',
  redirectUri: 'client_metadata_redirect_uri',
  method: 'client_metadata_unsupported',
} as const

const Registered = Type.Object(
  {
    client_id: Type.String(),
    client_id_issued_at: Type.Integer({ description: 'Seconds since the epoch.' }),
    registration_access_token: Type.String({ description: 'Reads and deletes the registration.' }),
    registration_client_uri: Type.String(),
    client_name: Type.Optional(Type.String()),
    redirect_uris: Type.Array(Type.String()),
    grant_types: Type.Array(Type.String()),
    response_types: Type.Array(Type.String()),
    token_endpoint_auth_method: Type.String({ description: 'none' }),
    scope: Type.String({ description: 'All that it may have.' }),
  },
  { description: 'RFC 7591 §3.2.1' },
)
const tags = ['oauth2']
const registerSchema = {
  tags,
  operationId: 'register',
  summary: 'Dynamic client registration, of public clients (RFC 7591)',
  consumes: ['application/json'],
  body: Type.Object(
    {
      redirect_uris: Type.Array(Type.String(), {
        description: '1 to 10: https, http on loopback, or a private-use scheme with a dot.',
      }),
      client_name: Type.Optional(Type.String({ description: 'Shown as unverified.' })),
    },
    { additionalProperties: true },
  ),
  response: { 201: Registered },
}
const params = Type.Object({ clientId: Type.String() })
const readSchema = {
  tags,
  operationId: 'registration',
  summary: 'Reads or deletes a registration, by its token (RFC 7592 §2.1, §2.3); its sessions end with it',
  params,
  response: { 200: Registered, 204: Type.Null() },
}

/**
 * `POST /oauth2/register`: a public client registers itself (RFC 7591). What it would like besides its redirect URIs and
 * its name is ignored, or replaced by what it gets (§2), and the answer says what that is.
 */
export function registerRoute(
  scope: FastifyInstance,
  services: Services,
  registrations: Registrations,
): void {
  jsonBodyRoute(scope, {
    url: '/register',
    schema: registerSchema,
    malformed: 'client_metadata_malformed',
    handler: async (_request, members, reply) => {
      const { token, ...registration } = await registrations.register(readClientMetadata(members, REASONS))
      reply.code(201)
      return describe(services, registration, token)
    },
  })
}

/** `GET` and `DELETE /oauth2/register/{client_id}`, with the registration access token (RFC 7592 §2.1, §2.3). */
export function registrationRoutes(
  scope: FastifyInstance,
  services: Services,
  registrations: Registrations,
): void {
  jsonRoute(scope, ['GET', 'DELETE'], {
    url: '/register/:clientId',
    schema: readSchema,
    handler: async (request, reply) => {
      const { token, registration } = await authenticate(request)
      if (request.method === 'GET') return describe(services, registration, token)
      await remove(services, registrations, request, registration)
      return reply.code(204).send()
    },
  })

  async function authenticate(request: FastifyRequest) {
    const { clientId } = request.params as { readonly clientId: string }
    try {
      const credentials = credentialsOf(request.raw.rawHeaders, request.raw.url ?? '')
      if (isDpopScheme(credentials)) throw new OAuthError('token_absent')
      const token = tokenIn(credentials)
      return { token, registration: await registrations.authenticate(clientId, token) }
    } catch (error) {
      if (!(error instanceof OAuthError)) throw error
      const header = challenge(services.options.publicUrl, { error: error.error, description: error.message })
      throw new OAuthError(error.reason, { headers: { 'www-authenticate': header } })
    }
  }
}

/** The registration first: from then on nobody can log in by it. A login that is being redeemed at that moment may remain. */
async function remove(
  { grants, audit }: Services,
  registrations: Registrations,
  request: FastifyRequest,
  { clientId }: Registration,
): Promise<void> {
  await registrations.remove(clientId)
  for (const grantId of await grants.readIndex(clientIndex(clientId))) {
    const stored = await grants.read(grantId)
    const ended = isActive(stored) ? await grants.end(stored, 'client_removed') : null
    if (ended) audit.record('session.ended', { request, grant: ended, reason: 'client_removed' })
  }
}

function describe(
  { options: { agents, publicUrl, routePrefix } }: Services,
  { clientId, name, redirectUris, issuedAt }: Registration,
  token: string,
) {
  return {
    client_id: clientId,
    client_id_issued_at: Math.floor(issuedAt / 1000),
    registration_access_token: token,
    registration_client_uri: `${publicUrl}${routePrefix}/register/${clientId}`,
    ...(name !== '' && { client_name: name }),
    redirect_uris: redirectUris,
    grant_types: ['authorization_code', 'refresh_token'],
    response_types: ['code'],
    token_endpoint_auth_method: 'none',
    scope: formatScope(agents.scopes),
  }
}
