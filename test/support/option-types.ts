import { writeFileSync } from 'node:fs'
import { GatewaySchema } from '../../gateway/config/schemas/gateway.ts'
import { Http2Schema, ListenSchema } from '../../gateway/config/schemas/listen.ts'
import { StoreSchema } from '../../gateway/config/schemas/store.ts'
import { UpstreamSchema, WebSocketSchema } from '../../gateway/config/schemas/upstream.ts'
import {
  AppLinkSchema,
  ClientSchema,
  OptionsSchema,
  ProviderSchema,
  ResourceServerSchema,
} from '../../plugin/api/schemas.ts'

/**
 * The options as interfaces, written out of the schemas: a compiler reads them in no time, which it cannot do with
 * the types that a schema library derives. `test/types/options.ts` proves that both are the same.
 *
 *     node --import=ts-blank-space/register test/support/option-types.ts --write
 */

/** The parts of a JSON schema that a type shows. */
interface Shape {
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Shape[]
  readonly items?: Shape
  readonly properties?: Readonly<Record<string, Shape>>
  readonly patternProperties?: Readonly<Record<string, Shape>>
  readonly required?: readonly string[]
  readonly default?: unknown
  readonly description?: string
}

interface Declared {
  readonly name: string
  readonly schema: unknown
  readonly comment: string
  /** Whose properties it has, too. */
  readonly base?: string
}

interface Page {
  readonly path: string
  /** What the other file is called from here. */
  readonly imports?: string
  readonly interfaces: readonly Declared[]
}

const HEAD = `/**
 * Written by \`npm run docs\`, from the schemas: change those. The options as data, in types that a compiler reads in
 * no time.
 */
`
const WIDTH = 110

const gateway = GatewaySchema.properties
const { agents, lifetimes, session, limits, rateLimit, pages, log } = OptionsSchema.properties

/** Each file as it should be. */
export const optionTypes: readonly Page[] = [
  {
    path: 'plugin/options/types/fields.ts',
    interfaces: [
      { name: 'ClientFields', schema: ClientSchema, comment: 'A registered app.' },
      {
        name: 'ResourceServerFields',
        schema: ResourceServerSchema,
        comment: 'A resource server that may introspect (RFC 7662 §2.1).',
      },
      {
        name: 'AppLinkFields',
        schema: AppLinkSchema,
        comment: 'An app on the devices of one system or two, for the redirect URIs of a client (S-05).',
      },
      {
        name: 'ProviderFields',
        schema: ProviderSchema,
        comment: 'The identity provider, and how we are registered there.',
      },
      {
        name: 'RegistrationFields',
        schema: agents.properties.registration.anyOf[0],
        comment: 'How many apps may have registered themselves, and for how long.',
      },
      { name: 'AgentFields', schema: agents, comment: 'Apps that nobody registered.' },
      { name: 'LifetimeFields', schema: lifetimes, comment: 'How long things last.' },
      { name: 'SessionFields', schema: session, comment: 'How sessions are kept at hand.' },
      { name: 'LimitFields', schema: limits, comment: 'How many logins may be under way.' },
      { name: 'RateLimitFields', schema: rateLimit.anyOf[0], comment: 'Requests of one address.' },
      { name: 'PagesFields', schema: pages, comment: 'What the pages of a login look like.' },
      { name: 'LogFields', schema: log, comment: 'What log lines tell.' },
      { name: 'OptionFields', schema: OptionsSchema, comment: 'Everything but the store.' },
    ],
  },
  {
    path: 'gateway/config/schemas/fields.ts',
    imports: '../../../plugin/options/types/fields.ts',
    interfaces: [
      {
        name: 'GatewayProviderFields',
        schema: gateway.provider,
        base: 'ProviderFields',
        comment: 'The identity provider, with its secrets in files.',
      },
      {
        name: 'GatewayClientFields',
        schema: gateway.clients.items,
        base: 'ClientFields',
        comment: 'A registered app, with its secret in a file.',
      },
      {
        name: 'GatewayResourceServerFields',
        schema: gateway.resourceServers.items,
        comment: 'A resource server that may introspect (RFC 7662 §2.1).',
      },
      { name: 'Http2Fields', schema: Http2Schema, comment: 'What one connection of HTTP/2 may do.' },
      { name: 'ListenFields', schema: ListenSchema, comment: 'The public listener.' },
      { name: 'StoreFields', schema: StoreSchema, comment: 'Where grants are kept.' },
      {
        name: 'WebSocketFields',
        schema: WebSocketSchema,
        comment: 'How WebSocket connections are forwarded.',
      },
      { name: 'UpstreamFields', schema: UpstreamSchema, comment: 'An API behind the gateway.' },
      {
        name: 'GatewayFields',
        schema: GatewaySchema,
        comment: "The gateway's configuration, as written in a file.",
      },
    ],
  },
]

