import type { FastifyInstance, FastifySchema } from 'fastify'

/** The name of our scheme in OpenAPI documents. */
const SCHEME = 'pkce'

/** A document that `@fastify/swagger` is about to fill with routes. */
interface BegunDocument {
  readonly schema: unknown
  readonly url: string
  /** OpenAPI 3. */
  readonly openapiObject?: { components?: { securitySchemes?: object } }
  /** OpenAPI 2. */
  readonly swaggerObject?: { securityDefinitions?: object }
}

/**
 * The `config` of a route of ours that brings our scheme into the document of an app with `@fastify/swagger`: it asks
 * each route for its part, in the order of their registration, and ours is the first that could need it.
 *
 * Source: OpenAPI 3.1 §4.8.27, OpenAPI 2.0 "Security Definitions Object"; RFC 8414 §3.
 */
export function bringsSecurityScheme({ publicUrl, routePrefix }: { publicUrl: string; routePrefix: string }) {
  const openIdConnect = {
    type: 'openIdConnect',
    openIdConnectUrl: `${publicUrl}/.well-known/openid-configuration`,
  }
  const oauth2 = {
    ...{ type: 'oauth2', flow: 'accessCode', scopes: {} },
    authorizationUrl: `${publicUrl}${routePrefix}/authorize`,
    tokenUrl: `${publicUrl}${routePrefix}/token`,
  }
  return {
    swaggerTransform({ schema, url, openapiObject, swaggerObject }: BegunDocument) {
      if (openapiObject) {
        const { components } = openapiObject
        openapiObject.components = {
          ...components,
          securitySchemes: { [SCHEME]: openIdConnect, ...components?.securitySchemes },
        }
      }
      if (swaggerObject) {
        swaggerObject.securityDefinitions = { [SCHEME]: oauth2, ...swaggerObject.securityDefinitions }
      }
      return { schema, url }
    },
  }
}

/**
 * Says in the schema of each route with a `requireSession` of its own which scopes it wants. Only where the document
 * is made by an `@fastify/swagger` that was there before us: any other lacks the scheme, and would fail at its name.
 *
 * @param scopesOf what a hook requires; undefined: it is another hook.
 */
export function describeSecurity(
  app: FastifyInstance,
  scopesOf: (hook: object) => readonly string[] | undefined,
): void {
  if (!app.hasDecorator('swagger')) return
  app.addHook('onRoute', (route) => {
    const hooks = [route.onRequest ?? [], route.preParsing ?? [], route.preHandler ?? []].flat()
    const scopes = hooks.map(scopesOf).find((found) => found !== undefined)
    const schema: FastifySchema & { security?: unknown } = route.schema ?? {}
    if (scopes === undefined || schema.security !== undefined) return
    route.schema = { ...schema, security: [{ [SCHEME]: [...scopes] }] } as FastifySchema
  })
}
