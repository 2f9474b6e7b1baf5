import { parseArgs } from 'node:util'
import { COMMANDS, type CommandName, START } from './commands.ts'
import { type Call, type Command, type Flags, UsageError } from './definition.ts'

/** What the command line asks for. */
export interface CommandLine extends Pick<Call, 'words' | 'flags'> {
  /** Undefined: start. */
  readonly name: CommandName | undefined
  readonly command: Command
}

/** Everywhere. */
const COMMON: Flags = { help: { help: 'print this, exit' }, version: { help: 'print the version, exit' } }

/**
 * Reads the command line. The command may stand anywhere among the flags.
 *
 * @param args without node and the script. @throws UsageError with the nearest name for one that is not known.
 */
export async function readArguments(args: readonly string[]): Promise<CommandLine> {
  const { values: given, positionals } = await parse(idsLast(args))
  // As many try first: `help`, `help check`.
  const isHelp = positionals[0] === 'help'
  const values = isHelp ? { ...given, help: true as const } : given
  const [word, ...words] = isHelp ? positionals.slice(1) : positionals
  const name = word === undefined ? undefined : COMMAND_NAMES.find((one) => one === word)
  if (word !== undefined && name === undefined) {
    throw new UsageError(`unknown command ${JSON.stringify(word)}${await nearest(word, COMMAND_NAMES)}`)
  }
  const command = name === undefined ? START : COMMANDS[name]
  for (const flag of Object.keys(values)) {
    if (flag in COMMON || flag in command.flags) continue
    const owners = COMMAND_NAMES.filter((one) => flag in COMMANDS[one].flags).join(' or ')
    throw new UsageError(`--${flag} goes with ${owners || 'the start, which has no word'}`)
  }
  const isAsked = values.help === true || values.version === true
  if (!isAsked && words.length > (command.words ?? 0)) {
    throw new UsageError(`unknown command ${JSON.stringify(words[command.words ?? 0])}`)
  }
  return { name, command, words, flags: values }
}

/** The words, as they are listed. */
export const COMMAND_NAMES = Object.keys(COMMANDS) as CommandName[]

/** Of all commands together: a flag means the same, and takes a value or not, wherever it is. */
function allFlags(): Flags {
  const flags = [START, ...Object.values<Command>(COMMANDS)].map((command) => command.flags)
  return Object.assign({}, COMMON, ...flags)
}

/** One id of a session in 64 begins with a dash, and would be taken for a flag. */
function idsLast(args: readonly string[]): readonly string[] {
  if (!args.includes('sessions') || args.includes('--')) return args
  const isId = (arg: string) => /^-[A-Za-z0-9_-]{21}$/.test(arg)
  const ids = args.filter(isId)
  return ids.length === 0 ? args : [...args.filter((arg) => !isId(arg)), '--', ...ids]
}

async function parse(args: readonly string[]) {
  const flags = allFlags()
  const options = Object.fromEntries(
    Object.entries(flags).map(([name, { value }]) => [
      name,
      { type: value === undefined ? ('boolean' as const) : ('string' as const) },
    ]),
  )
  try {
    const parsed = parseArgs({ args: [...args], options, strict: true, allowPositionals: true })
    return { ...parsed, values: parsed.values as Record<string, string | true | undefined> }
  } catch (error) {
    // The parser's second sentence explains how to pass such a word as a positional argument.
    const problem = (error as Error).message.split(/\n|\. /)[0]!
    const [, flag] = /^Unknown option '(-[^']*)'/.exec(problem) ?? []
    const known = Object.keys(flags).map((name) => `--${name}`)
    const [, ambiguous] = /^Option '(--[^']*)' argument is ambiguous/.exec(problem) ?? []
    if (ambiguous !== undefined) {
      throw new UsageError(
        `${ambiguous} has no value; one that begins with a dash is written ${ambiguous}=VALUE`,
      )
    }
    throw new UsageError(problem + (flag === undefined ? '' : await nearest(flag, known)))
  }
}

async function nearest(word: string, known: readonly string[]): Promise<string> {
  const { suggestion } = await import('../../plugin/api/internal.ts')
  return suggestion(word, known)
}
