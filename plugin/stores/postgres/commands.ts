import { ServerClock } from '../clock.ts'
import { StoreError } from '../store.ts'
import { lostPreparedStatement, storeError } from './failure.ts'
import { type PostgresPool, type QueryResult, runQuery } from './query.ts'
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
  async run(operation: string, statement: Statement, values: unknown[] = []): Promise<QueryResult> {
    if (this.#closed) throw new StoreError('postgres', operation, 'closed')
    const startedAt = this.clock.start()
    try {
      const answer = await this.#runOnPool(statement, values)
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
  async #runOnPool({ name, text }: Statement, values: unknown[]): Promise<QueryResult> {
    const unnamed = { text, values }
    if (!this.#prepares) return runQuery(this.#pool, unnamed, this.#timeoutMs)
    return runQuery(this.#pool, { name, ...unnamed }, this.#timeoutMs).catch((error: unknown) => {
      if (!lostPreparedStatement(error)) throw error
      this.#prepares = false
      return runQuery(this.#pool, unnamed, this.#timeoutMs)
    })
  }
}
