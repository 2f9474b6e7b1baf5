import { parseArgs } from 'node:util'
import type { TSchema } from 'typebox'
import { ConfigError } from '../../plugin/index.ts'
import { coerceText, propertiesOf } from './coerce.ts'
import type { Setting } from './environment.ts'
import { GatewaySchema } from './schemas/gateway.ts'

interface Flag {
  /** What stands for its value in the usage; a flag without one is a switch. */
  readonly value?: string
  readonly help: string
  /** The key that it sets. */
  readonly path?: readonly string[]
}

const flags = {
  config: { value: 'FILE', help: 'YAML or JSON file; or PKCE_GATEWAY_CONFIG' },
  'config-test': { help: 'check the configuration, print ok, exit' },
  sql: { help: 'with migrate: print the statements, change nothing' },
  'print-config': { help: 'print the effective configuration, secrets masked, exit' },
  host: { value: 'ADDRESS', help: 'listen.host', path: ['listen', 'host'] },
  port: { value: 'PORT', help: 'listen.port; 0: any free port', path: ['listen', 'port'] },
  'log-level': { value: 'LEVEL', help: 'log.level: fatal, error, warn, info, …', path: ['log', 'level'] },
  version: { help: 'print the version, exit' },
  help: { help: 'print this, exit' },
} as const satisfies Record<string, Flag>

/** How many words may follow a command. */
const COMMANDS: Readonly<Record<string, number>> = { migrate: 0, init: 2 }

/** What the command line asks for. */
export interface CommandLine {
  readonly config?: string | undefined
  /** Write a configuration for a provider into a file that is not there yet, then exit. */
  readonly init?: { readonly preset: string; readonly file: string } | undefined
  /** Make the tables of the PostgreSQL store, then exit. */
  readonly migrate: boolean
  readonly sql: boolean
  readonly configTest: boolean
  readonly printConfig: boolean
  readonly version: boolean
  readonly help: boolean
  readonly settings: readonly Setting[]
}

/**
 * Reads the command line.
 *
 * @param args without node and the script.
 * @throws ConfigError with one problem when the command is used wrongly: an unknown flag, a missing value.
 */
export function readFlags(args: readonly string[]): CommandLine {
  const { values, positionals } = parse(args)
  const [word, ...rest] = positionals
  const takes = word === undefined ? 0 : COMMANDS[word]
  if (takes === undefined || rest.length > takes) {
    throw wrongUsage(`unknown command ${JSON.stringify(takes === undefined ? word : rest[takes])}`)
  }
  const [preset, file = 'gateway.yaml'] = rest
  if (word === 'init' && preset === undefined) throw wrongUsage('init takes a provider, e.g. init google')
  if (values.sql === true && word !== 'migrate') throw wrongUsage('--sql goes with migrate')
  const settings = Object.entries<Flag>(flags).flatMap(([name, { path }]): Setting[] => {
    const text = values[name]
    if (!path || typeof text !== 'string') return []
    return [{ path, value: coerceText(text, schemaAt(path)), source: `--${name}` }]
  })
  return {
    config: values.config as string | undefined,
    init: preset === undefined ? undefined : { preset, file },
    migrate: word === 'migrate',
    sql: values.sql === true,
    configTest: values['config-test'] === true,
    printConfig: values['print-config'] === true,
    version: values.version === true,
    help: values.help === true,
    settings,
  }
}

function parse(args: readonly string[]) {
  const options = Object.fromEntries(
    Object.entries<Flag>(flags).map(([name, { value }]) => [
      name,
      { type: value === undefined ? ('boolean' as const) : ('string' as const) },
    ]),
  )
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: true })
  } catch (error) {
    // The parser's second sentence explains how to pass such a word as a positional argument.
    throw wrongUsage((error as Error).message.split(/\n|\. /)[0]!)
  }
}

function wrongUsage(problem: string): ConfigError {
  return new ConfigError([{ path: [], problem, place: { source: 'command line' } }])
}

function schemaAt(path: readonly string[]): TSchema {
  return path.reduce<TSchema>((schema, key) => propertiesOf(schema)?.[key] ?? schema, GatewaySchema)
}

/** The help text. */
export function usage(): string {
  const rows = Object.entries<Flag>(flags).map(([name, { value, help }]) => {
    const flag = value === undefined ? `--${name}` : `--${name} ${value}`
    return `  ${flag.padEnd(20)}  ${help}`
  })
  return `Usage: pkce-gateway --config FILE [flags]
       pkce-gateway migrate --config FILE [--sql]
       pkce-gateway init PROVIDER [FILE]

Lets native apps log in with PKCE and forwards to upstream APIs only what a session allows.

migrate makes the tables of the PostgreSQL store: once, or again after an update; it does no harm twice.
init writes a configuration for a provider (google, apple, entra, …) into gateway.yaml, or FILE, and says what to register.

Flags
${rows.join('\n')}

Environment
  Every key of the file, over the file and under the flags: PKCE_GATEWAY_PROVIDER__CLIENT_ID is
  provider.clientId. Lists and maps are JSON: PKCE_GATEWAY_TRUST_PROXY='["10.0.0.0/8"]'.
  Secrets can be files: PKCE_GATEWAY_PROVIDER__CLIENT_SECRET_FILE=/run/secrets/provider

Exit status
  0 ended as asked   1 could not start, or was killed   2 wrong usage   78 invalid configuration
`
}
