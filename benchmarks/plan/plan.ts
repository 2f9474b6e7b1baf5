import { allCases } from '../cases/index.ts'
import type { Generator } from '../load/plan.ts'
import type { Timing } from '../measure/slice.ts'
import type { Case } from './case.ts'
import { type CommandLine, UsageError } from './command-line.ts'
import { findExecutable } from './project.ts'

/** A case with what of it is measured here, and how. */
export interface PlannedCase {
  readonly case: Case
  readonly timing: Timing & { rounds: number }
  /** Servers that this machine cannot run, and why. */
  readonly skipped: Readonly<Record<string, string>>
}

/** How long it is looked at, and how often. */
const profiles = {
  smoke: {
    rounds: 2,
    warmUpSeconds: 1,
    seconds: 1,
    onceRequests: 1500,
    cases: [
      'forward-get',
      'forward-session',
      'forward-up-64k',
      'event-streams',
      'websocket-echo',
      'token-exchange',
    ],
    peers: ['gateway', 'bare-again', 'bare-lookup', 'http-proxy', 'plugin-http-proxy'],
    allocation: false,
  },
  full: {
    rounds: 6,
    // Until everything on Node is compiled: on one slow core that takes four seconds of it.
    warmUpSeconds: 4,
    seconds: 2,
    onceRequests: 6000,
    cases: [],
    peers: [],
    allocation: true,
  },
} as const

/** Beyond it, wrk would copy more than it counts. */
const WRK_BODY_MAX = 128 * 1024

/** What will be done. @throws UsageError for a name that is not known. */
export function makePlan(line: CommandLine): PlannedCase[] {
  const profile = profiles[line.profile]
  const all = allCases(line.profile === 'smoke')
  const names = line.cases.length > 0 ? line.cases : profile.cases
  const peers = line.peers.length > 0 ? line.peers : profile.peers
  known(
    'case',
    line.cases,
    all.map(({ name }) => name),
  )
  known(
    'server',
    line.peers,
    all.flatMap(({ contenders }) => contenders.map(({ peer }) => peer.name)),
  )
  return all
    .filter(({ name }) => names.length === 0 || contains(names, name))
    .map((one) => ({
      ...one,
      contenders: one.contenders.filter(({ peer }) => isWanted(peer.name, peers)),
    }))
    .filter(({ contenders }) => contenders.length > 0)
    .map((one) => planned(one, line, profile))
}

function planned(one: Case, line: CommandLine, profile: (typeof profiles)['smoke' | 'full']): PlannedCase {
  const skipped = one.contenders.flatMap(({ peer }) => {
    const why = peer.missing?.()
    return why === undefined ? [] : [[peer.name, why]]
  })
  const generator = generatorFor(one, line.generator)
  const atLeast = line.profile === 'full' ? (one.secondsAtLeast ?? 0) : 0
  const seconds = line.seconds ?? Math.max(profile.seconds, atLeast)
  return {
    case: { ...one, allocation: one.allocation === true && profile.allocation },
    timing: {
      generator,
      rounds: line.rounds ?? profile.rounds,
      // wrk counts in whole seconds.
      seconds: generator === 'wrk' ? Math.max(1, Math.round(seconds)) : seconds,
      warmUpSeconds: line.seconds ?? profile.warmUpSeconds,
      onceRequests:
        line.seconds === undefined
          ? profile.onceRequests
          : Math.ceil(profile.onceRequests * Math.min(1, line.seconds)),
    },
    skipped: Object.fromEntries(skipped),
  }
}

/** `gateway` stands for all of its variants: other stores, other sizes. */
function isWanted(name: string, peers: readonly string[]): boolean {
  return (
    peers.length === 0 || contains(peers, name) || (name.startsWith('gateway-') && contains(peers, 'gateway'))
  )
}

function generatorFor(one: Case, wanted: CommandLine['generator']): Generator {
  const plain = one.mode === 'repeat' && one.oursOnly !== true && (one.body?.bytes ?? 0) <= WRK_BODY_MAX
  if (!plain) return 'ours'
  if (wanted === 'auto') return findExecutable('wrk') === undefined ? 'ours' : 'wrk'
  return wanted
}

/** The plan in words, with the time it will take. */
export function describePlan(plan: readonly PlannedCase[]): string {
  const lines = plan.map(({ case: one, timing, skipped }) => {
    const names = present(one, skipped)
      .map(({ peer }) => peer.name)
      .join(', ')
    const left = Object.entries(skipped).map(([name, why]) => `    skipped: ${name} (${why})\n`)
    return `  ${one.name}: ${names} against ${one.base.peer.name}; ${roundsOf(one, timing)} rounds, load: ${timing.generator}\n${left.join('')}`
  })
  return `${lines.join('')}  about ${Math.ceil(plan.reduce((sum, one) => sum + seconds(one), 0) / 60)} minutes\n`
}

function seconds({ case: one, timing, skipped }: PlannedCase): number {
  const slices = (2 * present(one, skipped).length + 1) * roundsOf(one, timing)
  return slices * (timing.seconds + timing.warmUpSeconds + 1)
}

function present(one: Case, skipped: PlannedCase['skipped']) {
  return one.contenders.filter(({ peer }) => skipped[peer.name] === undefined)
}

function roundsOf(one: Case, timing: PlannedCase['timing']): number {
  return Math.min(timing.rounds, one.roundsAtMost ?? timing.rounds)
}

function known(what: string, asked: readonly string[], names: readonly string[]): void {
  const unknown = asked.find((name) => !names.includes(name))
  if (unknown === undefined) return
  throw new UsageError(`there is no ${what} ${unknown}; there are ${[...new Set(names)].join(', ')}`)
}

function contains(names: readonly string[], name: string): boolean {
  return names.includes(name)
}
