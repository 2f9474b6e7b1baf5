import { COMMANDS, START } from './commands.ts'
import type { Command, Flags } from './definition.ts'

const EXIT_STATUS = `Exit status
  0 ended as asked   1 could not start, or failed   2 wrong usage   78 invalid configuration
`

/** One screen for everything. */
export function overview(): string {
  return `Usage: pkce-gateway --config FILE [flags]        starts the gateway
       pkce-gateway COMMAND [flags]              COMMAND --help says more

Lets native apps log in with PKCE and forwards to upstream APIs only what a session allows.

Commands
${table(Object.entries<Command>(COMMANDS).map(([name, { summary }]) => [name, summary]))}

Flags
${table(flagRows(START.flags))}

Environment
  Every key of the file, over the file and under the flags: PKCE_GATEWAY_PROVIDER__CLIENT_ID is
  provider.clientId. Lists and maps are JSON: PKCE_GATEWAY_TRUST_PROXY='["10.0.0.0/8"]'.
  Secrets can be files: PKCE_GATEWAY_PROVIDER__CLIENT_SECRET_FILE=/run/secrets/provider

${EXIT_STATUS}`
}

/** One screen for one command. */
export function helpOf({ usage, about, flags }: Command): string {
  const forms = usage.map((form, index) => `${index === 0 ? 'Usage:' : '      '} pkce-gateway ${form}`)
  const rows = flagRows(flags)
  const section = rows.length === 0 ? '' : `\nFlags\n${table(rows)}\n`
  return `${forms.join('\n')}\n\n${about.trim()}\n${section}\n${EXIT_STATUS}`
}

function flagRows(flags: Flags): [string, string][] {
  return Object.entries(flags).map(([name, { value, help }]) => [
    value === undefined ? `--${name}` : `--${name} ${value}`,
    help,
  ])
}

function table(rows: readonly (readonly [string, string])[]): string {
  const width = Math.max(18, ...rows.map(([name]) => name.length))
  return rows.map(([name, text]) => `  ${name.padEnd(width)}  ${text}`).join('\n')
}
