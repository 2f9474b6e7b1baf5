import { ServerClock } from '../clock.ts'
import { StoreError } from '../store.ts'
import {
  FinalStoreError,
  failures,
  isReadOnly,
  isRefusedCredential,
  lostPreparedStatement,
  storeError,
} from './failure.ts'
import { type PostgresPool, type Query, type QueryResult, runQuery } from './query.ts'
import type { Statement } from './statements.ts'

/**
 * Runs statements for the store: bounded, on its clock, and failing in its words.
 *
 * A server that was the primary may keep its connections. Its refusal of a write makes all of them be made anew, and
 * the name in the pool's options leads to the new primary then (requirements Q-08).
 */
export class PostgresCommands {
  readonly clock = new ServerClock()
  readonly #pool: PostgresPool
  readonly #timeoutMs: number
  /** Until a pooler is met that keeps no prepared statements. */
  #prepares = true
  #closed = false
  /** Clients that were connected before lead to a server that is no primary. */
  #connectedAfter = 0

  constructor(pool: PostgresPool, timeoutMs: number) {
    this.#pool = pool
    this.#timeoutMs = timeoutMs
    // The pool reports idle connections that were lost; unheard, that would end the process. It replaces them.
    if (pool.listenerCount('error') === 0) pool.on('error', () => {})
  }

  /** @throws StoreError when there is no answer, or after `close`. */
  async run(operation: string, statement: Statement, values: unknown[] = []): Promise<QueryResult> {
    if (this.#closed) throw new FinalStoreError('postgres', operation, 'closed')
    const startedAt = this.clock.start()
    try {
      const answer = await this.#runOnPool(statement, values).catch(async (error: unknown) => {
        if (!isRefusedCredential(error) || !this.#pool.renewCredentials) throw error
        await this.#pool.renewCredentials()
        return this.#runOnPool(statement, values)
      })
      this.observe(answer.rows[0], startedAt)
      return answer
    } catch (error) {
      if (isReadOnly(error)) throw this.readOnly(operation)
      throw storeError(operation, error)
    }
  }

  /** The error of a server that takes no writes, and the end of every connection to it. */
  readOnly(operation: string): StoreError {
    this.#connectedAfter = performance.now()
    return new StoreError('postgres', operation, `${failures.readOnly} (25006)`)
  }

  /** After a LISTEN connection was refused. */
  async renewCredentials(): Promise<void> {
    await this.#pool.renewCredentials?.()
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
    const run = (query: Query) => runQuery(this.#pool, query, this.#timeoutMs, this.#connectedAfter)
    if (!this.#prepares) return run(unnamed)
    return run({ name, ...unnamed }).catch((error: unknown) => {
      if (!lostPreparedStatement(error)) throw error
      this.#prepares = false
      return run(unnamed)
    })
  }
}
