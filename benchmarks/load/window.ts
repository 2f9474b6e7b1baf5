import { cpuNanoseconds, memoryOf, processTree, resetPeak } from '../usage.ts'
import type { LoadResult } from './plan.ts'

/** What the server uses between two moments. */
export class Window {
  readonly #processes: readonly number[]
  readonly #idle: number
  #tree: number[] = []
  #cpu: number | undefined
  #warm = 0
  #from = 0

  /** To be made before the first request. */
  constructor(processes: readonly number[]) {
    this.#processes = processes
    this.#idle = memoryOf(processTree(processes)).residentBytes
  }

  begin(): void {
    this.#tree = processTree(this.#processes)
    resetPeak(this.#tree)
    this.#warm = memoryOf(this.#tree).residentBytes
    this.#cpu = cpuNanoseconds(this.#tree)
    this.#from = performance.now()
  }

  end(): Pick<LoadResult, 'seconds' | 'cpuNanoseconds' | 'memory'> {
    const seconds = (performance.now() - this.#from) / 1000
    const cpu = cpuNanoseconds(this.#tree)
    const { peakBytes } = memoryOf(this.#tree)
    return {
      seconds,
      ...(cpu !== undefined && this.#cpu !== undefined && { cpuNanoseconds: cpu - this.#cpu }),
      memory: { idle: this.#idle, warm: this.#warm, peak: peakBytes },
    }
  }
}
