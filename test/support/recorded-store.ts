/** What an earlier release left in a real store, laid into a real store of now, byte for byte but for its times. */
import { Redis } from 'ioredis'
import pg from 'pg'
import { createPostgresPool, migratePostgres } from '../../plugin/stores/postgres/index.ts'
import type { SharedStore } from './shared-store.ts'

/** How long the change of releases took: longer than any moment of grace, shorter than the life of a code. */
const DOWNTIME_MS = 20_000
/** Every number of this size in a record is a time in milliseconds since the epoch; nothing else is as large. */
const SMALLEST_TIME = 1e12

/** A key of Redis as it was read out. */
type RecordedKey = { readonly key: string; readonly ttlMs: number } & (
  | { readonly type: 'hash'; readonly fields: Readonly<Record<string, string>> }
  | { readonly type: 'zset'; readonly members: Readonly<Record<string, number>> }
)
type RecordedRow = Readonly<Record<string, string | number>>

/** The Redis of an earlier release. */
export interface RecordedRedis {
  /** By the server's clock. */
  readonly recordedAt: number
  readonly keys: readonly RecordedKey[]
}

/** The PostgreSQL of an earlier release. */
export interface RecordedPostgres {
  readonly recordedAt: number
  /** What that release made its tables with, by lines. */
  readonly ddl: readonly string[]
  /** Rows by table; `expires_at` is in milliseconds since the epoch. */
  readonly tables: Readonly<Record<string, readonly RecordedRow[]>>
}

/** Fills the first server of `store` with what was recorded. @returns by how much every time was moved. */
export async function loadRedis({ redis }: SharedStore, recorded: RecordedRedis): Promise<number> {
  const client = new Redis({ port: redis[0]!.port, host: '127.0.0.1' })
  const shiftMs = Date.now() - recorded.recordedAt - DOWNTIME_MS
  try {
    for (const { ttlMs, ...recordedKey } of recorded.keys) {
      const { key } = recordedKey
      if (recordedKey.type === 'hash') await client.hset(key, moveTimes(recordedKey.fields, shiftMs))
      else {
        for (const [member, until] of Object.entries(recordedKey.members)) {
          await client.zadd(key, String(until + shiftMs), member)
        }
      }
      await client.pexpire(key, ttlMs - DOWNTIME_MS)
    }
  } finally {
    client.disconnect()
  }
  return shiftMs
}

/**
 * Replaces the tables of `store` with those of the earlier release, fills them, and upgrades them as an operator does.
 * @returns by how much every time was moved.
 */
export async function loadPostgres({ postgres }: SharedStore, recorded: RecordedPostgres): Promise<number> {
  const client = new pg.Client({ connectionString: postgres.url() })
  const shiftMs = Date.now() - recorded.recordedAt - DOWNTIME_MS
  await client.connect()
  try {
    await client.query('DROP SCHEMA pkce CASCADE')
    await client.query(recorded.ddl.join('\n'))
    await client.query('DELETE FROM pkce.schema_version')
    for (const [table, rows] of Object.entries(recorded.tables)) {
      for (const row of rows) await insert(client, table, moveTimes(row, shiftMs))
    }
  } finally {
    await client.end()
  }
  const pool = createPostgresPool(postgres.url(), { max: 1 })
  await migratePostgres(pool)
  await pool.end()
  return shiftMs
}

async function insert(client: pg.Client, table: string, row: RecordedRow): Promise<void> {
  const columns = Object.keys(row)
  const places = columns.map((column, n) =>
    column === 'expires_at' ? `to_timestamp($${n + 1}::float8 / 1000)` : `$${n + 1}`,
  )
  await client.query(`INSERT INTO pkce.${table} (${columns}) VALUES (${places})`, Object.values(row))
}

/** The row or hash with every time moved: its own, and those inside of a record. */
function moveTimes<T extends RecordedRow>(row: T, shiftMs: number): T {
  const move = (value: unknown) =>
    typeof value === 'number' && value >= SMALLEST_TIME ? value + shiftMs : value
  const moved = Object.entries(row).map(([name, value]) => [
    name,
    name === 'value' ? JSON.stringify(JSON.parse(String(value), (_name, part) => move(part))) : move(value),
  ])
  return Object.fromEntries(moved)
}
