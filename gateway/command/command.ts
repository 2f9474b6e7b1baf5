import { writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { ConfigError, formatProblem, StoreError } from '../../plugin/index.ts'
import { postgresDdl } from '../../plugin/stores/postgres/index.ts'
import { CONFIG_VARIABLE, type Environment, readEnvironment } from '../config/environment.ts'
import { type CommandLine, readFlags, usage } from '../config/flags.ts'
import { type LoadedConfig, loadConfig } from '../config/load.ts'
import { printConfig } from '../config/print.ts'
import type { GatewayConfig } from '../config/schemas/config.ts'
import { logLines } from '../operations/log/log.ts'
import { createStore } from '../operations/store.ts'
import { type RunningGateway, StartError, startGateway } from '../start.ts'
import { banner } from './banner.ts'
import { beginningFor } from './init.ts'

/** `EX_CONFIG` of sysexits.h: a supervisor need not try again before somebody has changed something. */
const INVALID_CONFIGURATION = 78
const WRONG_USAGE = 2
const FAILED_START = 1

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

/**
 * The command, without the process around it.
 *
 * @param args without node and the script. @returns an exit status, or the gateway that now runs.
 */
export async function runCommand(
  args: readonly string[],
  environment: Environment,
  streams: Streams,
): Promise<number | Started> {
  const { stdout, stderr } = streams
  let flags: CommandLine
  try {
    flags = readFlags(args)
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    return wrongUsage(error.problems.map(({ problem }) => problem).join('; '))
  }
  if (flags.help) return print(usage())
  if (flags.version) return print(`${version()}\n`)
  if (flags.init) return init(flags.init)
  if (flags.migrate && flags.sql) return print(postgresDdl())
  if (!isConfigured(flags, environment)) {
    return wrongUsage('there is no configuration: give --config FILE, or PKCE_GATEWAY_… variables')
  }
  let loaded: LoadedConfig | undefined
  try {
    const load = () => loadConfig({ file: fileOf(flags, environment), environment, flags: flags.settings })
    loaded = load()
    if (flags.printConfig) return print(printConfig(loaded.effective))
    if (flags.configTest) {
      for (const warning of loaded.warnings) stderr.write(`warning: ${warning}\n`)
      return print('ok\n')
    }
    if (flags.migrate) return print(await migrate(loaded))
    return await start(loaded, load, streams)
  } catch (error) {
    return fail(error)
  }

  /** Nothing that is there is written over. */
  function init({ preset, file }: NonNullable<CommandLine['init']>): number {
    try {
      const { file: content, steps } = beginningFor(preset, file)
      writeFileSync(file, content, { flag: 'wx', mode: 0o600 })
      return print(`${file} is written.\n\n${steps}`)
    } catch (error) {
      if (error instanceof RangeError) return wrongUsage(error.message)
      const { code } = error as NodeJS.ErrnoException
      const why = code === 'EEXIST' ? 'is there already: name another file' : `cannot be written: ${code}`
      return complain([`pkce-gateway: ${file} ${why}`], FAILED_START)
    }
  }

  function print(text: string): number {
    stdout.write(text)
    return 0
  }

  function wrongUsage(problem: string): number {
    return complain([`pkce-gateway: ${problem}`, 'Try pkce-gateway --help.'], WRONG_USAGE)
  }

  function fail(error: unknown): number {
    if (error instanceof ConfigError) {
      // What has no place yet was found at the start, by the plugin.
      const problems = loaded ? loaded.locate(error.problems) : error.problems
      const lines = problems.map(formatProblem)
      return complain(['pkce-gateway: invalid configuration', ...lines], INVALID_CONFIGURATION)
    }
    if (error instanceof StartError) return complain([`pkce-gateway: ${error.message}`], FAILED_START)
    const { name, message, stack } = error as Error
    return complain([`pkce-gateway: could not start: ${stack ?? `${name}: ${message}`}`], FAILED_START)
  }

  function complain(lines: readonly string[], status: number): number {
    stderr.write(`${lines.join('\n')}\n`)
    return status
  }
}

function fileOf(flags: CommandLine, environment: Environment): string | undefined {
  return flags.config ?? (environment[CONFIG_VARIABLE] || undefined)
}

/** By a file or by variables: flags alone do not describe a gateway. */
function isConfigured(flags: CommandLine, environment: Environment): boolean {
  const { settings, problems } = readEnvironment(environment)
  return fileOf(flags, environment) !== undefined || settings.length + problems.length > 0
}

async function start(
  { config }: LoadedConfig,
  load: () => LoadedConfig,
  { stdout }: Streams,
): Promise<Started> {
  const gateway = await startGateway(config, logLines(stdout), load)
  const announce = () => {
    const { log, address, adminAddress } = gateway
    if (stdout.isTTY) stdout.write(banner(config, address, adminAddress))
    const { workers } = config
    // A supervisor waits for this line, whatever is logged otherwise.
    log
      .child({}, { level: 'info' })
      .info({ address, adminAddress, ...(workers > 1 && { workers }) }, 'gateway ready')
  }
  return Object.assign(gateway, { shutdown: config.shutdown, announce })
}

/** Makes the tables, whichever version they have now. @throws StartError where there are none to make. */
async function migrate({ config }: LoadedConfig): Promise<string> {
  const store = createStore(config.store)
  try {
    if (!store.migrate) throw new StartError(`migrate: the ${config.store.type} store has no tables`)
    await store.migrate()
    return 'ok\n'
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    throw new StartError(error.message, { cause: error })
  } finally {
    await store.close()
  }
}

function version(): string {
  const { version } = createRequire(import.meta.url)('fastify-pkce/package.json') as { version: string }
  return version
}
