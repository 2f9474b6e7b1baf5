import type { FastifyInstance } from 'fastify'
import { jsonRoute } from '../../http/route.ts'
import { jwksSchema, metadataSchema } from '../../http/schemas.ts'
import { authorizationServerMetadata } from '../../oauth/metadata.ts'
import type { Services } from '../services.ts'

/** The same metadata at both well-known addresses: AppAuth knows only the second (RFC 8414 §3, §5). */
export function metadataRoutes(scope: FastifyInstance, { options }: Services): void {
  const metadata = authorizationServerMetadata(options)
  for (const [name, operationId] of [
    ['oauth-authorization-server', 'authorizationServerMetadata'],
    ['openid-configuration', 'openidConfiguration'],
  ] as const) {
    jsonRoute(scope, ['GET'], {
      url: `/.well-known/${name}`,
      schema: metadataSchema(operationId),
      handler: async () => metadata,
    })
  }
}

/**
 * The keys that are signed with in our name, if there are any (`publishKeys`). Clients that require the address find
 * a valid set in any case (RFC 7517 §5).
 */
export function jwksRoute(
  scope: FastifyInstance,
  { options, publishedKeys }: Services,
  config: object,
): void {
  jsonRoute(scope, ['GET'], {
    url: `${options.routePrefix}/jwks`,
    schema: jwksSchema,
    config,
    handler: async () => ({ keys: publishedKeys.current() }),
  })
}
