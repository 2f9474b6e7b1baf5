/** The least configuration that the gateway takes, and the problems that it finds in others. */

import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import type { Environment } from '../../gateway/config/environment.ts'
import { flagSettings } from '../../gateway/config/flags.ts'
import { type LoadedConfig, loadConfig } from '../../gateway/config/load.ts'
import type { GatewayInput, ProviderConfig } from '../../gateway/config/schemas/gateway.ts'
import { ConfigError, formatProblem } from '../../plugin/index.ts'

export const secret = 'hunter2-hunter2-hunter2'

/** With `provider`, and not with `providers`. */
export type OneProvider = GatewayInput & { provider: ProviderConfig }

export function minimal(): OneProvider {
  return {
    publicUrl: 'http://127.0.0.1:3000',
    provider: { issuer: 'http://127.0.0.1:4000', clientId: 'gateway', clientSecret: secret },
    clients: [
      { clientId: 'com.example.app', redirectUris: ['com.example.app:/callback'], scopes: ['orders.read'] },
    ],
  }
}

export const upstream = { prefix: '/api', target: 'http://127.0.0.1:5000' }

/** Writes `content` (text, or values as YAML) into the test's own folder. */
export function file(t: Test, content: unknown, name = 'gateway.yaml'): string {
  const path = join(t.testdir({}), name)
  writeFileSync(path, typeof content === 'string' || Buffer.isBuffer(content) ? content : stringify(content))
  return path
}

/** The problem lines, the file's name shortened to `file`. */
export function problemsOf(
  path: string | undefined,
  environment: Environment = {},
  args: string[] = [],
): string[] {
  try {
    loadConfig({ file: path, environment, flags: settingsOf(args) })
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return error.problems.map(formatProblem).map((line) => (path ? line.replaceAll(path, 'file') : line))
  }
  return []
}

/** Each problem matches its pattern, and there are no others. */
export function matchAll(
  t: Test,
  problems: readonly string[],
  patterns: readonly RegExp[],
  message = '',
): void {
  t.equal(problems.length, patterns.length, `${message} ${problems.join('; ')}`)
  t.match(problems, patterns, message)
}

export function load(
  path: string | undefined,
  environment: Environment = {},
  args: string[] = [],
): LoadedConfig {
  return loadConfig({ file: path, environment, flags: settingsOf(args) })
}

/** What `--flag value` pairs set. */
function settingsOf(args: readonly string[]) {
  return flagSettings((flag) => args[args.indexOf(`--${flag}`) + 1 || args.length])
}
