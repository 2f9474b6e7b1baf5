import { memoryStore, postgresStore, type RedisClient, redisStore, type Store } from '../../plugin/index.ts'
import {
  checkPostgres,
  createPostgresPool,
  migratePostgres,
  postgresUrlWithTls,
  postgresVersion,
} from '../../plugin/stores/postgres/index.ts'
import { checkRedis, createRedisClient, redisVersion } from '../../plugin/stores/redis/index.ts'
import { readTrust } from '../config/certificate.ts'
import type { StoreConfig } from '../config/schemas/config.ts'
import { rereadSecret } from '../config/secrets.ts'

/** A store, and what the gateway does around it. Nothing is connected before `prepare`. */
export interface GatewayStore {
  readonly store: Store
  /** For `app.redis`: programs that build the gateway share its client. */
  readonly redis?: RedisClient
  /** Looks, before anything listens, whether it can be used. Resolves to warnings. @throws StoreError */
  prepare(): Promise<readonly string[]>
  /** What the server is and which version, for people. Once it has been looked at. @throws StoreError */
  version?(): Promise<string | undefined>
  /** Makes or updates the tables, where there are any. @throws StoreError */
  migrate?(): Promise<void>
  /** Closes the store and its connections. */
  close(): Promise<void>
}

/**
 * Makes the configured store. The one place that knows the kinds of stores.
 *
 * @throws StoreError, Error when there can be none; `loadConfig` has found that out before.
 */
export function createStore(config: StoreConfig): GatewayStore {
  switch (config.type) {
    case 'memory':
      return createMemoryStore(config)
    case 'redis':
      return createRedisStore(config)
    case 'postgres':
      return createPostgresStore(config)
  }
}

/** A store that somebody else has made, looked at, and will close. */
export function borrowedStore(store: Store): GatewayStore {
  return { store, prepare: async () => [], close: async () => {} }
}

function createMemoryStore({
  maxRecords,
  dangerouslyAllowInProduction,
}: StoreConfig & { type: 'memory' }): GatewayStore {
  const store = memoryStore({ maxRecords, dangerouslyAllowInProduction })
  return { store, prepare: async () => [], close: () => store.close() }
}

function createRedisStore({
  url,
  urlFile,
  trust,
  ...sentinel
}: StoreConfig & { type: 'redis' }): GatewayStore {
  const { sentinelUsername, sentinelPassword } = sentinel
  const redis = createRedisClient({
    url,
    ...readAgain(urlFile),
    ...readTrust(trust ?? {}, ['store']),
    ...(sentinelUsername !== undefined && { sentinelUsername }),
    ...(sentinelPassword !== undefined && { sentinelPassword }),
  })
  const store = redisStore({ client: redis })
  return {
    store,
    redis,
    prepare: () => checkRedis(redis),
    version: () => redisVersion(redis),
    async close() {
      await store.close()
      redis.disconnect()
    },
  }
}

function createPostgresStore({
  url,
  urlFile,
  trust,
  ...listen
}: StoreConfig & { type: 'postgres' }): GatewayStore {
  const { listenUrl, listenUrlFile } = listen
  const pool = createPostgresPool(url, {
    pooler: listenUrl !== undefined,
    ...readAgain(urlFile),
    ...(trust && { tls: trust }),
  })
  const listenAt =
    listenUrlFile === undefined
      ? listenUrl && postgresUrlWithTls(listenUrl, trust)
      : async () => postgresUrlWithTls(await rereadSecret(listenUrlFile), trust)
  const store = postgresStore({ pool, ...(listenAt !== undefined && { listen: listenAt }) })
  return {
    store,
    prepare: () => checkPostgres(pool),
    version: () => postgresVersion(pool),
    migrate: () => migratePostgres(pool),
    async close() {
      await store.close()
      await pool.end()
    },
  }
}

function readAgain(urlFile: string | undefined): { readUrl?: () => Promise<string> } {
  return urlFile === undefined ? {} : { readUrl: () => rereadSecret(urlFile) }
}
