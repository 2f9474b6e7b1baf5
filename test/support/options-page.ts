import { writeFileSync } from 'node:fs'
import { GatewaySchema } from '../../gateway/config/schemas/gateway.ts'

/** The parts of a JSON schema that a table shows. */
interface Shape {
  readonly type?: string
  readonly enum?: readonly unknown[]
  readonly const?: unknown
  readonly anyOf?: readonly Shape[]
  readonly items?: Shape
  readonly properties?: Readonly<Record<string, Shape>>
  readonly patternProperties?: Readonly<Record<string, Shape>>
  readonly additionalProperties?: unknown
  readonly required?: readonly string[]
  readonly default?: unknown
  readonly description?: string
}

const HEAD = `# Options

Every option of the gateway, made from the schemas that check them (\`npm run docs\`). The plugin takes the same
ones, but for those of the listeners, upstreams, log and shutdown, and the \`…File\` twins; its \`store\` is a store
(\`memoryStore()\`), not a description of one, and of \`provider\` what has a \`…File\` twin may be a function.

In the environment, \`provider.clientId\` is \`PKCE_GATEWAY_PROVIDER__CLIENT_ID\`; lists are written as JSON.

| Option | Type | Default | Why |
|---|---|---|---|
`

/** docs/options.md as it should be. */
export function optionsPage(): string {
  return HEAD + rows(GatewaySchema as unknown as Shape, '').join('')
}

function rows(schema: Shape, prefix: string): string[] {
  return Object.entries(schema.properties ?? {}).flatMap(([key, option]) => {
    const name = prefix + key
    const required = schema.required?.includes(key) ?? false
    const row = `| \`${name}\` | ${typeOf(option)} | ${defaultOf(option, required)} | ${cell(option.description ?? '')} |\n`
    const inner = [option, ...(option.anyOf ?? [])].find((shape) => shape.properties)
    if (inner) return [...(option.description ? [row] : []), ...rows(inner, `${name}.`)]
    const entry = Object.values(option.patternProperties ?? {})[0]
    // As for `provider`, which stands before it.
    if (entry?.properties) return [row]
    if (option.items?.properties) return [row, ...rows(option.items, `${name}[].`)]
    return [row]
  })
}

function typeOf(option: Shape): string {
  if (option.enum) return option.enum.map((value) => `\`${value}\``).join(', ')
  if (option.const !== undefined) return `\`${option.const}\``
  if (option.anyOf) return option.anyOf.map(typeOf).join(' or ')
  if (option.type === 'array')
    return option.items?.properties ? 'list of' : `list of ${typeOf(option.items ?? {})}`
  if (option.type === 'object') return mapOf(option)
  return option.type ?? ''
}

function mapOf({ patternProperties }: Shape): string {
  const [entry] = Object.values(patternProperties ?? {})
  if (entry === undefined) return 'map'
  return entry.properties ? 'map of what `provider` is' : 'map of string'
}

function defaultOf(option: Shape, required: boolean): string {
  if (option.default === undefined) return required ? 'required' : ''
  const text = JSON.stringify(option.default)
  return text === '{}' && option.patternProperties === undefined ? '' : `\`${text}\``
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|')
}

if (process.argv[2] === '--write') {
  writeFileSync(new URL('../../docs/options.md', import.meta.url), optionsPage())
}
