import { check } from './commands/check.ts'
import { doctor } from './commands/doctor.ts'
import { healthcheck } from './commands/healthcheck.ts'
import { init } from './commands/init.ts'
import { migrate } from './commands/migrate.ts'
import { openapi } from './commands/openapi.ts'
import { rotateKeys } from './commands/rotate-keys.ts'
import { secret } from './commands/secret.ts'
import { sessions } from './commands/sessions.ts'
import { start } from './commands/start.ts'
import { version } from './commands/version.ts'
import type { Command } from './definition.ts'

/** Without a word. */
export const START: Command = start

/** The words, in the order in which an operator meets them. */
export const COMMANDS = {
  init,
  secret,
  check,
  doctor,
  migrate,
  healthcheck,
  sessions,
  'rotate-keys': rotateKeys,
  openapi,
  version,
} as const satisfies Record<string, Command>

export type CommandName = keyof typeof COMMANDS
