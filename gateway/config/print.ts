import type { TSchema } from 'typebox'
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
  'token',
]

/** The effective configuration as YAML, in the schema's order, with every secret as `***`. */
export function printConfig(effective: unknown): string {
  return yaml().stringify(inOrder(GatewaySchema, masked(effective)), { lineWidth: 0 })
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
