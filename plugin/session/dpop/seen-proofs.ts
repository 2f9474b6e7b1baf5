/** As many as one process forwards in the life of a nonce, with some 100 bytes each. */
const SEEN_MAX = 300_000

/**
 * The proofs that have been used here, each for as long as its nonce is accepted: then no nonce accepts it again.
 *
 * It forgets nothing before that. When it is full, nothing more is accepted (RFC 9449 §11.1, requirements O-03).
 */
export class SeenProofs {
  readonly #max: number
  readonly #byWindow = new Map<number, Set<string>>()
  #size = 0

  constructor(max = SEEN_MAX) {
    this.#max = max
  }

  /** @param window of the proof's nonce. */
  has(window: number, proof: string): boolean {
    return this.#byWindow.get(window)?.has(proof) ?? false
  }

  /** @returns false if there is no room. */
  add(window: number, proof: string, oldestWindow: number): boolean {
    let seen = this.#byWindow.get(window)
    if (seen === undefined) {
      this.#forgetBefore(oldestWindow)
      seen = new Set()
      this.#byWindow.set(window, seen)
    }
    if (this.#size >= this.#max) return false
    seen.add(proof)
    this.#size++
    return true
  }

  #forgetBefore(oldestWindow: number): void {
    for (const [window, { size }] of this.#byWindow) {
      if (window >= oldestWindow) continue
      this.#byWindow.delete(window)
      this.#size -= size
    }
  }
}
