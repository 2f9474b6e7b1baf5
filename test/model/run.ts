/** The property: whatever is asked, in whatever order, some state of the model explains every answer. */
import fc from 'fast-check'
import { type Owner, type StoreKind, startSharedStore } from '../support/shared-store.ts'
import { beginning, command } from './arbitraries.ts'
import { type Model, sweep } from './commands.ts'
import { Deployment } from './deployment.ts'
import { startModelProvider } from './provider.ts'

export interface RunOptions {
  readonly kind: StoreKind
  readonly seconds: number
  readonly seed: number
  /** To repeat the one sequence that has failed: as fast-check has printed them. */
  readonly path?: string | undefined
  readonly replayPath?: string | undefined
}

/** Sequences of one seed; the next seed follows. */
const BATCH = 20
/** For the search of a shorter sequence that fails as well. */
const SHRINK_MS = 60_000

/**
 * Runs sequences until the time is over.
 *
 * @returns how many, or why the store cannot be had here. @throws Error of fast-check, with the shortest sequence
 *   that it could find, its seed and its paths.
 */
export async function runModel(owner: Owner, options: RunOptions): Promise<number | string> {
  const { kind, seconds, seed, path, replayPath } = options
  const shared = await startSharedStore(owner, kind)
  if (typeof shared === 'string') return shared
  const stores = [shared.open(owner), shared.open(owner)] as const
  const provider = await startModelProvider()
  owner.teardown(() => provider.close())
  const deployment = new Deployment(stores, provider)
  owner.teardown(() => deployment.close())

  let count = 0
  const sequences = fc.commands([command], {
    maxCommands: 40,
    size: 'max',
    ...(replayPath !== undefined && { replayPath }),
  })
  const property = fc.asyncProperty(beginning, fc.noBias(sequences), async (first, sequence) => {
    deployment.forget()
    const model: Model = { logins: [], trace: [] }
    try {
      await first.run(model, deployment)
      await fc.asyncModelRun(() => ({ model, real: deployment }), sequence)
      await sweep(model, deployment)
    } catch (error) {
      // What is stuck there, or has failed too often, is not to trouble the search for a shorter sequence.
      await deployment.start()
      throw error
    }
    count += 1
  })
  const deadline = performance.now() + seconds * 1000
  for (let batch = 0; performance.now() < deadline; batch++) {
    await deployment.start()
    await fc.assert(property, {
      seed: seed + batch,
      numRuns: BATCH,
      interruptAfterTimeLimit: Math.max(deadline - performance.now(), 0) + SHRINK_MS,
      ...(path !== undefined && { path, endOnFailure: true }),
    })
    if (path !== undefined) break
  }
  return count
}
