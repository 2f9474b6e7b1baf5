import type { FastifyInstance } from 'fastify'
import { ConfigError, type ConfigProblem } from '../options/config-error.ts'

/** Router options under which two spellings of a path are one route, so that checks on the path can be walked around. */
const LOOSE_ROUTER = ['ignoreTrailingSlash', 'ignoreDuplicateSlashes', 'useSemicolonDelimiter'] as const

/**
 * Refuses a Fastify instance whose settings would undermine the plugin: a router that folds paths (H-01), or
 * a `trustProxy` that lets any client choose its own address (J-08), or a prefix that no metadata would name.
 *
 * @throws ConfigError
 */
export function assertTrustworthy(app: FastifyInstance): void {
  if (app.hasDecorator('pkce')) {
    throw new ConfigError([
      {
        path: ['fastify'],
        problem:
          'has fastify-pkce already: register it once, on the root instance. For several identity providers write providers: { google: …, apple: … }',
      },
    ])
  }
  const problems: ConfigProblem[] = []
  const { routerOptions, caseSensitive } = app.initialConfig
  const router: Record<string, unknown> = { ...app.initialConfig, ...routerOptions }
  for (const option of LOOSE_ROUTER) {
    if (router[option] === true) {
      problems.push({ path: ['fastify', option], problem: 'must be off: it makes several paths one route' })
    }
  }
  if (caseSensitive === false || routerOptions?.caseSensitive === false) {
    problems.push({
      path: ['fastify', 'caseSensitive'],
      problem: 'must be on: it makes several paths one route',
    })
  }
  const trustProxy = trustProxyProblem(app)
  if (trustProxy !== undefined) problems.push({ path: ['fastify', 'trustProxy'], problem: trustProxy })
  if (app.prefix !== '') {
    problems.push({
      path: ['fastify', 'prefix'],
      problem:
        'must be empty: our issuer has no path, so register the plugin outside of prefixes and set routePrefix',
    })
  }
  if (problems.length > 0) throw new ConfigError(problems)
}

/** What is wrong with whom the instance believes about addresses. What cannot be judged is refused. */
function trustProxyProblem(app: object): string | undefined {
  const options = optionsOf(app)
  if (options === undefined) {
    return 'cannot be judged: this Fastify keeps its options where the plugin does not find them. Use the version of fastify that the peerDependencies of fastify-pkce name, and only one (npm ls fastify)'
  }
  const { trustProxy } = options
  if (!trustProxy || isAddressList(trustProxy)) return undefined
  return 'must be a list of addresses or CIDRs: true, hop counts and functions let a client choose its own address'
}

/** Fastify itself refuses names and networks that are none, `/0` among them. */
function isAddressList(trustProxy: unknown): boolean {
  return [trustProxy].flat().every((entry) => typeof entry === 'string')
}

/**
 * The options as given, because `initialConfig` leaves `trustProxy` out; undefined where Fastify does not keep them
 * under the symbol that it does today. An encapsulated instance inherits them.
 */
function optionsOf(app: object): { readonly trustProxy?: unknown } | undefined {
  for (let owner: object | null = app; owner !== null; owner = Object.getPrototypeOf(owner)) {
    const key = Object.getOwnPropertySymbols(owner).find(
      ({ description }) => description === 'fastify.options',
    )
    const options: unknown = key && (owner as Record<symbol, unknown>)[key]
    if (typeof options === 'object' && options !== null) return options
  }
  return undefined
}
