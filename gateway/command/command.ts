import type { Environment } from '../config/environment.ts'
import { type CommandLine, readArguments } from './arguments.ts'
import { COMMANDS } from './commands.ts'
import {
  type Call,
  CommandError,
  INVALID_CONFIGURATION,
  type Started,
  type Streams,
  UsageError,
} from './definition.ts'
import { helpOf, overview } from './help.ts'

export type { Started, Streams } from './definition.ts'

const WRONG_USAGE = 2
const FAILED = 1

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
  let line: CommandLine | undefined
  try {
    line = await readArguments(args)
    return await run(line, environment, streams)
  } catch (error) {
    if (error instanceof UsageError) {
      const help = line?.name === undefined ? '--help' : `${line.name} --help`
      return complain([`pkce-gateway: ${error.message}`, `Try pkce-gateway ${help}.`], WRONG_USAGE)
    }
    return fail(error)
  }

  async function fail(error: unknown): Promise<number> {
    if (error instanceof CommandError) return complain([`pkce-gateway: ${error.message}`], FAILED)
    const [{ ConfigError, formatProblem }, { StartError }] = await Promise.all([
      import('../../plugin/index.ts'),
      import('../operations/start-error.ts'),
    ])
    if (error instanceof ConfigError) {
      const lines = error.problems.map(formatProblem)
      return complain(['pkce-gateway: invalid configuration', ...lines], INVALID_CONFIGURATION)
    }
    if (error instanceof StartError) return complain([`pkce-gateway: ${error.message}`], FAILED)
    const { name, message, stack } = error as Error
    const what = line?.name === undefined ? 'could not start' : `${line.name} failed`
    return complain([`pkce-gateway: ${what}: ${stack ?? `${name}: ${message}`}`], FAILED)
  }

  function complain(lines: readonly string[], status: number): number {
    streams.stderr.write(`${lines.join('\n')}\n`)
    return status
  }
}

function run(line: CommandLine, environment: Environment, streams: Streams): Promise<number | Started> {
  const { name, command, words, flags } = line
  const call: Call = {
    ...{ words, flags, environment, streams },
    print(text) {
      streams.stdout.write(text)
      return 0
    },
  }
  if (flags.help) return Promise.resolve(call.print(name === undefined ? overview() : helpOf(command)))
  if (flags.version) return COMMANDS.version.run(call)
  // As they were written before there were commands.
  if (flags['print-config']) return COMMANDS.check.run({ ...call, flags: { ...flags, print: true } })
  if (flags['config-test']) return COMMANDS.check.run(call)
  return command.run(call)
}
