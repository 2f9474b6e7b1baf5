interface Answer {
  readonly stream: { setTimeout(ms: number, run: () => void): unknown }
  destroy(): unknown
}

/**
 * Answers that have ended and are on their way. One that has not left when it is looked at for the second time gets a
 * timer: it is destroyed when nothing moves for too long.
 */
export class LeavingAnswers<One extends Answer> {
  readonly #lookMs: number
  readonly #stalledMs: number
  #recent = new Set<One>()
  #seen = new Set<One>()
  #timer: NodeJS.Timeout | undefined

  /** @param lookMs between two looks. @param stalledMs for the timer, in milliseconds. */
  constructor(lookMs: number, stalledMs: number) {
    this.#lookMs = lookMs
    this.#stalledMs = stalledMs
  }

  add(answer: One): void {
    this.#recent.add(answer)
    this.#timer ??= setInterval(() => this.#look(), this.#lookMs).unref()
  }

  /** It has left. */
  delete(answer: One): void {
    if (!this.#recent.delete(answer)) this.#seen.delete(answer)
  }

  #look(): void {
    for (const answer of this.#seen) answer.stream.setTimeout(this.#stalledMs, () => answer.destroy())
    this.#seen = this.#recent
    this.#recent = new Set()
    if (this.#seen.size > 0) return
    clearInterval(this.#timer)
    this.#timer = undefined
  }
}
