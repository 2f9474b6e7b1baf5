import type { Environment } from '../config/environment.ts'
import type { GatewayConfig } from '../config/schemas/config.ts'
import type { RunningGateway } from '../start.ts'

/** One flag. What stands for its value in the help; a flag without one is a switch. */
export interface Flag {
  readonly value?: string
  readonly help: string
}

export type Flags = Readonly<Record<string, Flag>>

/** A word of the command line. What it needs is loaded when it runs: `healthcheck` must start at once. */
export interface Command {
  /** One line in the list of commands. */
  readonly summary: string
  /** What follows `pkce-gateway`, one line for each form. */
  readonly usage: readonly string[]
  /** What it does, in lines of at most 80 characters. */
  readonly about: string
  readonly flags: Flags
  /** So many further words may follow. Default 0. */
  readonly words?: number
  /** @returns an exit status, or the gateway that now runs. @throws UsageError, ConfigError, StartError */
  run(call: Call): Promise<number | Started>
}

/** What the command line says, and what is around it. */
export interface Call {
  /** After the command's own. */
  readonly words: readonly string[]
  /** By flag: its value, or true for a switch. */
  readonly flags: Readonly<Record<string, string | true | undefined>>
  readonly environment: Environment
  readonly streams: Streams
  /** Writes to standard output. @returns 0 */
  print(text: string): number
}

/** Standard output and error. */
export interface Streams {
  readonly stdout: { write(text: string): unknown; readonly isTTY?: boolean }
  readonly stderr: { write(text: string): unknown }
}

/** A gateway that runs until it is told to stop. */
export interface Started extends RunningGateway {
  /** `delayMs`: it still accepts for so long; then it ends within `graceMs`. */
  readonly shutdown: GatewayConfig['shutdown']
  /** Says that it is ready. To be called when signals are heeded: who reads it may send one at once. */
  announce(): void
}

/** `EX_CONFIG` of sysexits.h: a supervisor need not try again before somebody has changed something. */
export const INVALID_CONFIGURATION = 78

/** The command was called wrongly: exit status 2. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** It was called rightly, and did not work out: exit status 1, and the message alone. */
export class CommandError extends Error {
  override readonly name = 'CommandError'
}

/** The value of a flag that takes one. */
export function textOf({ flags }: Call, name: string): string | undefined {
  const value = flags[name]
  return value === true ? undefined : value
}

/** Of every command that reads the configuration. */
export const CONFIG_FLAG = {
  config: { value: 'FILE', help: 'YAML or JSON file; or PKCE_GATEWAY_CONFIG' },
} as const satisfies Flags

/** Of those that look at it as the gateway will. */
export const SETTING_FLAGS = {
  ...CONFIG_FLAG,
  host: { value: 'ADDRESS', help: 'listen.host' },
  port: { value: 'PORT', help: 'listen.port; 0: any free port' },
  'log-level': { value: 'LEVEL', help: 'log.level: fatal, error, warn, info, …' },
} as const satisfies Flags

/** Of those that ask a gateway that runs. */
export const ADMIN_FLAGS = {
  ...CONFIG_FLAG,
  admin: { value: 'URL', help: 'the admin listener, instead of what FILE says' },
} as const satisfies Flags
