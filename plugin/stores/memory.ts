import cluster from 'node:cluster'
import { type Store, type StoredRecord, StoreError, type StoreWatcher } from './store.ts'

export interface MemoryStoreOptions {
  /** Live records and reservations at most; a full store refuses new ones rather than evict. Default 100,000. */
  maxRecords?: number
  /** Allows `NODE_ENV=production`: state is lost at every restart and cannot be shared. Default false. */
  dangerouslyAllowInProduction?: boolean
  /** Milliseconds since the epoch. For tests; default `Date.now`. */
  now?: () => number
}

/**
 * The embedded default: one process, development and tests.
 *
 * @throws Error when started in a cluster worker, or in production without `dangerouslyAllowInProduction`:
 * a second process would not see the first one's grants (requirements G-13).
 */
export function memoryStore(options: MemoryStoreOptions = {}): Store {
  const { maxRecords = 100_000, dangerouslyAllowInProduction = false, now = Date.now } = options
  if (cluster.isWorker) {
    throw new Error(
      'memoryStore: a cluster worker shares no memory with the others; use redisStore or postgresStore',
    )
  }
  if (process.env.NODE_ENV === 'production' && !dangerouslyAllowInProduction) {
    throw new Error(
      'memoryStore: NODE_ENV is production and this store loses every session at a restart; use redisStore or postgresStore, or set dangerouslyAllowInProduction',
    )
  }
  return new MemoryStore(maxRecords, now)
}

interface Entry extends StoredRecord {
  readonly expiresAt: number
}
