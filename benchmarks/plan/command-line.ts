import { parseArgs } from 'node:util'
import type { Generator } from '../load/plan.ts'

/** What the command was asked for. */
export interface CommandLine {
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
  --docs                 writes docs/benchmarks.md as well
  --list                 names cases and servers
  --help
`

/** Wrong usage. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

/** @param args without node and the script. @throws UsageError */
export function readCommandLine(args: readonly string[]): CommandLine {
  const { values } = parse(args)
  return {
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

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
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
