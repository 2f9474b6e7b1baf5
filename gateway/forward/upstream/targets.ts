import type { Upstream } from '../../config/schemas/config.ts'
import type { TargetAddress } from '../../http/target-address.ts'
import { type ConnectionLimits, Connections } from './connections.ts'

/** How long a target that could not be reached is left alone: doubled each time it fails again. */
const BACKOFF_MIN_MS = 1000
const BACKOFF_MAX_MS = 30_000

/** One server of an upstream: its connections, its load, and whether it can be reached. */
export class Target {
  /** What it is called in the log: its own authority, or its socket. */
  readonly authority: string
  /** The Host value that it gets. */
  readonly host: string
  readonly connections: Connections
  readonly #now: () => number
  #failures = 0
  #retryAt = 0

  /**
   * @param options `host`: what it is called in requests; `upstream`: by its own name.
   * @param now a clock that never goes back, in milliseconds.
   */
  constructor(
    { origin, host, socketPath }: Pick<TargetAddress, 'origin' | 'host'> & Partial<TargetAddress>,
    options: ConnectionLimits & Pick<Upstream, 'host'>,
    now = () => performance.now(),
  ) {
    this.#now = now
    this.authority = socketPath === undefined ? host : `unix:${socketPath}`
    this.host = options.host === 'upstream' ? host : options.host
    this.connections = new Connections(origin, { ...options, socketPath }, now)
  }

  /** When it may be asked again; 0 for a target that can be reached. */
  get retryAt(): number {
    return this.#retryAt
  }

  /** True if it can be reached, or it is time to see whether it can. */
  isAvailable(): boolean {
    return this.#failures === 0 || this.#now() >= this.#retryAt
  }

  /** It is going to be asked. If it is out, this one request finds out whether it is back: nobody else for a while. */
  chosen(): void {
    if (this.#failures > 0) this.#eject()
  }

  /** It could not be reached. Those who were on their way together count once. */
  failed(): void {
    if (this.#failures === 0) this.#eject()
  }

  /** It has answered. */
  answered(): void {
    if (this.#failures === 0) return
    this.#failures = 0
    this.#retryAt = 0
  }

  #eject(): void {
    this.#retryAt = this.#now() + Math.min(BACKOFF_MIN_MS * 2 ** this.#failures, BACKOFF_MAX_MS)
    this.#failures++
  }
}

/** The servers that answer for one upstream. */
export class Targets {
  readonly #targets: readonly Target[]
  #next = 0

  /** @param targets at least one, if `pick` is called. */
  constructor(targets: readonly Target[]) {
    this.#targets = targets
  }

  get size(): number {
    return this.#targets.length
  }

  /**
   * The one with the fewest requests and streams on their way; among equals round robin; only those that can be reached. If
   * none can, the one whose time comes first: a wrong verdict must not make the upstream unreachable.
   */
  pick(): Target {
    const [first] = this.#targets
    if (this.#targets.length === 1) return first!
    let best: Target | undefined
    let soonest = first!
    const { length } = this.#targets
    this.#next = (this.#next + 1) % length
    for (let i = 0; i < length; i++) {
      const target = this.#targets[(this.#next + i) % length]!
      if (target.isAvailable()) {
        if (best === undefined || target.connections.load < best.connections.load) best = target
      } else if (target.retryAt < soonest.retryAt) soonest = target
    }
    const chosen = best ?? soonest
    chosen.chosen()
    return chosen
  }

  async close(): Promise<void> {
    await Promise.all(this.#targets.map(({ connections }) => connections.close()))
  }
}
