import type { TSchema } from 'typebox'
import { Compile, type Validator } from 'typebox/compile'
import { Settings } from 'typebox/system'
import Value from 'typebox/value'
import { type ConfigProblem, formatPath } from '../config-error.ts'
import { suggestion } from './nearest.ts'

type SchemaError = ReturnType<typeof Value.Errors>[number]

const types: Record<string, string> = {
  string: 'text',
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a map',
}

/**
 * Everything that `schema` says against `value`, in plain words; a value is never quoted, it may be a secret.
 * A schema may carry its own words as `problem`.
 */
export function schemaProblems(schema: TSchema, value: unknown): ConfigProblem[] {
  if (hasLongList(value) && compiled(schema).Check(value)) return []
  const errors = allErrors(schema, value)
  const problems = errors.flatMap((error): ConfigProblem[] => {
    const at = keysOf(error.instancePath, value)
    const here = schemaAt(schema, error.schemaPath)
    const branchOfUnion = /\/anyOf\/\d+$/.test(error.schemaPath)
    const report = (problem: string) => [{ path: at, problem: here.problem ?? problem }]
    switch (error.keyword) {
      case 'required':
        return error.params.requiredProperties.map((key) => ({ path: [...at, key], problem: 'is required' }))
      case 'additionalProperties':
        return error.params.additionalProperties.map((key) => ({
          path: [...at, key],
          problem: `is not known here${suggestion(key, Object.keys(here.properties ?? here.anyOf?.find((one) => one.properties)?.properties ?? {}))}`,
        }))
      case 'boolean':
        return [] // The same unknown key once more.
      case 'type':
        return branchOfUnion ? [] : report(`must be ${types[String(here.type)] ?? here.type}`)
      case 'const':
        return branchOfUnion ? [] : report(`must be ${String(here.const)}`)
      case 'anyOf':
        // Problems inside of one alternative say more than that none fits.
        return errors.some(({ instancePath }) => instancePath.startsWith(`${error.instancePath}/`))
          ? []
          : report(`must be ${here.anyOf?.map((one) => one.const ?? types[String(one.type)]).join(' or ')}`)
      case 'enum':
        return report(
          `must be one of ${error.params.allowedValues.join(', ')}${suggestion(String(Value.Pointer.Get(value, error.instancePath)), error.params.allowedValues.map(String))}`,
        )
      case 'minLength':
      case 'minItems':
        return report(
          error.params.limit === 1 ? 'must not be empty' : `must have at least ${error.params.limit}`,
        )
      case 'minimum':
        return report(`must be at least ${error.params.limit}`)
      case 'maximum':
        return report(`must be at most ${error.params.limit}`)
      case 'pattern':
        return report(`must match ${String(here.pattern)}`)
      default:
        return report(error.message)
    }
  })
  // The first word on a place is the telling one; those that follow are its consequences.
  return [...new Map(problems.toReversed().map((one) => [formatPath(one.path), one])).values()].toReversed()
}

/** From here on the compiler costs less than what it saves: 20 ms for all, against 50 µs for each client. */
const LONG = 400
const validators = new WeakMap<TSchema, Validator>()

function hasLongList(value: unknown): boolean {
  return Object.values(value ?? {}).some((one) => Array.isArray(one) && one.length >= LONG)
}

/** It says whether there is a problem, forty times as fast, and not which. */
function compiled(schema: TSchema): Validator {
  const known = validators.get(schema)
  if (known) return known
  const validator = Compile(schema)
  validators.set(schema, validator)
  return validator
}

/** The parts of a JSON schema that words are made of. */
type Words = TSchema & {
  readonly type?: unknown
  readonly const?: unknown
  readonly pattern?: unknown
  readonly anyOf?: readonly Words[]
  readonly properties?: Readonly<Record<string, TSchema>>
  readonly problem?: string
}

/** The checker stops at eight errors unless it is told otherwise, and it can only be told globally. */
function allErrors(schema: TSchema, value: unknown): SchemaError[] {
  const { maxErrors } = Settings.Get()
  Settings.Set({ maxErrors: 1000 })
  try {
    return Value.Errors(schema, value)
  } finally {
    Settings.Set({ maxErrors })
  }
}

function schemaAt(schema: TSchema, pointer: string): Words {
  return tokensOf(pointer).reduce<unknown>(
    (node, token) => (node as Record<string, unknown> | undefined)?.[token],
    schema,
  ) as Words
}

function keysOf(pointer: string, root: unknown): (string | number)[] {
  let value = root
  return tokensOf(pointer).map((token) => {
    const key = Array.isArray(value) ? Number(token) : token
    value = (value as Record<string | number, unknown>)[key]
    return key
  })
}

/** The tokens of a JSON pointer (RFC 6901 §3). */
function tokensOf(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
}
