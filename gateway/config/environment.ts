import type { TSchema } from 'typebox'
import { type ConfigProblem, nearestOf } from '../../plugin/index.ts'
import { coerceText, entriesOf, propertiesOf } from './coerce.ts'
import { GatewaySchema } from './schemas/gateway.ts'

const PREFIX = 'PKCE_GATEWAY_'
/** Names the file; it is no key of the configuration. */
export const CONFIG_VARIABLE = `${PREFIX}CONFIG`
/** Kubernetes adds these to every pod when a service is called `pkce-gateway`. */
const SERVICE_LINK = /^PKCE_GATEWAY_(SERVICE_|PORT(_|$))/

/** What a variable gets from a file or a command without being meant: a byte order mark and line breaks. */
const SURROUNDINGS = /^[\uFEFF\r\n]+|[\r\n]+$/g

/** The process's environment, or a part of it. */
export type Environment = Readonly<Record<string, string | undefined>>

/** One value from the environment or a flag. */
export interface Setting {
  readonly path: readonly string[]
  readonly value: unknown
  /** The variable's or the flag's name. */
  readonly source: string
}

/** What the variables set, and what is wrong with their names and values. */
export interface EnvironmentSettings {
  readonly settings: readonly Setting[]
  /** Each with the variable as its place. */
  readonly problems: readonly ConfigProblem[]
  readonly warnings: readonly string[]
}

/**
 * The settings in `PKCE_GATEWAY_…` variables: `PKCE_GATEWAY_PROVIDER__CLIENT_ID` is `provider.clientId`. Lists
 * and objects are JSON and replace as a whole; a nested variable then overrides its part. A name in `providers` is
 * written in upper case: `PKCE_GATEWAY_PROVIDERS__APPLE__KEY_ID` is `providers.apple.keyId`.
 */
export function readEnvironment(environment: Environment): EnvironmentSettings {
  const settings: Setting[] = []
  const problems: ConfigProblem[] = []
  const warnings: string[] = []
  for (const [name, written] of Object.entries(environment).sort()) {
    if (!name.startsWith(PREFIX) || written === undefined || name === CONFIG_VARIABLE) continue
    const text = written.replace(SURROUNDINGS, '')
    if (SERVICE_LINK.test(name)) {
      if (name === `${PREFIX}PORT` && /^[0-9]+$/.test(text)) {
        warnings.push(
          `${name} is ignored: it is a name of Kubernetes service links; use ${PREFIX}LISTEN__PORT`,
        )
      }
      continue
    }
    const found = find(name)
    if (typeof found === 'string') {
      problems.push({ path: [], problem: found, place: { source: name } })
      continue
    }
    try {
      settings.push({ path: found.path, value: coerceText(text, found.schema), source: name })
    } catch {
      problems.push({ path: found.path, problem: 'must be JSON', place: { source: name } })
    }
  }
  settings.sort((a, b) => a.path.length - b.path.length)
  return { settings, problems, warnings }
}

/** `['provider', 'clientId']` as `PKCE_GATEWAY_PROVIDER__CLIENT_ID`; list items have no name of their own. */
export function variableName(path: readonly (string | number)[]): string {
  const item = path.findIndex((key) => typeof key === 'number')
  const keys = item === -1 ? path : path.slice(0, item)
  return PREFIX + keys.map((key) => snakeCase(String(key))).join('__')
}

/** The key that a variable names, or what is wrong with the name. */
function find(name: string): { path: string[]; schema: TSchema } | string {
  const path: string[] = []
  let schema: TSchema = GatewaySchema
  for (const part of name.slice(PREFIX.length).split('__')) {
    const properties = propertiesOf(schema)
    const key = properties && Object.keys(properties).find((candidate) => snakeCase(candidate) === part)
    if (properties && key !== undefined) {
      path.push(key)
      schema = properties[key]!
      continue
    }
    const entry = entriesOf(schema)
    if (entry) {
      path.push(part.toLowerCase())
      schema = entry
      continue
    }
    const { type } = schema as { type?: string }
    if (!properties && (type === 'array' || type === 'object')) {
      return `a ${type === 'array' ? 'list' : 'map'} is set as a whole: give ${variableName(path)} as JSON`
    }
    return `is not known; the nearest is ${nearestOf(name, allNames())}`
  }
  return { path, schema }
}

function allNames(schema: TSchema = GatewaySchema, path: readonly string[] = []): string[] {
  const names = Object.entries(propertiesOf(schema) ?? {}).flatMap(([key, inner]) =>
    allNames(inner, [...path, key]),
  )
  return path.length === 0 ? [CONFIG_VARIABLE, ...names] : [variableName(path), ...names]
}

function snakeCase(key: string): string {
  return key.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()
}
