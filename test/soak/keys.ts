import { setTimeout as pause } from 'node:timers/promises'
import { Redis } from 'ioredis'
import pg from 'pg'
import type { Owner, SharedStore } from '../support/shared-store.ts'
import { LOGIN_MS } from './lifetimes.ts'

/** What a store keeps for a while, and how long it still will; -1 for ever. */
export interface Key {
  readonly name: string
  readonly ms: number
}

/** How long a row of PostgreSQL may still be there after its end: the janitor comes once a minute. */
const JANITOR_MS = 95_000

/** A look into the store, past the gateway. */
export interface Keys {
  /** Those that count: what has expired is nothing. */
  all(): Promise<Key[]>
  /** Whatever takes room, after all of it has expired; but for the marks of channels that stand. */
  leftOver(): Promise<number>
}

/** What a beat of an instance's channel leaves for ten seconds. It belongs to no login. */
export const isMark = (name: string) => /:beat:[\w-]+$/.test(name)

export function keysOf(owner: Owner, store: SharedStore): Keys {
  return store.kind === 'postgres' ? keysOfPostgres(owner, store.postgres.url()) : keysOfRedis(owner, store)
}

function keysOfRedis(owner: Owner, { redis }: SharedStore): Keys {
  const client = new Redis(redis[0]!.port, '127.0.0.1', { retryStrategy: () => 100 })
  client.on('error', () => {})
  owner.teardown(() => client.disconnect())
  return {
    async all() {
      const names = await client.keys('*')
      const keys = await Promise.all(names.map(async (name) => ({ name, ms: await client.pttl(name) })))
      return keys.filter(({ ms }) => ms !== -2)
    },
    async leftOver() {
      await pause(LOGIN_MS)
      return (await client.keys('*')).filter((name) => !isMark(name)).length
    },
  }
}

/** The members of one index are one key, as in Redis. */
const ROWS = `
  SELECT key AS name, expires_at FROM pkce.records
  UNION ALL SELECT key, expires_at FROM pkce.reservations
  UNION ALL SELECT name, max(expires_at) FROM pkce.index_members GROUP BY name`

function keysOfPostgres(owner: Owner, connectionString: string): Keys {
  const pool = new pg.Pool({ connectionString, max: 1 })
  pool.on('error', () => {})
  owner.teardown(() => pool.end())
  const query = async <Row extends object>(text: string): Promise<Row[]> => {
    for (;;) {
      try {
        return (await pool.query<Row>(text)).rows
      } catch (error) {
        // It is down for a moment: that is what this is about.
        if (/syntax|exist/.test((error as Error).message)) throw error
        await pause(100)
      }
    }
  }
  return {
    all: () =>
      query<Key>(`
        SELECT name, coalesce(extract(epoch FROM nullif(expires_at, 'infinity') - now()) * 1000, -1)::float8 AS ms
        FROM (${ROWS}) AS rows WHERE expires_at > now()`),
    async leftOver() {
      await pause(LOGIN_MS + JANITOR_MS)
      return (await query<object>(`SELECT name FROM (${ROWS}) AS rows`)).length
    },
  }
}
