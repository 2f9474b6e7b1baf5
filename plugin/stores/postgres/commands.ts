import { ServerClock } from '../clock.ts'
import { StoreError } from '../store.ts'
import { type Answer, ask, type PostgresPool } from './ask.ts'
import { lostPreparedStatement, storeError } from './failure.ts'
import type { Statement } from './statements.ts'

/** Runs statements for the store: bounded, on its clock, and failing in its words. */
export class PostgresCommands {
  readonly clock = new ServerClock()
  readonly #pool: PostgresPool
  readonly #timeoutMs: number
  /** Until a pooler is met that keeps no prepared statements. */
  #prepares = true
  #closed = false

  constructor(pool: PostgresPool, timeoutMs: number) {
    this.#pool = pool
    this.#timeoutMs = timeoutMs
    // The pool reports idle connections that were lost; unheard, that would end the process. It replaces them.
    if (pool.listenerCount('error') === 0) pool.on('error', () => {})
  }

  /** @throws StoreError when there is no answer, or after `close`. */
  async run(operation: string, statement: Statement, values: unknown[] = []): Promise<Answer> {
    if (this.#closed) throw new StoreError('postgres', operation, 'closed')
    const startedAt = this.clock.start()
    try {
      const answer = await this.#askPool(statement, values)
      this.observe(answer.rows[0], startedAt)
      return answer
    } catch (error) {
      throw storeError(operation, error)
    }
  }

  /** Takes the server's time out of a row that has it, in answer to what was sent at `startedAt`. */
  observe(row: Record<string, unknown> | undefined, startedAt: number): void {
    if (row?.now_ms !== undefined) this.clock.observe(Number(row.now_ms), startedAt)
  }

  close(): void {
    this.#closed = true
  }

  /** PgBouncer before 1.21 mixes connections up; its first refusal, which has executed nothing, tells. */
  async #askPool({ name, text }: Statement, values: unknown[]): Promise<Answer> {
    const unnamed = { text, values }
    if (!this.#prepares) return ask(this.#pool, unnamed, this.#timeoutMs)
    return ask(this.#pool, { name, ...unnamed }, this.#timeoutMs).catch((error: unknown) => {
      if (!lostPreparedStatement(error)) throw error
      this.#prepares = false
      return ask(this.#pool, unnamed, this.#timeoutMs)
    })
  }
}
