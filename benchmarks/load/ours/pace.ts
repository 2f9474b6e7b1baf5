import type { Client } from './connection.ts'

/** Timers are not finer. */
const TICK_MS = 1

/**
 * Sends at a fixed rate, whether or not the server keeps up: a request that finds no free connection waits, and its
 * latency counts from the moment at which it was due.
 *
 * What is due is looked for at every tick and at every answer: from one tick alone to the next, it would come in
 * bursts, and a burst that is half of what the server can do takes half of a tick, however fast the server is.
 */
export class Pace {
  readonly #perSecond: number
  readonly #send: (client: Client, due: number) => void
  readonly #free: Client[] = []
  readonly #late: number[] = []
  readonly #timer = setInterval(() => this.#sendDue(), TICK_MS)
  readonly #startedAt = performance.now()
  #begun = 0

  constructor(perSecond: number, send: (client: Client, due: number) => void) {
    this.#perSecond = perSecond
    this.#send = send
  }

  /** To be told when a client has its answer. */
  isFree(client: Client): void {
    const due = this.#late.shift()
    if (due === undefined) this.#free.push(client)
    else this.#send(client, due)
    this.#sendDue()
  }

  stop(): void {
    clearInterval(this.#timer)
  }

  #sendDue(): void {
    const now = performance.now()
    const due = ((now - this.#startedAt) / 1000) * this.#perSecond
    for (; this.#begun < due; this.#begun += 1) {
      const client = this.#free.pop()
      if (client) this.#send(client, now)
      else this.#late.push(now)
    }
  }
}
