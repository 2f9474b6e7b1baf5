import { type PlainOptions, PROVIDER_SECRETS, validateOptions } from '../../../plugin/api/internal.ts'
import type { ConfigProblem } from '../../../plugin/index.ts'
import type { ExpandedInput, PluginConfig } from '../schemas/config.ts'
import type { ReadSecrets, SecretContext } from '../secrets.ts'
import { completePages } from './pages.ts'

type Path = ConfigProblem['path']

/** The plugin's part: its configuration, and what the plugin itself says of it. */
export interface CompletedPlugin {
  /** Undefined: the plugin refuses it. */
  readonly config: PluginConfig | undefined
  readonly problems: readonly ConfigProblem[]
  /** What the plugin says of its options again when it is registered. */
  readonly warnings: readonly string[]
}

/** Each may stand in a file. */
const IN_FILES: readonly string[] = [...PROVIDER_SECRETS, 'secrets', 'logo']

/** Has the plugin judge its part, secrets included. No store is made for it. */
export function completePlugin(
  input: Required<Omit<ExpandedInput, 'upstreams'>>,
  { secrets: read, ...context }: { readonly secrets: ReadSecrets } & SecretContext,
): CompletedPlugin {
  const { isSound } = context
  const { publicUrl, routePrefix, scopes, agents, appLinks, tokens, lifetimes, session, limits, rateLimit } =
    input
  const { providers, clients, resourceServers, secrets } = read
  const look = completePages(input.pages, context)
  const options = {
    ...{ publicUrl, routePrefix, scopes, agents, appLinks, tokens, lifetimes, session, limits, rateLimit },
    ...{ ...providers, clients, resourceServers, secrets },
    pages: look.pages,
    log: { subject: (isSound('log') && input.log.subject) || 'hash' },
  }
  const storeKind = isSound('store') ? (input.store.type ?? 'memory') : 'memory'
  const judged = validateOptions(options as PlainOptions, storeKind)
  const problems = judged.problems
    // What breaks the schema there breaks it here, and has been told.
    .filter(({ path }) => isSound(...partOf(path)))
    .map((one) => ({ ...one, path: asConfigured(one.path, input) }))
    // What could not be read is missing for that reason only.
    .filter(({ path }) => !read.problems.some((one) => one.path.every((key, depth) => key === path[depth])))
  const config = judged.options && { ...options, ...read.namedProviders }
  return { config, problems: [...look.problems, ...problems], warnings: judged.warnings }
}

/** What is judged as one: a key, or an item of a list or of `providers`. */
function partOf(path: Path): Path {
  const isItem = typeof path[1] === 'number' || path[0] === 'providers'
  return path.slice(0, isItem ? 2 : 1)
}

/** What was named by a file has its problems at `…File`. */
function asConfigured(path: Path, input: object): Path {
  const depth = path.findIndex((key) => IN_FILES.includes(String(key)))
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
