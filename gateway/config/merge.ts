import { dirname } from 'node:path'
import { type ConfigProblem, formatPath } from '../../plugin/index.ts'
import type { Setting } from './coerce.ts'
import { variableName } from './environment.ts'
import type { ConfigFile } from './file.ts'

type Path = ConfigProblem['path']

/** The values of all sources together, and where each of them comes from. */
export interface MergedSources {
  readonly values: unknown
  /** `file:line:column path: problem`, `PKCE_GATEWAY_X: problem` or `--flag: problem`, in the file's order. */
  describe(problems: readonly ConfigProblem[]): string[]
  /** What a relative file name at `path` is relative to: the configuration file's folder if it stands there. */
  folderOf(path: Path): string
}

/** Puts `settings` over the file's values, later ones over earlier ones. */
export function mergeSources(file: ConfigFile | undefined, settings: readonly Setting[]): MergedSources {
  const values: Record<string, unknown> = { ...(structuredClone(file?.values) as object | undefined) }
  for (const { path, value } of settings) assign(values, path, value)

  const settingOf = (path: Path) =>
    settings.findLast((setting) => setting.path.every((key, index) => key === path[index]))
  const place = ({ path, problem }: ConfigProblem) => {
    const setting = settingOf(path)
    if (setting) {
      const inner = formatPath(path.slice(setting.path.length))
      const dotted = path.length === setting.path.length ? '' : inner.startsWith('[') ? inner : `.${inner}`
      return { line: Number.POSITIVE_INFINITY, column: 0, text: `${setting.origin}${dotted}: ${problem}` }
    }
    if (!file) return { line: 0, column: 0, text: `${variableName(path)}: ${problem}` }
    const { line, column } = file.position(path)
    return { line, column, text: `${file.name}:${line}:${column} ${formatPath(path)}: ${problem}` }
  }
  return {
    values,
    describe: (problems) =>
      problems
        .map(place)
        .sort((a, b) => (a.line === b.line ? a.column - b.column : a.line - b.line))
        .map(({ text }) => text),
    folderOf: (path) => (file && !settingOf(path) ? dirname(file.name) : '.'),
  }
}

function assign(root: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const parents = path.slice(0, -1)
  let parent = root
  for (const key of parents) {
    const inner = parent[key]
    parent[key] = isMap(inner) ? inner : {}
    parent = parent[key] as Record<string, unknown>
  }
  parent[path.at(-1)!] = value
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
