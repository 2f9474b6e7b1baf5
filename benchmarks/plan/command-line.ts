import { basename } from 'node:path'
import { parseArgs } from 'node:util'
import type { Generator } from '../load/plan.ts'

/** What the command was asked for. */
export interface CommandLine {
  /** Files of results: a report is written of them, and nothing is measured. */
  readonly results: readonly string[]
  readonly profile: 'smoke' | 'full'
  /** Empty: all of the profile. */
  readonly cases: readonly string[]
  readonly peers: readonly string[]
  readonly compare: string | undefined
  readonly continued: string | undefined
  readonly out: string | undefined
  readonly node: string
  readonly generator: Generator | 'auto'
  readonly rounds: number | undefined
  readonly seconds: number | undefined
  readonly docs: boolean
  readonly list: boolean
  readonly help: boolean
}

export const usage = `npm run bench -- [options]
npm run bench -- [--docs] [--out DIR] results.json ...   measures nothing: writes one report of them, a file for each Node

  --profile smoke|full   smoke: some minutes, to see that it works (default) · full: the measurement
  --case NAME            only this case; may be repeated
  --peer NAME            only this server, beside the base; may be repeated (gateway: with its variants)
  --rounds N             instead of the profile's
  --seconds N            of each slice and of its warm-up, instead of the profile's
  --node PATH            the Node that runs servers and load (default: the one that runs this)
  --load NAME            ours | wrk | autocannon | auto: wrk where it is installed and can do it, else ours (default)
  --compare FILE         a results.json of before: tells what has changed
  --continue FILE        the results.json of a run on this machine: its cases are taken over, not measured again
  --out DIR              for results.json, results.md and charts (default: .cache/benchmarks)
  --docs                 writes docs/benchmarks.md and docs/benchmarks/ as well
  --list                 names cases and servers
  --help
`

/** Wrong usage. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** @param args without node and the script. @throws UsageError */
export function readCommandLine(args: readonly string[]): CommandLine {
  const { values, positionals, tokens } = parse(args)
  const given = tokens.flatMap((token) => (token.kind === 'option' ? [token.name] : []))
  const useless = given.find((name) => !['docs', 'out', 'help'].includes(name))
  if (positionals.length > 0 && useless !== undefined)
    throw new UsageError(
      `--${useless}: nothing is measured where results are named (${positionals.join(', ')})`,
    )
  return {
    results: positionals,
    profile: oneOf('profile', ['smoke', 'full'], values.profile),
    cases: values.case,
    peers: values.peer,
    compare: values.compare,
    continued: values.continue,
    out: values.out,
    node: values.node,
    generator: oneOf('load', ['auto', 'ours', 'wrk', 'autocannon'], values.load),
    rounds: positive('rounds', values.rounds),
    seconds: positive('seconds', values.seconds),
    docs: values.docs,
    list: values.list,
    help: values.help,
  }
}

/**
 * The command as it was typed, for a report: a path is shown by its last part, as the rest is of a machine.
 *
 * @param environment of it, `BENCHMARK_AGAINST` is a part of the command, and how npm names its script.
 */
export function describeCommand(args: readonly string[], environment: NodeJS.ProcessEnv): string {
  const { BENCHMARK_AGAINST: against, npm_lifecycle_event: script } = environment
  const program = script === 'bench' ? ['npm', 'run', 'bench', '--'] : ['node', 'build/benchmarks/run.js']
  const variables = against === undefined ? [] : [`BENCHMARK_AGAINST=${shown(against)}`]
  return [...variables, ...program, ...args.map(shown)].join(' ')
}

/** An argument as a shell takes it, without folders. */
function shown(arg: string): string {
  const [, flag = '', value = ''] = /^(--[\w-]+=)?(.*)$/s.exec(arg)!
  const text = flag + (/[/\\]/.test(value) ? basename(value.replaceAll('\\', '/')) : value)
  return /^[\w.,:=@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      tokens: true,
      options: {
        profile: { type: 'string', default: 'smoke' },
        case: { type: 'string', multiple: true, default: [] },
        peer: { type: 'string', multiple: true, default: [] },
        compare: { type: 'string' },
        continue: { type: 'string' },
        out: { type: 'string' },
        node: { type: 'string', default: process.execPath },
        load: { type: 'string', default: 'auto' },
        rounds: { type: 'string' },
        seconds: { type: 'string' },
        docs: { type: 'boolean', default: false },
        list: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    })
  } catch (error) {
    throw new UsageError((error as Error).message)
  }
}

function oneOf<T extends string>(flag: string, allowed: readonly T[], value: string): T {
  const found = allowed.find((one) => one === value)
  if (found === undefined) throw new UsageError(`--${flag} is one of ${allowed.join(', ')}, not ${value}`)
  return found
}

function positive(flag: string, value: string | undefined): number | undefined {
  if (value === undefined) return undefined
  const number = Number(value)
  if (!(number > 0)) throw new UsageError(`--${flag} is a positive number, not ${value}`)
  return number
}
