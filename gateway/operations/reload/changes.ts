import { isDeepStrictEqual } from 'node:util'
import { SECRET_KEYS } from '../../config/print.ts'
import type { GatewayConfig } from '../../config/schemas/config.ts'

const TEXT_MAX = 200

/** A key whose value has changed, as an operator knows it. */
export interface Change {
  /** E.g. `upstreams[/api].retry`: items of lists by their names. */
  readonly key: string
  /** E.g. `upstreams[/api].retry: false -> true`. It shows no secret. */
  readonly text: string
}

/** What differs between two configurations; of secrets, only that they do. */
export function changesBetween(before: GatewayConfig, after: GatewayConfig): readonly Change[] {
  const changes: Change[] = []
  compare(asWritten(before), asWritten(after), [])
  return changes

  function compare(from: unknown, to: unknown, path: readonly string[]): void {
    if (isDeepStrictEqual(from, to)) return
    const [a, b] = [partsOf(from), partsOf(to)]
    if (a === null || b === null) changes.push(changeOf(from, to, path))
    else
      for (const part of new Set([...a.keys(), ...b.keys()]))
        compare(a.get(part), b.get(part), [...path, part])
  }
}

/** The plugin's keys stand beside the others in the file. */
function asWritten({ plugin, warnings: _, ...own }: GatewayConfig): object {
  return { ...plugin, ...own }
}

/** The keys of a map, or the names of a list's items; null for what is compared as a whole. */
function partsOf(value: unknown): ReadonlyMap<string, unknown> | null {
  if (typeof value !== 'object' || value === null) return null
  if (!Array.isArray(value)) return new Map(Object.entries(value))
  const items = value.map((item) => [`[${item?.prefix ?? item?.clientId}]`, item] as const)
  return value.every((item) => typeof (item?.prefix ?? item?.clientId) === 'string') ? new Map(items) : null
}

function changeOf(from: unknown, to: unknown, path: readonly string[]): Change {
  const key = path.join('.').replaceAll('.[', '[')
  // A logo is long, and no secret.
  const isSecret = path.some((part) => SECRET_KEYS.includes(part) || part === 'logo')
  const isWhole = typeof (from ?? to) === 'object' && !Array.isArray(from ?? to)
  if (isSecret || isWhole) {
    const what = from === undefined ? 'added' : to === undefined ? 'removed' : 'changed'
    return { key, text: `${key}: ${what}` }
  }
  return { key, text: `${key}: ${shown(from)} -> ${shown(to)}` }
}

function shown(value: unknown): string {
  if (value === undefined) return 'absent'
  const text = JSON.stringify(value)
  return text.length > TEXT_MAX ? `${text.slice(0, TEXT_MAX)}…` : text
}
