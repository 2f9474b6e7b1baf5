/** Clients that do the same thing again and again until it is over, and what they lost meanwhile. */

export const pause = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms))

export class Load<Kind extends string> {
  /** What succeeded. */
  readonly counts: Record<Kind, number>
  /** Each failure, with its kind. */
  readonly lost: string[] = []
  readonly #clients: Promise<void>[] = []
  #isOver = false

  constructor(kinds: readonly Kind[]) {
    this.counts = Object.fromEntries(kinds.map((kind) => [kind, 0])) as Record<Kind, number>
  }

  /** True from the moment at which `end` was called: what is cut off then was cut off by the test. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** @param once rejects when something is lost. */
  start(kind: Kind, clients: number, once: () => Promise<unknown>): void {
    for (let client = 0; client < clients; client++) this.#clients.push(this.#repeat(kind, once))
  }

  /** Resolves when each has ended what it was doing. */
  async end(): Promise<void> {
    this.#isOver = true
    await Promise.all(this.#clients)
  }

  async #repeat(kind: Kind, once: () => Promise<unknown>): Promise<void> {
    while (!this.#isOver) {
      try {
        await once()
        this.counts[kind]++
      } catch (error) {
        this.lost.push(`${kind}: ${error}`)
        await pause(10)
      }
    }
  }
}
