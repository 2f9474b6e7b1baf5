import { type Answer, ask, type PostgresPool, type Query } from './postgres/ask.ts'
import { Changes } from './postgres/changes.ts'
import { type JanitorOptions, startJanitor } from './postgres/janitor.ts'
import { lostPreparedStatement, newerTables, storeError } from './postgres/problem.ts'
import { defaultSchema, type PostgresSchemaOptions, tablesVersion } from './postgres/schema.ts'
import { expiringTables, type Statement, type Statements, statements } from './postgres/statements.ts'
import { type Store, type StoredRecord, StoreError, type StoreWatcher } from './store.ts'

export type { PostgresPool } from './postgres/ask.ts'
export type { JanitorOptions } from './postgres/janitor.ts'
export { createPostgresPool, type OwnPostgresPool, type PostgresPoolOptions } from './postgres/pool.ts'
export { migratePostgres, type PostgresSchemaOptions, postgresDdl } from './postgres/schema.ts'

export interface PostgresStoreOptions extends PostgresSchemaOptions {
  /** A `pg.Pool` on the primary. It stays yours: the store does not end it. */
  pool: PostgresPool
  /**
   * Where to LISTEN, as a URL or `pg.Client` options. Behind PgBouncer in transaction mode this must be the server
   * itself. Default: as the pool, on a connection of its own.
   */
  listen?: string | object
  /** What one call may take, the wait for a connection included. Default 800. */
  timeoutMs?: number
  /** False: no janitor on this instance. */
  janitor?: JanitorOptions | false
  /** Hears of settings of the server that make it less safe than it should be. Default `process.emitWarning`. */
  onWarning?: (warning: string) => void
}

/**
 * A store in PostgreSQL (13 or later), for teams that already run it: tables of its own, made by `migratePostgres`.
 *
 * The first `watch` checks the server: it must be the primary, and hold the tables in this version.
 *
 * @throws RangeError when `schema` is no plain name.
 */
export function postgresStore(options: PostgresStoreOptions): Store {
  return new PostgresStore(options)
}

class PostgresStore implements Store {
  readonly name = 'postgres'
  readonly #pool: PostgresPool
  readonly #statements: Statements
  readonly #timeoutMs: number
  readonly #warn: (warning: string) => void
  readonly #changes: Changes
  readonly #endJanitor: () => void
  /** How far the server's clock is ahead of this process's monotonic one; before its first answer, our own. */
  #aheadMs: number = performance.timeOrigin
  #prepares: boolean = true
  #closed: boolean = false

