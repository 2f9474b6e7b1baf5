import type { TSchema } from 'typebox'
import { formatPath } from '../../plugin/index.ts'
import { entriesOf, propertiesOf } from './coerce.ts'
import { yaml } from './file.ts'
import { GatewaySchema } from './schemas/gateway.ts'

const MASK = '***'
/** Whatever stands below one of these is shown to nobody. */
export const SECRET_KEYS: readonly string[] = [
  'clientSecret',
  'privateKey',
  'clientKey',
  'secrets',
  'url',
  'listenUrl',
  'sentinelPassword',
  'bearerToken',
]

type Path = (string | number)[]

/** The effective configuration, in the schema's order, with every secret as `***`. */
export function shownConfig(effective: unknown): unknown {
  return inOrder(GatewaySchema, masked(effective))
}

/**
 * The same as YAML.
 *
 * @param originOf where a value comes from: it stands behind each as a comment.
 */
export function printConfig(effective: unknown, originOf?: (path: Path) => string): string {
  const { Document, isCollection, isPair, isScalar } = yaml()
  const document = new Document(shownConfig(effective))
  mark(document.contents, [])
  return document.toString({ lineWidth: 0 })

  function mark(node: unknown, path: Path): void {
    if (isCollection(node) && !node.items.every(isScalar)) {
      for (const [index, item] of node.items.entries()) {
        if (isPair(item)) mark(item.value, [...path, String(isScalar(item.key) ? item.key.value : item.key)])
        else mark(item, [...path, index])
      }
      return
    }
    // A list of words is one line, and has one origin.
    if (isCollection(node)) node.flow = true
    const line = node as { comment?: string }
    if (originOf) line.comment = ` ${originOf(path).replaceAll(/\s+/g, ' ')}`
  }
}

/** Where each value comes from, by its path: `{ "listen.port": "--port" }`. */
export function originsOf(effective: unknown, originOf: (path: Path) => string): Record<string, string> {
  const origins: Record<string, string> = {}
  collect(shownConfig(effective), [])
  return origins

  function collect(value: unknown, path: Path): void {
    const isMap = typeof value === 'object' && value !== null
    const parts = isMap ? Object.entries(value) : []
    if (parts.every(([, part]) => typeof part !== 'object') && (Array.isArray(value) || parts.length === 0)) {
      origins[formatPath(path)] = originOf(path)
      return
    }
    for (const [key, part] of parts) collect(part, [...path, Array.isArray(value) ? Number(key) : key])
  }
}

function masked(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(masked)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key,
      SECRET_KEYS.includes(key) ? hidden(inner) : masked(inner),
    ]),
  )
}

function hidden(value: unknown): unknown {
  return Array.isArray(value) ? value.map(() => MASK) : MASK
}

function inOrder(schema: TSchema, value: unknown): unknown {
  if (Array.isArray(value)) {
    const { items } = schema as { items?: TSchema }
    return items ? value.map((item) => inOrder(items, item)) : value
  }
  if (typeof value !== 'object' || value === null) return value
  const entry = entriesOf(schema)
  if (entry) {
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, inOrder(entry, one)]))
  }
  const properties = propertiesOf(schema)
  if (!properties) return value
  const values = value as Record<string, unknown>
  return Object.fromEntries(
    Object.keys(properties)
      .filter((key) => values[key] !== undefined)
      .map((key) => [key, inOrder(properties[key]!, values[key])]),
  )
}
