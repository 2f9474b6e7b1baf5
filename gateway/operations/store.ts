import { type ConfigProblem, memoryStore, postgresStore, redisStore, type Store } from '../../plugin/index.ts'
import { checkPostgres, createPostgresPool, migratePostgres } from '../../plugin/stores/postgres/index.ts'
import { checkRedis, createRedisClient, type RedisClient } from '../../plugin/stores/redis/index.ts'
import type { StoreSettings } from '../config/schemas/store.ts'

/** The configured store, and what the gateway does around it. Nothing is connected before `prepare`. */
export interface ConfiguredStore {
  readonly store: Store
  /** For `app.redis`: programs that build the gateway share its client. */
  readonly redis?: RedisClient
  /** Looks, before anything listens, whether it can be used. Resolves to warnings. @throws StoreError */
  prepare(): Promise<readonly string[]>
  /** Makes or updates the tables, where there are any. @throws StoreError */
  migrate?(): Promise<void>
  /** Closes the store and its connections. */
  close(): Promise<void>
}

/**
 * Makes the configured store, or says why there can be none. The one place that knows the kinds of stores.
 *
 * @param url of redis and postgres, wherever it was configured.
 */
export function createStore(
  settings: StoreSettings,
  url: string | undefined,
): ConfiguredStore | ConfigProblem {
  const { type = 'memory', maxRecords, dangerouslyAllowInProduction, listenUrl } = settings
  if (type === 'memory' && url !== undefined) {
    return { path: ['store', 'url'], problem: 'must be absent: the memory store has none' }
  }
  if (type !== 'memory' && url === undefined) {
    return { path: ['store', 'url'], problem: `is required: type is ${type}` }
  }
  if (type !== 'postgres' && listenUrl !== undefined) {
    return { path: ['store', 'listenUrl'], problem: 'must be absent: only postgres has one' }
  }
  try {
    if (type === 'redis') return inRedis(url!)
    if (type === 'postgres') return inPostgres(url!, listenUrl)
    return inMemory({
      ...(maxRecords !== undefined && { maxRecords }),
      ...(dangerouslyAllowInProduction !== undefined && { dangerouslyAllowInProduction }),
    })
  } catch (error) {
    // A cluster worker, production, or a URL of another form: the message holds neither address nor credential.
    return { path: type === 'memory' ? ['store'] : ['store', 'url'], problem: (error as Error).message }
  }
}

function inMemory(options: Parameters<typeof memoryStore>[0]): ConfiguredStore {
  const store = memoryStore(options)
  return { store, prepare: async () => [], close: () => store.close() }
}

function inRedis(url: string): ConfiguredStore {
  const redis = createRedisClient({ url })
  const store = redisStore({ client: redis })
  return {
    store,
    redis,
    prepare: () => checkRedis(redis),
    async close() {
      await store.close()
      redis.disconnect()
    },
  }
}

function inPostgres(url: string, listenUrl: string | undefined): ConfiguredStore {
  const pool = createPostgresPool(url, { pooler: listenUrl !== undefined })
  const store = postgresStore({ pool, ...(listenUrl !== undefined && { listen: listenUrl }) })
  return {
    store,
    prepare: () => checkPostgres(pool),
    migrate: () => migratePostgres(pool),
    async close() {
      await store.close()
      await pool.end()
    },
  }
}
