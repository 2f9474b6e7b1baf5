import fastify, { type FastifySchema, type RouteOptions } from 'fastify'
import { mapProviders } from '../../plugin/api/internal.ts'
import { memoryStore, type PkceOptions, pkce } from '../../plugin/index.ts'
import type { GatewayConfig, PluginConfig, ProviderConfig } from '../config/schemas/config.ts'
import { packageVersion } from '../operations/admin/version.ts'

/** The parts of an endpoint's schema that a document shows. */
interface Described {
  readonly hide?: true
  readonly operationId?: string
  readonly summary?: string
  readonly tags?: readonly string[]
  readonly consumes?: readonly string[]
  readonly querystring?: Shape
  readonly params?: Shape
  readonly body?: Shape
  readonly response?: Readonly<Record<string, Shape>>
}
interface Shape {
  readonly description?: string
  readonly properties?: Readonly<Record<string, Shape>>
  readonly required?: readonly string[]
}

const SCHEME = 'pkce'

/**
 * The OpenAPI document of the OAuth endpoints, as the plugin registers them for this configuration. Nothing is
 * connected: neither the store nor a provider.
 *
 * Source: OpenAPI 3.1 §4.8; requirements Q-09.
 */
export async function openapiDocument({ plugin }: GatewayConfig): Promise<object> {
  const routes: RouteOptions[] = []
  const app = fastify()
  try {
    app.addHook('onRoute', (route) => void routes.push(route))
    await app.register(pkce, offline(plugin))
    await app.ready()
  } finally {
    await app.close()
  }
  const { publicUrl, routePrefix = '/oauth2' } = plugin
  return {
    openapi: '3.1.0',
    info: { title: `OAuth endpoints of ${publicUrl}`, version: packageVersion() },
    servers: [{ url: publicUrl }],
    paths: pathsOf(routes),
    components: { securitySchemes: { [SCHEME]: securityScheme(publicUrl + routePrefix, plugin) } },
  }
}

/** The same endpoints, with a store and providers that nobody asks for anything. */
function offline(plugin: PluginConfig): PkceOptions {
  const providers = mapProviders(plugin, ({ issuer, clientId, responseMode, scope }: ProviderConfig) => ({
    // By its scope it is told whether there are logouts of its own.
    ...{ issuer, clientId, clientSecret: 'unused', ...(scope !== undefined && { scope }) },
    ...(responseMode && { responseMode }),
    // As they are given, its metadata is not looked for.
    authorizationEndpoint: `${issuer}/authorize`,
    tokenEndpoint: `${issuer}/token`,
    userinfoEndpoint: `${issuer}/userinfo`,
    jwksUri: `${issuer}/jwks`,
  }))
  const store = memoryStore({ dangerouslyAllowInProduction: true })
  return { ...plugin, secrets: [], rateLimit: false, ...providers, store } as PkceOptions
}

function securityScheme(base: string, { clients }: PluginConfig) {
  const scopes = new Set(clients.flatMap((client) => client.scopes ?? []))
  return {
    type: 'oauth2',
    flows: {
      authorizationCode: {
        authorizationUrl: `${base}/authorize`,
        tokenUrl: `${base}/token`,
        refreshUrl: `${base}/token`,
        scopes: Object.fromEntries([...scopes].map((scope) => [scope, ''])),
      },
    },
  }
}

function pathsOf(routes: readonly RouteOptions[]): Record<string, Record<string, object>> {
  const paths: Record<string, Record<string, object>> = {}
  for (const { url, method, schema } of routes) {
    const described = (schema ?? {}) as FastifySchema & Described
    if (described.hide || typeof method !== 'string' || described.operationId === undefined) continue
    const path = url.replaceAll(/:(\w+)/g, '{$1}')
    paths[path] = { ...paths[path], [method.toLowerCase()]: operation(described) }
  }
  return paths
}

/** Those that take an access token. */
const WITH_TOKEN = /^(?:userinfo|sessions|endSession)/

function operation(described: Described): object {
  const { operationId = '', summary, tags, consumes, querystring, params, body, response } = described
  const [mediaType = 'application/json'] = consumes ?? []
  return {
    ...{ operationId, summary, tags },
    ...(querystring && { parameters: parametersOf(querystring, 'query') }),
    ...(params && { parameters: parametersOf(params, 'path') }),
    ...(body && { requestBody: { required: true, content: { [mediaType]: { schema: body } } } }),
    ...(WITH_TOKEN.test(operationId) && { security: [{ [SCHEME]: [] }] }),
    responses: response ? responsesOf(response) : { default: { description: 'A redirect, or a page.' } },
  }
}

function parametersOf({ properties = {}, required = [] }: Shape, place: 'query' | 'path'): object[] {
  return Object.entries(properties).map(([name, { description, ...schema }]) => ({
    ...{ name, in: place, required: required.includes(name), schema },
    ...(description !== undefined && { description }),
  }))
}

function responsesOf(response: Readonly<Record<string, Shape>>): object {
  return Object.fromEntries(
    Object.entries(response).map(([status, schema]) => [
      status.toUpperCase(),
      {
        description: schema.description ?? 'OK',
        content: { 'application/json': { schema } },
      },
    ]),
  )
}
