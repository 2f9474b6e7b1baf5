import pg from 'pg'
import type { Test } from 'tap'
import {
  createPostgresPool,
  migratePostgres,
  type PostgresPoolOptions,
} from '../../plugin/stores/postgres/index.ts'
import { type PostgresStoreOptions, postgresStore } from '../../plugin/stores/postgres/store.ts'
import type { StoreWatcher } from '../../plugin/stores/store.ts'
import { type PostgresServer, startPostgres } from './postgres-server.ts'

/** An outage is answered within a second; 200 callers at once on a busy machine may take longer. */
export const patientMs = 10_000
/** A second, and as much again for a busy machine. */
export const promptMs = 2000

/**
 * Starts a PostgreSQL with the tables for the tests that `run` declares. It ends with `t`.
 * Where none can be started, they are skipped, and a line says so.
 */
export async function withPostgres(
  t: Test,
  run: (server: PostgresServer, admin: pg.Pool) => void,
): Promise<void> {
  // Real time passes: the store has no clock but the server's.
  t.setTimeout(300_000)
  const server = await startPostgres().catch((error: Error) => error)
  if (server instanceof Error) {
    console.error(`SKIPPED, all tests of postgresStore: ${server.message}`)
    t.pass('postgresStore', { skip: server.message })
    return
  }
  const admin = new pg.Pool({ connectionString: server.url(), max: 5 })
  admin.on('error', () => {})
  t.teardown(async () => {
    await admin.end()
    await server.stop()
  })
  await migratePostgres(admin)
  run(server, admin)
}

export type Options = Partial<PostgresStoreOptions> & { url?: string; pool?: never } & PostgresPoolOptions

/** A store of its own pool. Both end with the test, or before. */
export async function storeFor(
  server: PostgresServer,
  { url = server.url(), max, pooler, ...options }: Options = {},
) {
  const pool = await createPostgresPool(url, { max: max ?? 5, pooler: pooler ?? false })
  const store = postgresStore({ janitor: false, ...options, pool })
  let ended: Promise<void> | undefined
  const close = async () => {
    await store.close()
    ended ??= pool.end()
    await ended
  }
  return { store, pool, close }
}

export async function openStore(t: Test, server: PostgresServer, options: Options = {}) {
  const { store, pool, close } = await storeFor(server, options)
  t.teardown(close)
  return { store, pool }
}

/** A watcher whose events can be awaited, with the time they took. */
export function watcherOf(): StoreWatcher & { next(event: string): Promise<number>; heard: string[] } {
  const heard: string[] = []
  const waiting = new Map<string, () => void>()
  const hear = (event: string) => {
    heard.push(event)
    waiting.get(event)?.()
  }
  return {
    heard,
    onChange: (key) => hear(`change ${key}`),
    onGap: () => hear('gap'),
    onResume: () => hear('resume'),
    async next(event) {
      const startedAt = performance.now()
      await new Promise<void>((resolve) => waiting.set(event, resolve))
      return performance.now() - startedAt
    },
  }
}

export async function timed(work: Promise<unknown>): Promise<{ error: Error | undefined; tookMs: number }> {
  const startedAt = performance.now()
  const error = await work.then(
    () => undefined,
    (thrown: Error) => thrown,
  )
  return { error, tookMs: performance.now() - startedAt }
}

export async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('it did not come to pass within 10 s')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Ends the backends whose last statement is like `pattern`, and says how many. */
export async function terminate(admin: pg.Pool, pattern: string): Promise<number> {
  const { rowCount } = await admin.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE $1 AND pid <> pg_backend_pid()',
    [pattern],
  )
  return rowCount ?? 0
}
