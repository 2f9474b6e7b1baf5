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
  const trustProxy = optionsOf(app).trustProxy
  if (trustProxy && !isPeerList(trustProxy)) {
    problems.push({
      path: ['fastify', 'trustProxy'],
      problem:
        'must be a list of addresses or CIDRs: true, hop counts and functions let a client choose its own address',
    })
  }
  if (app.prefix !== '') {
    problems.push({
      path: ['fastify', 'prefix'],
      problem:
        'must be empty: our issuer has no path, so register the plugin outside of prefixes and set routePrefix',
    })
  }
  if (problems.length > 0) throw new ConfigError(problems)
}

/** Fastify itself refuses names and networks that are none, `/0` among them. */
function isPeerList(trustProxy: unknown): boolean {
  return [trustProxy].flat().every((peer) => typeof peer === 'string')
}

/** The options as given: `initialConfig` leaves `trustProxy` out. */
function optionsOf(app: FastifyInstance): { trustProxy?: unknown } {
  const key = Object.getOwnPropertySymbols(app).find((symbol) => symbol.description === 'fastify.options')
  return (key && (app as unknown as Record<symbol, { trustProxy?: unknown }>)[key]) ?? {}
}
