import { createRequire } from 'node:module'

/** Packages that only some need, as they are installed: the majors of `peerDependencies`. */
export const OPTIONAL_PACKAGES = {
  pg: 'pg@8',
  ioredis: 'ioredis@6',
  '@fastify/redis': '@fastify/redis@9',
  yaml: 'yaml@2',
  'close-with-grace': 'close-with-grace@2',
  'prom-client': 'prom-client@15',
  '@opentelemetry/api': '@opentelemetry/api@1',
} as const
export type OptionalPackage = keyof typeof OPTIONAL_PACKAGES

const require = createRequire(import.meta.url)

/** What to do about those that are not installed, e.g. `pg is not installed: npm install pg@8`; undefined: nothing. */
export function missingPackages(...names: readonly OptionalPackage[]): string | undefined {
  const missing = names.filter((name) => !isInstalled(name))
  if (missing.length === 0) return undefined
  const command = `npm install ${missing.map((name) => OPTIONAL_PACKAGES[name]).join(' ')}`
  return `${missing.join(' and ')} ${missing.length > 1 ? 'are' : 'is'} not installed: ${command}`
}

/** A package when it is used. @throws Error of `missingPackages`, or what the package itself throws. */
export function loadPackage<T>(name: OptionalPackage): T {
  const missing = missingPackages(name)
  if (missing !== undefined) throw new Error(missing)
  return require(name) as T
}

function isInstalled(name: OptionalPackage): boolean {
  try {
    require.resolve(name)
    return true
  } catch {
    return false
  }
}
