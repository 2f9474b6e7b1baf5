import { dirname } from 'node:path'
import { type ConfigPlace, type ConfigProblem, formatPath } from '../../plugin/index.ts'
import { type Setting, variableName } from './environment.ts'
import type { ConfigFile } from './file.ts'

type Path = ConfigProblem['path']

/** The values of the file and of the settings together, and where each of them comes from. */
export interface MergedConfig {
  readonly values: unknown
  /** The same problems, each with its place: those of the file in its order, then those of settings. */
  locate(problems: readonly ConfigProblem[]): ConfigProblem[]
  /** Who has set what stands at `path`, e.g. `gateway.yaml:12`, or undefined: nobody. */
  originOf(path: Path): string | undefined
  /** What a relative file name at `path` is relative to: the configuration file's folder if it stands there. */
  folderOf(path: Path): string
}

/** Puts `settings` over the file's values, later ones over earlier ones. */
export function mergeConfig(file: ConfigFile | undefined, settings: readonly Setting[]): MergedConfig {
  const values: Record<string, unknown> = { ...(structuredClone(file?.values) as object | undefined) }
  for (const { path, value } of settings) assign(values, path, value)

  const settingOf = (path: Path) =>
    settings.findLast((setting) => setting.path.every((key, index) => key === path[index]))
  const placeOf = (path: Path): ConfigPlace => {
    const setting = settingOf(path)
    if (setting) return { source: setting.source + keysBelow(path.slice(setting.path.length)) }
    return file ? { source: file.name, ...file.position(path) } : { source: variableName(path) }
  }
  return {
    values,
    locate: (problems) =>
      problems.map((problem) => ({ ...problem, place: placeOf(problem.path) })).sort(byPosition),
    originOf(path) {
      const setting = settingOf(path)
      if (setting) return valueAt(setting.value, path.slice(setting.path.length)) && setting.source
      if (!file || !valueAt(file.values, path)) return undefined
      return `${file.name}:${file.position(path).line}`
    },
    folderOf: (path) => (file && !settingOf(path) ? dirname(file.name) : '.'),
  }
}

/** `[0].name` or `.name`, to be put behind the name of a variable or flag. */
function keysBelow(path: Path): string {
  if (path.length === 0) return ''
  const keys = formatPath(path)
  return keys.startsWith('[') ? keys : `.${keys}`
}

function byPosition({ place: a }: ConfigProblem, { place: b }: ConfigProblem): number {
  const line = (place: ConfigPlace | undefined) => place?.line ?? Number.MAX_SAFE_INTEGER
  return line(a) - line(b) || (a?.column ?? 0) - (b?.column ?? 0)
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

/** True if something stands there. */
function valueAt(value: unknown, path: Path): true | undefined {
  const found = path.reduce<unknown>(
    (inner, key) => (inner as Record<string, unknown> | null | undefined)?.[key],
    value,
  )
  return found === undefined ? undefined : true
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
