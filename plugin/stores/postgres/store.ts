import type { Channel } from '../channel.ts'
import type { Store, StoredRecord, StoreWatcher } from '../store.ts'
import { persistently } from '../within.ts'
import { createPostgresChannel } from './channel.ts'
import { checkServer } from './check.ts'
import { PostgresCommands } from './commands.ts'
import { mayPass } from './failure.ts'
import { type PostgresJanitorOptions, startJanitor } from './janitor.ts'
import type { PostgresPool, QueryResult } from './query.ts'
import { DEFAULT_SCHEMA, type PostgresSchemaOptions } from './schema.ts'
import { type Statements, statements } from './statements.ts'

export type { PostgresPool } from './query.ts'

/** For a server that is starting, or a failover. */
const START_MS = 5000

/** Options of `postgresStore`. */
export interface PostgresStoreOptions extends PostgresSchemaOptions {
  /** A `pg.Pool` on the primary. It stays the app's own; the store does not end it. */
  pool: PostgresPool
  /**
   * Where to LISTEN, as a URL or `pg.Client` options. Behind PgBouncer in transaction mode this must be the server
   * itself. Default: as the pool. It is a connection of its own, besides the pool's. A function is asked for the URL
   * each time that one is made.
   */
  listen?: string | object | (() => Promise<string>)
  /** How long any call may take before it fails. Default 800, so that an outage is answered within a second. */
  timeoutMs?: number
  /** False: no janitor on this instance. */
  janitor?: PostgresJanitorOptions | false
}

/**
 * State in PostgreSQL 13 or newer, shared by any number of instances, in tables that `migratePostgres` makes.
 *
 * Every call is one statement and so one transaction; all times are the server's. A write whose answer was lost
 * throws, and may have been done. The server lets one commit with a notification through at a time, so `replace`
 * scales to about one for each commit's flush to disk, not beyond.
 *
 * @throws RangeError when `schema` is no plain name.
 * Source: requirements G-06, G-07, G-11, G-12, G-14, G-17.
 */
export function postgresStore(options: PostgresStoreOptions): Store {
  return new PostgresStore(options)
}

class PostgresStore implements Store {
  readonly name = 'postgres'
  readonly #statements: Statements
  readonly #commands: PostgresCommands
  readonly #channel: Channel
  readonly #endJanitor: () => void
  #hasServed = false

  constructor({
    pool,
    schema = DEFAULT_SCHEMA,
    timeoutMs = 800,
    listen,
    janitor = {},
  }: PostgresStoreOptions) {
    if (!Number.isSafeInteger(timeoutMs) || timeoutMs < 1) {
      throw new RangeError('postgresStore: timeoutMs must be a positive integer')
    }
    this.#statements = statements(schema)
    this.#commands = new PostgresCommands(pool, timeoutMs)
    this.#channel = createPostgresChannel({
      statements: this.#statements,
      connection: listen ?? pool.options,
      timeoutMs,
      commands: this.#commands,
    })
    this.#endJanitor = janitor ? startJanitor(this.#statements.sweeps, this.#commands, janitor) : () => {}
  }

  now(): number {
    return this.#commands.clock.now()
  }

  async create(key: string, value: string, ttlMs: number): Promise<boolean> {
    return wroteOne(await this.#commands.run('create', this.#statements.create, [key, value, ttlMs]))
  }

  async read(key: string): Promise<StoredRecord | null> {
    const { rows } = await this.#commands.run('read', this.#statements.read, [key])
    const [row] = rows
    return row === undefined ? null : { value: String(row.value), version: Number(row.version) }
  }

  async replace(key: string, version: number, value: string, ttlMs: number): Promise<boolean> {
    const values = [key, version, value, ttlMs]
    return wroteOne(await this.#commands.run('replace', this.#statements.replace, values))
  }

  async reserve(key: string, ttlMs: number): Promise<boolean> {
    return wroteOne(await this.#commands.run('reserve', this.#statements.reserve, [key, ttlMs]))
  }

  async addToIndex(indexes: readonly string[], member: string, ttlMs: number): Promise<void> {
    const values = [inOrder(indexes), member, ttlMs]
    await this.#commands.run('addToIndex', this.#statements.addToIndex, values)
  }

  async readIndex(index: string): Promise<string[]> {
    const { rows } = await this.#commands.run('readIndex', this.#statements.readIndex, [index])
    return rows.map(({ member }) => String(member))
  }

  async removeFromIndex(indexes: readonly string[], member: string): Promise<void> {
    await this.#commands.run('removeFromIndex', this.#statements.removeFromIndex, [inOrder(indexes), member])
  }

  async watch(watcher: StoreWatcher): Promise<() => void> {
    const check = () => checkServer(this.#commands, 'watch', this.#statements)
    await (this.#hasServed ? check() : persistently(START_MS, mayPass, check))
    this.#hasServed = true
    return this.#channel.watch(watcher)
  }

  provedUntil(): number {
    return this.#channel.provedUntil
  }

  async check(): Promise<void> {
    await Promise.all([
      checkServer(this.#commands, 'check', this.#statements),
      this.#commands.run('check', this.#statements.checkWrite),
    ])
  }

  async close(): Promise<void> {
    this.#commands.close()
    this.#endJanitor()
    this.#channel.close()
  }
}

function wroteOne({ rowCount }: QueryResult): boolean {
  return rowCount === 1
}

/** Once each and sorted, so that two statements on the same indexes never wait for each other. */
function inOrder(indexes: readonly string[]): string[] {
  return [...new Set(indexes)].sort()
}
