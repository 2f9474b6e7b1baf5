import { dirname } from 'node:path'
import { type ConfigPlace, type ConfigProblem, formatPath } from '../../plugin/index.ts'
import { type Setting, variableName } from './environment.ts'
import type { ConfigFile } from './file.ts'

type Path = ConfigProblem['path']

/** The values of the file and of the settings together, and where each of them comes from. */
export interface MergedConfig {
  readonly values: unknown
  /** Where the value at `path` is written, or would have to be, and its path there. */
  placeOf(path: Path): { readonly place: ConfigPlace; readonly path: Path }
  /** Who has set what stands at `path`, e.g. `gateway.yaml:12`, or undefined: nobody. */
  originOf(path: Path): string | undefined
  /** What a relative file name at `path` is relative to: the configuration file's folder if it stands there. */
  folderOf(path: Path): string
}

/** Puts `settings` over the file's values, later ones over earlier ones. */
export function mergeConfig(file: ConfigFile | undefined, settings: readonly Setting[]): MergedConfig {
  const values: Record<string, unknown> = { ...(file?.values as object | undefined) }
  for (const { path, value } of settings) assign(values, path, value)

  const settingOf = (path: Path) =>
    settings.findLast((setting) => setting.path.every((key, index) => key === path[index]))
  const sourceOf = (path: Path): ConfigPlace => {
    const setting = settingOf(path)
    if (setting) return { source: setting.source + keysBelow(path.slice(setting.path.length)) }
    return file ? { source: file.name, ...file.position(path) } : { source: variableName(path) }
  }
  return {
    values,
    placeOf: (path) => ({ path, place: sourceOf(path) }),
    originOf(path) {
      const setting = settingOf(path)
      if (setting) {
        const isSet = isWritten(setting.value, path.slice(setting.path.length))
        return isSet ? setting.source : undefined
      }
      if (!file || !isWritten(file.values, path)) return undefined
      return `${file.name}:${file.position(path).line}`
    },
    folderOf: (path) => (file && !settingOf(path) ? dirname(file.name) : '.'),
  }
}

/**
 * The same problems, each with its place: those of a file in its order, then those of settings. A problem between two
 * values names the other's place, too.
 */
export function located(
  problems: readonly ConfigProblem[],
  { placeOf }: Pick<MergedConfig, 'placeOf'>,
): ConfigProblem[] {
  const named = problems.map(({ path, problem, other, place }): ConfigProblem => {
    const words = other === undefined ? problem : `${problem}, ${nameOf(placeOf(other).place)}`
    return place ? { path, problem: words, place } : { ...placeOf(path), problem: words }
  })
  const files = [...new Set(named.map(({ place }) => place!.source))]
  return named.sort(byPosition)

  function byPosition({ place: a }: ConfigProblem, { place: b }: ConfigProblem): number {
    if (a?.line === undefined || b?.line === undefined)
      return Number(a?.line === undefined) - Number(b?.line === undefined)
    return files.indexOf(a.source) - files.indexOf(b.source) || a.line - b.line || a.column! - b.column!
  }
}

function nameOf({ source, line }: ConfigPlace): string {
  return line === undefined ? source : `${source}:${line}`
}

/** `[0].name` or `.name`, to be put behind the name of a variable or flag. */
function keysBelow(path: Path): string {
  if (path.length === 0) return ''
  const keys = formatPath(path)
  return keys.startsWith('[') ? keys : `.${keys}`
}

/** What lies on the way is copied: the rest is the file's own. */
function assign(root: Record<string, unknown>, path: readonly string[], value: unknown): void {
  const parents = path.slice(0, -1)
  let parent = root
  for (const key of parents) {
    const inner = parent[key]
    parent[key] = isMap(inner) ? { ...inner } : {}
    parent = parent[key] as Record<string, unknown>
  }
  parent[path.at(-1)!] = value
}

/** True if something stands there. */
export function isWritten(value: unknown, path: Path): boolean {
  const found = path.reduce<unknown>(
    (inner, key) => (inner as Record<string, unknown> | null | undefined)?.[key],
    value,
  )
  return found !== undefined
}

function isMap(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