  constructor({ pool, schema = defaultSchema, timeoutMs = 800, ...options }: PostgresStoreOptions) {
    this.#pool = pool
    this.#statements = statements(schema)
    this.#timeoutMs = timeoutMs
    this.#warn = options.onWarning ?? ((warning) => process.emitWarning(warning, 'PostgresStoreWarning'))
    this.#changes = new Changes({
      statements: this.#statements,
      connection: options.listen ?? pool.options,
      timeoutMs,
      sendEcho: async (nonce) => void (await this.#ask('watch', this.#statements.echo, [nonce])),
      onClock: (row) => this.#setClock(row),
    })
    const { janitor = {} } = options
    this.#endJanitor =
      janitor === false
        ? () => {}
        : startJanitor(
            this.#statements.sweeps,
            (sweep, values) => this.#ask('janitor', sweep, values),
            janitor,
          )
    // The pool reports idle connections that were lost; unheard, that would end the process. It replaces them.
    if (pool.listenerCount('error') === 0) pool.on('error', () => {})
  }

  now(): number {
    return Math.round(performance.now() + this.#aheadMs)
  }

  async create(key: string, value: string, ttlMs: number): Promise<boolean> {
    return changedOne(await this.#ask('create', this.#statements.create, [key, value, ttlMs]))
  }

  async read(key: string): Promise<StoredRecord | null> {
    const { rows } = await this.#ask('read', this.#statements.read, [key])
    const [row] = rows
    return row === undefined ? null : { value: String(row.value), version: Number(row.version) }
  }

  async replace(key: string, version: number, value: string, ttlMs: number): Promise<boolean> {
    return changedOne(await this.#ask('replace', this.#statements.replace, [key, version, value, ttlMs]))
  }

  async reserve(key: string, ttlMs: number): Promise<boolean> {
    return changedOne(await this.#ask('reserve', this.#statements.reserve, [key, ttlMs]))
  }

  async addToIndex(indexes: readonly string[], member: string, ttlMs: number): Promise<void> {
    await this.#ask('addToIndex', this.#statements.addToIndex, [inOrder(indexes), member, ttlMs])
  }

  async readIndex(index: string): Promise<string[]> {
    const { rows } = await this.#ask('readIndex', this.#statements.readIndex, [index])
    return rows.map(({ member }) => String(member))
  }

  async removeFromIndex(indexes: readonly string[], member: string): Promise<void> {
    await this.#ask('removeFromIndex', this.#statements.removeFromIndex, [inOrder(indexes), member])
  }

  async watch(watcher: StoreWatcher): Promise<() => void> {
    const server = await this.#check('watch')
    if (Number(server.version) > tablesVersion) throw storeError('watch', { code: newerTables })
    if (Number(server.version) < tablesVersion) {
      throw new StoreError(
        this.name,
        'watch',
        'the tables are of an older version: run `pkce-gateway migrate`',
      )
    }
    if (server.permitted !== true) {
      throw new StoreError(
        this.name,
        'watch',
        'the role needs SELECT, INSERT, UPDATE and DELETE on the tables',
      )
    }
    this.#warnOf(server)
    return this.#changes.watch(watcher)
  }

  async check(): Promise<void> {
    await this.#check('check')
  }

  async close(): Promise<void> {
    this.#closed = true
    this.#endJanitor()
    this.#changes.close()
  }

  /** What there is to know about the server. @throws StoreError when it is read-only. */
  async #check(operation: string): Promise<Record<string, unknown>> {
    const { rows } = await this.#ask(operation, this.#statements.check, [expiringTables])
    const server = rows[0] ?? {}
    if (server.read_only !== false) throw storeError(operation, { code: '25006' })
    return server
  }

  #warnOf(server: Record<string, unknown>): void {
    if (server.loses_commits === true) {
      this.#warn('PostgreSQL: synchronous_commit is off: a crash of the server can bring used codes back')
    }
    if (server.unbounded === true) {
      this.#warn('PostgreSQL: statement_timeout is 0: a statement that was given up can go on for ever')
    }
    if (!Reflect.get(this.#pool.options, 'connectionTimeoutMillis')) {
      this.#warn(
        'PostgreSQL: the pool has no connectionTimeoutMillis: it recovers late from a network failure',
      )
    }
  }

  async #ask(operation: string, statement: Statement, values: unknown[]): Promise<Answer> {
    if (this.#closed) throw new StoreError(this.name, operation, 'closed')
    try {
      const answer = await this.#askPool({ ...statement, values })
      this.#setClock(answer.rows[0])
      return answer
    } catch (error) {
      throw storeError(operation, error)
    }
  }

  /** A pooler that keeps no prepared statements is found out by its first refusal, and then asked without names. */
  async #askPool(query: Query & Statement): Promise<Answer> {
    const { name, ...unnamed } = query
    if (!this.#prepares) return ask(this.#pool, unnamed, this.#timeoutMs)
    return ask(this.#pool, query, this.#timeoutMs).catch((error: unknown) => {
      if (!lostPreparedStatement(error)) throw error
      this.#prepares = false
      return ask(this.#pool, unnamed, this.#timeoutMs)
    })
  }

  /** By the monotonic clock, so that a step of the local one moves no lifetime until the next answer. */
  #setClock(row: Record<string, unknown> | undefined): void {
    if (row?.now_ms !== undefined) this.#aheadMs = Number(row.now_ms) - performance.now()
  }
}

function changedOne({ rowCount }: Answer): boolean {
  return rowCount === 1
}

/** Once each and sorted, so that two statements on the same indexes never wait for each other. */
function inOrder(indexes: readonly string[]): string[] {
  return [...new Set(indexes)].sort()
}
