import { createRequire } from 'node:module'

/** This package's version, e.g. `1.2.3`. */
export function packageVersion(): string {
  const { version } = createRequire(import.meta.url)('fastify-pkce/package.json') as { version: string }
  return version
}
