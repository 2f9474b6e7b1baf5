import { ConfigError, type ConfigProblem, type PkceOptions, resolveOptions } from '../../plugin/index.ts'
import { createStore } from '../operations/store.ts'
import type { GatewayInput } from './schemas/gateway.ts'
import { readSecrets } from './secrets.ts'

type Path = ConfigProblem['path']

/** The keys that the plugin's part is made of. */
export const PLUGIN_KEYS = [
  'publicUrl',
  'routePrefix',
  'provider',
  'clients',
  'resourceServers',
  'secrets',
  'secretsFile',
  'tokens',
  'lifetimes',
  'limits',
  'rateLimit',
  'store',
] as const satisfies readonly (keyof GatewayInput)[]

/** The plugin's part, its secrets read, and what the plugin itself says against it. */
export function pluginOptions(
  input: Required<Omit<GatewayInput, 'upstreams'>>,
  folderOf: (path: Path) => string,
) {
  const { publicUrl, routePrefix, tokens, lifetimes, limits, rateLimit } = input
  const { problems, warnings, storeUrl, ...parts } = readSecrets(input, folderOf)
  const unread = problems.some(({ path }) => path[0] === 'store')
  const made = unread ? undefined : createStore(input.store, storeUrl)
  const store = made && 'store' in made ? made : undefined
  const refused = made && 'problem' in made ? [made] : []
  const options: PkceOptions = {
    ...{ publicUrl, routePrefix, tokens, lifetimes, limits, rateLimit },
    ...parts,
    ...(store && { store: store.store }),
  }
  // Without a store of its own the plugin takes the memory store, and would judge that one instead.
  const known = store ? problems : [...problems, ...refused, { path: ['store'] }, { path: ['secrets'] }]
  const judged = judge(options)
    .map(({ path, problem }) => ({ path: asConfigured(path, input), problem }))
    // What could not be read or made is missing for that reason only.
    .filter(({ path }) => !known.some((one) => one.path.every((key, depth) => key === path[depth])))
  return {
    options: Object.freeze(options),
    store,
    storeUrl,
    warnings,
    problems: [...problems, ...refused, ...judged],
  }
}

function judge(options: PkceOptions): readonly ConfigProblem[] {
  try {
    resolveOptions(options)
    return []
  } catch (error) {
    if (error instanceof ConfigError) return error.problems
    throw error
  }
}

/** A secret that was named by a file has its problems at `…File`. */
function asConfigured(path: Path, input: object): Path {
  const depth = path.findIndex((key) => key === 'secrets' || key === 'clientSecret' || key === 'privateKey')
  if (depth === -1) return path
  const owner = path
    .slice(0, depth)
    .reduce<unknown>((value, key) => (value as Record<string | number, unknown>)[key], input) as Record<
    string,
    unknown
  >
  const file = `${String(path[depth])}File`
  return owner[file] === undefined ? path : path.with(depth, file)
}
