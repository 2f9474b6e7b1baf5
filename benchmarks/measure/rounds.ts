import { rmSync } from 'node:fs'
import { bytesPerSession as readBytesPerSession } from '../cases/sessions/planted.ts'
import type { Case, Contender } from '../plan/case.ts'
import { type Allocation, readAllocation } from './allocation.ts'
import type { Slice, Stage, Timing } from './slice.ts'
import { measure } from './slice.ts'

/** A slice as it is kept: what was measured, when, and who was measured. */
export interface Measured extends Omit<Slice, 'output' | 'folder'> {
  readonly name: string
  readonly round: number
  /** Its place in the round. The bases are before, between and after the others. */
  readonly place: number
}

/** Everything that was measured of a case. */
export interface CaseResult {
  readonly slices: readonly Measured[]
  /** Why a contender, or the base, is not in it. */
  readonly failures: Readonly<Record<string, string>>
  readonly allocations: Readonly<Record<string, Allocation>>
  /** Only `sessions`. */
  readonly bytesPerSession: Readonly<Record<string, number>>
}

/** Characters of a failure that are kept: a server may answer with a page. */
const MESSAGE_MAX = 200

/**
 * Measures a case: in each round base, one, base, another, base …, and in every second round from the end to the
 * beginning, so that whatever slowly changes on the machine hits all of them alike.
 *
 * A contender that fails once is left out from then on; without its base there is nothing to tell.
 *
 * @param skipped contenders that are not to be measured, and why.
 */
export async function measureCase(
  stage: Stage,
  one: Case,
  timing: Timing & { rounds: number },
  skipped: Readonly<Record<string, string>>,
  progress: (text: string) => void,
): Promise<CaseResult> {
  const slices: Measured[] = []
  const failures: Record<string, string> = { ...skipped }
  const allocations: Record<string, Allocation> = {}
  const bytesPerSession: Record<string, number> = {}
  let round = 0
  let place = 0

  const take = async (contender: Contender, nodeFlags?: readonly string[]): Promise<Slice | undefined> => {
    const { name } = contender.peer
    let message: string
    try {
      const slice = await measure(stage, one, contender, timing, nodeFlags)
      // Slow readers have whole answers only after a while.
      const isAnswered = slice.requests > 0 || (slice.bytes ?? 0) > 0
      if (slice.errors === 0 && isAnswered) return slice
      message = `void: ${slice.errors} errors in ${slice.requests} answers ${slice.errorTexts.join('; ')}`
    } catch (error) {
      message = (error as Error).message
    }
    progress(`  ${name}: ${message}`)
    // What follows the first line is what the server wrote, with names of this machine in it.
    failures[name] = message.split('\n', 1)[0]!.slice(0, MESSAGE_MAX)
    return undefined
  }
  const record = async (contender: Contender): Promise<void> => {
    const slice = await take(contender)
    if (!slice) return
    const { output: _, folder, ...kept } = slice
    const { name } = contender.peer
    slices.push({ ...kept, name, round, place })
    if (one.name === 'sessions') bytesPerSession[name] = readBytesPerSession(folder)
    rmSync(folder, { recursive: true, force: true })
    progress(`  round ${round + 1}: ${name} ${Math.round(slice.requests / slice.seconds)}/s`)
  }

  const rounds = Math.min(timing.rounds, one.roundsAtMost ?? timing.rounds)
  for (; round < rounds; round += 1) {
    const order = round % 2 === 0 ? one.contenders : one.contenders.toReversed()
    place = 0
    await record(one.base)
    for (const contender of order) {
      if (failures[one.base.peer.name] !== undefined)
        return { slices, failures, allocations, bytesPerSession }
      if (failures[contender.peer.name] !== undefined) continue
      place += 1
      await record(contender)
      place += 1
      await record(one.base)
    }
  }
  if (one.allocation) {
    for (const contender of [one.base, ...one.contenders]) {
      const { name, isNode } = contender.peer
      if (!isNode || failures[name] !== undefined) continue
      const slice = await take(contender, ['--trace-gc'])
      const allocation = slice && readAllocation(slice.output, slice.requests, slice.seconds)
      if (allocation) allocations[name] = allocation
    }
  }
  return { slices, failures, allocations, bytesPerSession }
}
