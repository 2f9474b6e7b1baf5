import { setTimeout as sleep } from 'node:timers/promises'
import type { PostgresCommands } from './commands.ts'
import type { Statement } from './statements.ts'

/** How often and how much the janitor deletes. */
export interface PostgresJanitorOptions {
  /** Mean time between rounds. Default 60,000. */
  intervalMs?: number
  /** Rows deleted by one statement at most. Default 1000. */
  batchRows?: number
}

/** Between two batches, so that a backlog is not one long load. */
const PAUSE_MS = 20

/**
 * Deletes expired rows, batch by batch. It only gives space back: expiry is judged at every call (requirements
 * G-06). One instance at a time works, whichever comes first.
 *
 * @returns the function that ends it.
 */
export function startJanitor(
  sweeps: readonly Statement[],
  commands: PostgresCommands,
  { intervalMs = 60_000, batchRows = 1000 }: PostgresJanitorOptions,
): () => void {
  const ending = new AbortController()
  const pause = (ms: number) => sleep(ms, undefined, { signal: ending.signal, ref: false })

  const sweepAll = async () => {
    for (const sweep of sweeps) {
      while (((await commands.run('janitor', sweep, [batchRows])).rowCount ?? 0) >= batchRows)
        await pause(PAUSE_MS)
    }
  }
  const work = async () => {
    while (!ending.signal.aborted) {
      // Not in step with the other instances, which were perhaps all started at once.
      await pause(intervalMs * (0.5 + Math.random()))
      // An outage is told to everyone who asks the store something; what was left over is found next time.
      await sweepAll().catch(() => {})
    }
  }
  // Ends here only: the pauses reject when the janitor is told to stop.
  work().catch(() => {})
  return () => ending.abort()
}
