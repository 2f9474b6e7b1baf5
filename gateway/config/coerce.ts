import type { TSchema } from 'typebox'

/** The parts of a JSON schema that tell how a text stands for a value. */
interface Shape {
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly anyOf?: readonly Shape[]
  readonly properties?: Readonly<Record<string, TSchema>>
  readonly patternProperties?: Readonly<Record<string, TSchema>>
}

/**
 * The value that `text`, from the environment or a flag, stands for where `schema` applies: text as it is, numbers
 * and booleans by their spelling, lists and objects as JSON.
 *
 * A misspelt number or boolean stays text, for the schema to refuse.
 * @throws SyntaxError where JSON is expected and `text` is none.
 */
export function coerceText(text: string, schema: TSchema): unknown {
  const { type, enum: values, anyOf } = schema as Shape
  if (type === 'integer' || type === 'number') return /^-?[0-9]{1,15}$/.test(text) ? Number(text) : text
  if (type === 'boolean') return text === 'true' ? true : text === 'false' ? false : text
  if (type === 'string' || (values && !anyOf)) return text
  if (anyOf && !anyOf.some((one) => one.type === 'array' || one.type === 'object')) {
    return anyOf.map((one) => coerceText(text, one as TSchema)).find((value) => value !== text) ?? text
  }
  return JSON.parse(text)
}

/** The keys below `schema`: an object's own, or those of the object among its alternatives. */
export function propertiesOf(schema: TSchema): Readonly<Record<string, TSchema>> | undefined {
  const { properties, anyOf } = schema as Shape
  return properties ?? anyOf?.find((branch) => branch.properties)?.properties
}

/** What each entry of a map with names is, where `schema` is one whose entries have keys of their own: `providers`. */
export function entriesOf(schema: TSchema): TSchema | undefined {
  const [entry] = Object.values((schema as Shape).patternProperties ?? {})
  return entry && propertiesOf(entry) ? entry : undefined
}
