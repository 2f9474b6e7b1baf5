import type { Allocation } from '../measure/allocation.ts'
import type { CaseResult, Measured } from '../measure/rounds.ts'
import { type Rounds, rounds } from '../measure/statistics.ts'
import type { Case } from '../plan/case.ts'
import { metrics } from './metrics.ts'

/** A line of the report: a server in a case. */
export interface Row {
  readonly name: string
  readonly title: string
  /** False: it lets everything through. */
  readonly authenticates: boolean
  /** Why there is nothing else. */
  readonly problem?: string
  /** Of what the case compares, to the base of the same moment. @see metrics */
  readonly ratio?: Rounds
  /** What the ratio is made of: its own slices, and those of the base beside them. Not in results of before. */
  readonly slices?: Slices
  /**
   * In some slice the server did not have or use all of its core, so `ratio` is of requests per second of CPU time.
   */
  readonly byCpu?: boolean
  readonly requestsPerSecond?: Rounds
  /** Server CPU per request, in microseconds, and the share of its core that it used. */
  readonly cpuMicroseconds?: Rounds
  readonly utilisation?: Rounds
  /** Microseconds. */
  readonly p50?: Rounds
  readonly p99?: Rounds
  /** Megabytes (10^6): before the load (median), and the largest peak of all slices. */
  readonly idleMegabytes?: number
  readonly peakMegabytes?: number
  readonly megabytesPerSecond?: Rounds
  readonly allocation?: Allocation
  readonly bytesPerSession?: number
  /** Of connections that are held. */
  readonly bytesPerConnection?: Rounds
}

/** How many there were, and how many of them had to share the server's core with something else. */
export interface Slices {
  readonly slices: number
  readonly disturbed: number
}

/** A case with its lines; the base is the first of them. `slices` are all of the case. */
export interface Summary extends Slices {
  readonly name: string
  readonly title: string
  readonly metric: Case['metric']
  readonly base: string
  readonly generator: string
  readonly rows: readonly Row[]
}

/** A server that uses so much of its core is what limits the rate. */
const SATURATED = 0.95
/** So much of its core for others is too much. */
const DISTURBED = 0.05
/** So many of the slices. */
const BUSY = 0.1

/** True if something else ran beside too many slices: such numbers are not to be quoted. */
export function isBusy(counts: readonly Slices[]): boolean {
  const sum = (of: (count: Slices) => number) => counts.reduce((total, one) => total + of(one), 0)
  return sum(({ disturbed }) => disturbed) > sum(({ slices }) => slices) * BUSY
}

/**
 * True if too many of the slices behind the ratios of these servers were disturbed: of any of them, as a ratio of two
 * is not better than the worse. Those of the base count beside the server that they are compared with. Where results
 * of before do not tell of each server, those of the case do.
 */
export function isDisturbed(summary: Summary, names: readonly string[]): boolean {
  const sides = summary.rows.filter(({ name }) => names.includes(name) && name !== summary.base)
  const counts = sides.length > 0 ? sides.map(({ slices }) => slices ?? summary) : [summary]
  return counts.some((count) => isBusy([count]))
}

/** From raw slices to lines. */
export function summarize(one: Case, result: CaseResult, generator: string): Summary {
  const rows = [one.base, ...one.contenders].map(({ peer: { name, title, authenticates } }): Row => {
    const problem = result.failures[name]
    const own = result.slices.filter((slice) => slice.name === name)
    if (problem !== undefined || own.length === 0)
      return { name, title, authenticates, problem: problem ?? 'not measured' }
    const { [name]: allocation } = result.allocations
    const { [name]: bytesPerSession } = result.bytesPerSession
    return {
      name,
      title,
      authenticates,
      ...(name !== one.base.peer.name && ratioOf(one, result.slices, own)),
      ...figures(own, one),
      ...(allocation && { allocation }),
      ...(bytesPerSession !== undefined && { bytesPerSession }),
    }
  })
  return {
    name: one.name,
    title: one.title,
    metric: one.metric,
    base: one.base.peer.name,
    generator,
    ...count(result.slices),
    rows,
  }
}

function count(slices: readonly Measured[]): Slices {
  const disturbed = slices.filter(({ foreignShare = 0 }) => foreignShare > DISTURBED)
  return { slices: slices.length, disturbed: disturbed.length }
}

function ratioOf(
  one: Case,
  slices: readonly Measured[],
  own: readonly Measured[],
): Pick<Row, 'ratio' | 'byCpu' | 'slices'> {
  const neighbours = own.map((slice) => {
    const sameRound = slices.filter(({ round, name }) => round === slice.round && name === one.base.peer.name)
    return sameRound.filter(({ place }) => Math.abs(place - slice.place) === 1)
  })
  // A base stands between two others, and is the neighbour of both.
  const measured = [...new Set([...own, ...neighbours.flat()])]
  const known = measured.every((slice) => utilisation(slice) !== undefined)
  const { figure, figureByCpu } = metrics[one.metric]
  const byCpu =
    figureByCpu !== undefined &&
    one.allCores !== true &&
    known &&
    measured.some((slice) => utilisation(slice)! < SATURATED)
  const value = byCpu ? figureByCpu : figure
  const ratios = own.flatMap((slice, i) => {
    const bases = neighbours[i]!.map(value)
    const mean = bases.reduce((sum, base) => sum + base, 0) / bases.length
    return bases.length > 0 && mean > 0 ? [value(slice) / mean] : []
  })
  return ratios.length > 0 ? { ratio: rounds(ratios), byCpu, slices: count(measured) } : {}
}

function figures(own: readonly Measured[], { body }: Case): Partial<Row> {
  const perSecond = own.map(({ requests, seconds }) => requests / seconds)
  const held = own.flatMap(({ bytesPerConnection: bytes }) => (bytes === undefined ? [] : [bytes]))
  const used = own.flatMap((slice) => {
    const share = utilisation(slice)
    if (share === undefined || slice.requests === 0) return []
    return [{ share, microseconds: slice.cpuNanoseconds! / 1000 / slice.requests }]
  })
  return {
    requestsPerSecond: rounds(perSecond),
    ...(used.length > 0 && {
      cpuMicroseconds: rounds(used.map(({ microseconds }) => microseconds)),
      utilisation: rounds(used.map(({ share }) => share)),
    }),
    p50: rounds(own.map(({ latency }) => latency.p50 / 1000)),
    p99: rounds(own.map(({ latency }) => latency.p99 / 1000)),
    idleMegabytes: rounds(own.map(({ memory }) => memory.idle)).median / 1e6,
    peakMegabytes: Math.max(...own.map(({ memory }) => memory.peak)) / 1e6,
    ...(held.length > 0 && { bytesPerConnection: rounds(held) }),
    ...(body && {
      megabytesPerSecond: rounds(own.map((slice) => bytesOf(slice, body) / 1e6 / slice.seconds)),
    }),
  }
}

/** As counted, or as many as whole requests had. */
function bytesOf({ bytes, requests }: Measured, body: NonNullable<Case['body']>): number {
  return body.up || bytes === undefined ? requests * body.bytes : bytes
}

function utilisation({ cpuNanoseconds, seconds }: Measured): number | undefined {
  return cpuNanoseconds === undefined ? undefined : cpuNanoseconds / 1e9 / seconds
}
