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

/** A part of the page: the options under one key, or those that stand alone. */
interface Section {
  /** What it is for, in one or two sentences. */
  readonly about: string
  /** Valid beside what the gateway needs at least. A test loads it. */
  readonly example: string
}

/** In the order of the schema, but for `general`, which has every key that holds no others. */
const SECTIONS: Readonly<Record<string, Section>> = {
  general: {
    about:
      "Where it is, who stands in front, and the secrets. `publicUrl` is never taken from a request. `tokens: relay` gives the app the provider's access token; only those issued through here are forwarded.",
    example: `publicUrl: https://api.example.com
trustProxy: [10.0.0.0/8]
secretsFile: sealing-secrets.txt`,
  },
  listen: {
    about:
      'The public listener: its address, TLS, and what it refuses. [Gateway](gateway.md#beyond-plain-requests).',
    example: `listen:
  host: 0.0.0.0
  port: 8443
  tls: { certFile: gateway.pem, keyFile: gateway.key }
  http2: true`,
  },
  admin: {
    about: 'The listener for probes, Prometheus and operators. [Admin API](operate.md#admin-api).',
    example: `admin:
  host: 0.0.0.0
  tokenFile: admin-token.txt`,
  },
  provider: {
    about:
      'Who signs people in. [Providers](providers/README.md) has a page for each preset. `scope` is sent to the provider, always and alone. Metadata is fetched and must match: challenge methods that it lists must have S256; where it lists none S256 is sent and a warning logged. In the plugin `clientSecret` may be a function, asked at each call, so that a rotation needs no restart.',
    example: `provider:
  preset: google
  clientId: our-client-id
  clientSecretFile: provider-secret.txt`,
  },
  providers: {
    about: 'In place of `provider`. [Several providers](providers/README.md#several-providers).',
    example: `providers:
  google: { preset: google, clientId: our-client-id, clientSecretFile: provider-secret.txt }
  work: { issuer: https://login.example.com, clientId: gateway, clientSecretFile: work-secret.txt }`,
  },
  clients: {
    about:
      "Your apps. Redirect URIs are compared byte for byte; only a loopback one (`127.0.0.1`, `[::1]`, or `localhost` with a warning) may vary its port. `scopes` are yours, not the provider's. `interaction` is whether a human sees *continue to the app* before a private-use-scheme or loopback redirect (RFC 8252 §8.6). [Apps](apps.md).",
    example: `clients:
  - clientId: com.example.app
    name: Example
    redirectUris: ["com.example.app:/callback"]
    scopes: [orders.read]
  - clientId: com.example.web
    redirectUris: [https://app.example.com/callback]
    allowedOrigins: [https://app.example.com]
    scopes: [orders.read]`,
  },
  scopes: {
    about: 'What your scopes are called on the page that asks a person. [Agents](agents.md).',
    example: `scopes: [{ name: orders.read, description: Read your orders }]`,
  },
  agents: {
    about: 'Apps that nobody registered. [Agents](agents.md).',
    example: `scopes: [{ name: orders.read, description: Read your orders }]
agents:
  metadataDocuments: true
  scopes: [orders.read]`,
  },
  resourceServers: {
    about: 'APIs that ask us whose a token is, by introspection (RFC 7662).',
    example: `resourceServers:
  - clientId: billing
    clientSecretFile: billing-secret.txt`,
  },
  appLinks: {
    about: 'https redirect URIs that no other app can claim. [App links](app-links.md).',
    example: `clients:
  - clientId: com.example.app
    redirectUris: [https://api.example.com/app/callback]
appLinks:
  - clientId: com.example.app
    apple: { appIds: [ABCDE12345.com.example.app] }`,
  },
  pages: {
    about: 'What people see of a login: your name, your colour, your logo. [Pages](pages.md).',
    example: `pages:
  name: Example
  accentColor: "#2563eb"
  supportUrl: https://example.com/help`,
  },
  store: {
    about: 'Where sessions are. Memory is for one process. [Stores](stores.md).',
    example: `store: { type: redis, urlFile: redis-url.txt }
secretsFile: sealing-secrets.txt`,
  },
  lifetimes: {
    about: 'How long things live.',
    example: `lifetimes:
  accessTokenSeconds: 600
  refreshIdleSeconds: 604800   # a week without a refresh ends the session
  sessionSeconds: 7776000      # and so do ninety days`,
  },
  session: {
    about: 'How long an opened session is kept at hand. [How it works](how-it-works.md).',
    example: `session: { cacheSeconds: 60 }`,
  },
  limits: {
    about: 'How many logins may be under way.',
    example: `limits: { transactions: 50000 }`,
  },
  upstreams: {
    about: 'The APIs behind the gateway. [Routing](routing.md).',
    example: `upstreams:
  - prefix: /api
    target: http://orders:8080
    scopes: [orders.read]
    identityHeaders: { x-auth-subject: sub }`,
  },
  rateLimit: {
    about: 'How many requests an address may send to each endpoint in a minute.',
    example: `rateLimit: { token: { max: 120 } }`,
  },
  log: {
    about: 'What is written. [Logging](logging.md).',
    example: `log: { level: warn, requests: all }`,
  },
  shutdown: {
    about: 'How long a stop takes. [Start, stop, health](gateway.md#start-stop-health).',
    example: `shutdown: { delayMs: 5000, graceMs: 30000 }`,
  },
}

const HEAD = `# Options

Every option of the gateway, made from the schemas that check them (\`npm run docs\`). The plugin takes the same
ones, but for those of the listeners, upstreams, log and shutdown, and the \`…File\` twins; its \`store\` is a store
(\`memoryStore()\`), not a description of one, and of \`provider\` what has a \`…File\` twin may be a function.

In the environment, \`provider.clientId\` is \`PKCE_GATEWAY_PROVIDER__CLIENT_ID\`; lists are written as JSON.

**The ones to know first**: \`publicUrl\` ([general](#general)), [provider](#provider), [clients](#clients), and for the
gateway [upstreams](#upstreams). With more than one process also [store](#store) and \`secrets\` ([general](#general)).
`

/** docs/options.md as it should be. @throws Error for a key without a section, and for a section without a key. */
export function optionsPage(): string {
  const { properties = {}, required = [] } = GatewaySchema as unknown as Shape
  const keys = new Map<string, string[]>(Object.keys(SECTIONS).map((name) => [name, []]))
  for (const key of Object.keys(properties)) keys.get(key in SECTIONS ? key : 'general')!.push(key)
  const sections = [...keys].map(([name, members]) => {
    if (members.length === 0) throw new Error(`options: there is no ${name}`)
    const shape = { properties: Object.fromEntries(members.map((key) => [key, properties[key]!])), required }
    const list = rows(shape, '')
    if (name === 'general' && list.length > members.length)
      throw new Error(`options-page.ts: of ${members.join(', ')} one holds others, and needs a section`)
    return section(name, list)
  })
  const names = Object.keys(SECTIONS).map((name) => `[${name}](#${name.toLowerCase()})`)
  return `${HEAD}\n${names.join(' · ')}\n${sections.join('')}`
}

/** The examples by their sections, for the test that loads them. */
export const optionExamples: Readonly<Record<string, string>> = Object.fromEntries(
  Object.entries(SECTIONS).map(([name, { example }]) => [name, example]),
)

function section(name: string, list: readonly string[]): string {
  const { about, example } = SECTIONS[name]!
  return `
## ${name}

${about}

\`\`\`yaml
${example}
\`\`\`

| Option | Type | Default | Why |
|---|---|---|---|
${list.join('')}`
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