/** By what a schema has in common with its copies that have another default. */
const names = new Map(
  optionTypes.flatMap((page) => page.interfaces.map(({ name, schema }) => [propertiesOf(schema), name])),
)

export function typesOf({ interfaces, imports }: Page): string {
  const declarations = interfaces
    .map(({ name, schema, comment, base }) => {
      const own = withoutBase(schema as Shape, base)
      const heading = `export interface ${name}${base === undefined ? '' : ` extends ${base}`}`
      return `\n/** ${comment} */\n${heading} ${block(own, '')}\n`
    })
    .join('')
  const others = [...names.values()].filter((name) => !interfaces.some((one) => one.name === name))
  const used = others
    .filter((name) => new RegExp(`\\b${name}\\b`).test(declarations))
    .sort((a, b) => (a < b ? -1 : 1))
  const list = used.map((name) => `  ${name},\n`).join('')
  const importLine = imports === undefined ? '' : `import type {\n${list}} from '${imports}'\n`
  return HEAD + importLine + declarations
}

function withoutBase(schema: Shape, baseName: string | undefined): Shape {
  const all = optionTypes.flatMap((page) => page.interfaces)
  const base = all.find(({ name }) => name === baseName)?.schema as Shape | undefined
  if (!base) return schema
  const own = Object.entries(schema.properties ?? {}).filter(([key]) => base.properties?.[key] === undefined)
  return { ...schema, properties: Object.fromEntries(own) }
}

function propertiesOf(schema: unknown): string {
  return JSON.stringify((schema as Shape).properties)
}

function block(shape: Shape, indent: string): string {
  const inner = `${indent}  `
  const lines = Object.entries(shape.properties ?? {}).map(([key, option]) => {
    const isRequired = shape.required?.includes(key) ?? false
    const left = `${inner}${key}${isRequired ? '' : '?'}:`
    return `${comment(option, inner)}${left}${broken(left, typeOf(option, inner), inner)}\n`
  })
  return `{\n${lines.join('')}${indent}}`
}

/** As the formatter breaks a union that is too long for its line. */
function broken(left: string, type: string, indent: string): string {
  const isLong = !type.includes('\n') && left.length + 1 + type.length > WIDTH
  return isLong
    ? `\n${type
        .split(' | ')
        .map((one) => `${indent}  | ${one}`)
        .join('\n')}`
    : ` ${type}`
}

function typeOf(shape: Shape, indent: string): string {
  if (shape.enum) return shape.enum.map(literal).join(' | ')
  if (shape.const !== undefined) return literal(shape.const)
  if (shape.anyOf) return shape.anyOf.map((one) => typeOf(one, indent)).join(' | ')
  if (shape.type === 'array') return listOf(typeOf(shape.items ?? {}, indent))
  if (shape.type === 'integer' || shape.type === 'number') return 'number'
  if (shape.properties) return names.get(propertiesOf(shape)) ?? block(shape, indent)
  const [entry] = Object.values(shape.patternProperties ?? {})
  if (entry) return `Record<string, ${typeOf(entry, indent)}>`
  if (shape.type === 'string' || shape.type === 'boolean') return shape.type
  throw new Error(`no type is known for ${JSON.stringify(shape)}`)
}

function listOf(type: string): string {
  return type.includes(' | ') ? `(${type})[]` : `${type}[]`
}

function literal(value: unknown): string {
  return typeof value === 'string' ? `'${value}'` : String(value)
}

function comment(option: Shape, indent: string): string {
  const text = option.default === undefined ? '' : JSON.stringify(option.default)
  const hasDefault = text !== '' && text !== '{}'
  const words = [option.description, hasDefault && `Default: \`${text}\`.`].filter(Boolean).join(' ')
  if (words === '') return ''
  const single = `${indent}/** ${words} */\n`
  if (single.length <= WIDTH + 1) return single
  const lines = [`${indent} *`]
  for (const word of words.split(' ')) {
    if (lines.at(-1)!.length + 1 + word.length > WIDTH) lines.push(`${indent} *`)
    lines.push(`${lines.pop()} ${word}`)
  }
  return `${indent}/**\n${lines.join('\n')}\n${indent} */\n`
}

if (process.argv[2] === '--write') {
  for (const page of optionTypes) writeFileSync(new URL(`../../${page.path}`, import.meta.url), typesOf(page))
}
