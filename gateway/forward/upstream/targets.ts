import type { Target } from './target.ts'

/** The servers that answer for one upstream. */
export class Targets {
  readonly #targets: readonly Target[]
  #turn = 0

  /** @param targets at least one. */
  constructor(targets: readonly Target[]) {
    this.#targets = targets
  }

  get size(): number {
    return this.#targets.length
  }

  /**
   * The one with the fewest requests on their way, in turn where they are equal; of those that can be reached. If
   * none can, the one whose time comes first: a wrong verdict must not make the upstream unreachable.
   */
  pick(): Target {
    const [first] = this.#targets
    if (this.#targets.length === 1) return first!
    let best: Target | undefined
    let soonest = first!
    const { length } = this.#targets
    this.#turn = (this.#turn + 1) % length
    for (let i = 0; i < length; i++) {
      const target = this.#targets[(this.#turn + i) % length]!
      if (target.isAvailable()) {
        if (best === undefined || target.load < best.load) best = target
      } else if (target.retryAt < soonest.retryAt) soonest = target
    }
    const chosen = best ?? soonest
    chosen.chosen()
    return chosen
  }

  async close(): Promise<void> {
    await Promise.all(this.#targets.map(({ pool }) => pool.close()))
  }
}
