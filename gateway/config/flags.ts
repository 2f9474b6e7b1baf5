import type { TSchema } from 'typebox'
import { coerceText, propertiesOf } from './coerce.ts'
import type { Setting } from './environment.ts'
import { GatewaySchema } from './schemas/gateway.ts'

/** The keys that flags set. */
const PATHS: Readonly<Record<string, readonly string[]>> = {
  host: ['listen', 'host'],
  port: ['listen', 'port'],
  'log-level': ['log', 'level'],
}

/** What the flags set. @param textOf the value of a flag, by its name without dashes. */
export function flagSettings(textOf: (flag: string) => string | undefined): Setting[] {
  return Object.entries(PATHS).flatMap(([flag, path]) => {
    const text = textOf(flag)
    return text === undefined ? [] : [{ path, value: coerceText(text, schemaAt(path)), source: `--${flag}` }]
  })
}

function schemaAt(path: readonly string[]): TSchema {
  return path.reduce<TSchema>((schema, key) => propertiesOf(schema)?.[key] ?? schema, GatewaySchema)
}
