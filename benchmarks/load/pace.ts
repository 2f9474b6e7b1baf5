import type { Connection } from './connection.ts'

/** In every period a small burst: timers are not finer. */
const TICK_MS = 1

/**
 * Sends at a fixed rate, whether or not the server keeps up: a request that finds no free connection waits, and its
 * latency counts from the moment at which it was due.
 */
export class Pace {
  readonly #send: (connection: Connection, due: number) => void
  readonly #free: Connection[] = []
  readonly #late: number[] = []
  readonly #timer: NodeJS.Timeout

  constructor(perSecond: number, send: (connection: Connection, due: number) => void) {
    this.#send = send
    const startedAt = performance.now()
    let begun = 0
    this.#timer = setInterval(() => {
      const now = performance.now()
      for (; begun < ((now - startedAt) / 1000) * perSecond; begun += 1) {
        const connection = this.#free.pop()
        if (connection) send(connection, now)
        else this.#late.push(now)
      }
    }, TICK_MS)
  }

  /** To be told when a connection has its answer. */
  isFree(connection: Connection): void {
    const due = this.#late.shift()
    if (due === undefined) this.#free.push(connection)
    else this.#send(connection, due)
  }

  stop(): void {
    clearInterval(this.#timer)
  }
}
