import type { TSchema } from 'typebox'
import Value from 'typebox/value'
import type { ConfigProblem } from '../errors.ts'

/**
 * Everything that the schema says against `value`, one problem per place, in plain words. Paths are keys and
 * list indexes. Values are never quoted: one of them may be a secret.
 */
export function schemaProblems(schema: TSchema, value: unknown): ConfigProblem[] {
  const problems = new Map<string, ConfigProblem>()
  for (const error of Value.Errors(schema, value)) {
    const at = error.instancePath
    if (error.keyword === 'required') {
      for (const name of (error.params as { requiredProperties: string[] }).requiredProperties) {
        keep(`${at}/${name}`, 'is required')
      }
    } else if (error.keyword === 'boolean') {
      keep(at, 'is not an option')
    } else if (error.keyword === 'enum') {
      const values = (error.params as { allowedValues: unknown[] }).allowedValues
      keep(at, `must be one of ${values.map(String).join(', ')}`)
    } else if (error.keyword !== 'additionalProperties' && error.keyword !== 'anyOf') {
      keep(at, error.message)
    }
  }
  return [...problems.values()]

  function keep(pointer: string, problem: string) {
    // The first word on a place is the telling one; those that follow are its consequences.
    if (!problems.has(pointer)) problems.set(pointer, { path: keysOf(pointer, value), problem })
  }
}

/** A JSON pointer as keys and list indexes. */
function keysOf(pointer: string, root: unknown): (string | number)[] {
  const keys: (string | number)[] = []
  let value = root
  for (const token of pointer.split('/').slice(1)) {
    const key = token.replaceAll('~1', '/').replaceAll('~0', '~')
    keys.push(Array.isArray(value) ? Number(key) : key)
    value = value && typeof value === 'object' ? (value as Record<string, unknown>)[key] : undefined
  }
  return keys
}
