/** Where a problem stands: a position in a file, or the name of what cannot be used as a whole. */
export interface ConfigPlace {
  /** A file's name as it was given, a variable (`PKCE_GATEWAY_LISTEN__PORT`), or a flag (`--port`). */
  readonly source: string
  /** 1-based, where `source` is a file that could be read. */
  readonly line?: number
  readonly column?: number
}

/** One thing wrong with the options: where, as a path of keys and indexes, and what to do. Holds no value. */
export interface ConfigProblem {
  readonly path: readonly (string | number)[]
  readonly problem: string
  /** The path of another value, where the two cannot stand together. */
  readonly other?: readonly (string | number)[]
  /** Where the value was written, if a program has read it from somewhere. */
  readonly place?: ConfigPlace
}

/**
 * The options cannot be used. Lists every problem at once; thrown before anything listens, by the plugin's
 * registration and by whatever loads a configuration for it.
 */
export class ConfigError extends Error {
  override readonly name = 'ConfigError'
  readonly code = 'PKCE_CONFIG'
  readonly problems: readonly ConfigProblem[]

  constructor(problems: readonly ConfigProblem[]) {
    super(`invalid configuration:\n${problems.map((one) => `  ${formatProblem(one)}`).join('\n')}`)
    this.problems = problems
  }
}

/**
 * One line for an operator: `file:line:column path: problem`, `PKCE_GATEWAY_X: problem`, `--flag: problem`, or
 * `path: problem` where no place is known.
 */
export function formatProblem({ path, problem, place }: ConfigProblem): string {
  if (place === undefined) return `${formatPath(path)}: ${problem}`
  const { source, line, column } = place
  if (line === undefined) return `${source}: ${problem}`
  const key = path.length === 0 ? '' : `${formatPath(path)}: `
  return `${source}:${line}:${column} ${key}${problem}`
}

/** `['clients', 0, 'name']` as `clients[0].name`. */
export function formatPath(path: ConfigProblem['path']): string {
  return (
    path.reduce<string>(
      (text, key) => (typeof key === 'number' ? `${text}[${key}]` : text === '' ? key : `${text}.${key}`),
      '',
    ) || '(top level)'
  )
}
