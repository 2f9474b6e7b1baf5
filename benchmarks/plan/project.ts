import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { delimiter, dirname, join } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'

/** The folder of the project, wherever it was compiled to; asked for from above, as `benchmarks/` is a package too. */
export const root = dirname(
  createRequire(new URL('../..', import.meta.url)).resolve('fastify-pkce/package.json'),
)

/** Where the packages that we compare with are installed: they are no part of the package. */
export const benchmarksFolder = join(root, 'benchmarks')

const installed = createRequire(join(benchmarksFolder, 'package.json'))

/**
 * Loads a package of `benchmarks/package.json`.
 *
 * Types are the caller's word: the packages need not be there when the project is compiled.
 */
export async function loadInstalled<T>(name: string): Promise<T> {
  return (await import(pathToFileURL(installed.resolve(name)).href)) as T
}

/** The version of an installed package, ours or of the benchmarks; undefined if it is not there. */
export function installedVersion(name: string): string | undefined {
  for (const folder of [root, benchmarksFolder]) {
    const file = join(folder, 'node_modules', name, 'package.json')
    if (existsSync(file)) return (createRequire(import.meta.url)(file) as { version: string }).version
  }
  return undefined
}

/** A compiled program of ours, e.g. `program('peers/bare/bare.js')`: what runs is always the build. */
export function program(path: string): string {
  return fileURLToPath(new URL(`../${path}`, import.meta.url))
}

/** The full name of an executable on PATH, or undefined. Debian keeps servers where users do not look. */
export function findExecutable(name: string): string | undefined {
  const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin']
  return folders.map((folder) => join(folder, name)).find((file) => existsSync(file))
}
