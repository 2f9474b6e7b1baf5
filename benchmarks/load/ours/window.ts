import { setTimeout as pause } from 'node:timers/promises'
import { coreNanoseconds, cpuNanoseconds, memoryOf, processTree, resetPeak } from '../../measure/usage.ts'
import type { LoadPlan, LoadResult } from '../plan.ts'

/** A server that uses less than this of its core does nothing; it is looked for so often, at such a distance. */
const RESTING = 0.1
const REST_LOOK_MS = 50
const REST_LOOKS = 60

/** What the server uses between two moments. */
export class Window {
  readonly #processes: readonly number[]
  readonly #core: string | null
  readonly #idle: number
  #tree: number[] = []
  #cpu: number | undefined
  #ofCore: number | undefined
  #warm = 0
  #from = 0

  /** To be made before the first request. */
  constructor({ processes, core }: Pick<LoadPlan, 'processes' | 'core'>) {
    this.#processes = processes
    this.#core = core
    this.#idle = memoryOf(processTree(processes)).residentBytes
  }

  /** Until the server is done with what a load has left behind: a thousand broken connections take a while. */
  async rest(): Promise<void> {
    const tree = processTree(this.#processes)
    let before = cpuNanoseconds(tree) ?? 0
    for (let looks = 0; looks < REST_LOOKS; looks += 1) {
      await pause(REST_LOOK_MS)
      const now = cpuNanoseconds(tree) ?? 0
      if ((now - before) / 1e6 / REST_LOOK_MS < RESTING) return
      before = now
    }
  }

  begin(): void {
    this.#tree = processTree(this.#processes)
    resetPeak(this.#tree)
    this.#warm = memoryOf(this.#tree).residentBytes
    this.#ofCore = this.#core === null ? undefined : coreNanoseconds(this.#core)
    this.#cpu = cpuNanoseconds(this.#tree)
    this.#from = performance.now()
  }

  end(): Pick<LoadResult, 'seconds' | 'cpuNanoseconds' | 'foreignShare' | 'memory'> {
    const seconds = (performance.now() - this.#from) / 1000
    const cpu = difference(cpuNanoseconds(this.#tree), this.#cpu)
    const ofCore = difference(this.#core === null ? undefined : coreNanoseconds(this.#core), this.#ofCore)
    const foreign = difference(ofCore, cpu)
    return {
      seconds,
      ...(cpu !== undefined && { cpuNanoseconds: cpu }),
      ...(foreign !== undefined && { foreignShare: Math.max(0, foreign / 1e9 / seconds) }),
      memory: { idle: this.#idle, warm: this.#warm, peak: memoryOf(this.#tree).peakBytes },
    }
  }
}

function difference(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || b === undefined ? undefined : a - b
}
