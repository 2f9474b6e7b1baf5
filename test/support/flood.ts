import { once } from 'node:events'
import { Worker } from 'node:worker_threads'

export interface FloodOptions {
  readonly port: number
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** A request so often, whether or not those before are answered. */
  readonly everyMs: number
  readonly count: number
}

/** As its client saw it. */
export interface FloodAnswer {
  /** 0: none. */
  readonly status: number
  readonly retryAfter: string | undefined
  readonly ms: number
}

/** Sends requests from a thread of its own, and waits for all the answers. */
export async function flood(options: FloodOptions): Promise<readonly FloodAnswer[]> {
  const worker = new Worker(new URL('flood.js', import.meta.url), { workerData: options, execArgv: [] })
  const [answers] = await once(worker, 'message')
  return answers
}

/** The time that so large a share of the answers (0 to 1) did not exceed. */
export function quantile(answers: readonly FloodAnswer[], share: number): number {
  const sorted = answers.map(({ ms }) => ms).toSorted((a, b) => a - b)
  return sorted[Math.ceil(sorted.length * share) - 1] ?? Number.NaN
}
