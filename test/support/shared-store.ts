/** Each kind of store as the tests of whole flows need it: a real server, stores on it, and a look at what it keeps. */
import { Redis } from 'ioredis'
import pg from 'pg'
import type { Test } from 'tap'
import type { GatewayInput } from '../../gateway/config/schemas/gateway.ts'
import { memoryStore, type Store } from '../../plugin/index.ts'
import { createPostgresPool, migratePostgres } from '../../plugin/stores/postgres/index.ts'
import { postgresStore } from '../../plugin/stores/postgres/store.ts'
import { createRedisClient } from '../../plugin/stores/redis/index.ts'
import { redisStore } from '../../plugin/stores/redis/store.ts'
import { type PostgresServer, startPostgres } from './postgres-server.ts'
import { noRedis, type RedisServer, startCluster, startRedis } from './redis-server.ts'

export type StoreKind = 'memory' | 'redis' | 'redis-cluster' | 'postgres'

/** One row, hash, set or string, as whoever steals a dump reads it. */
export interface Dumped {
  readonly key: string
  readonly row: unknown
}

/** What a test asks of whoever owns what it starts: a `Test`, or a script that ends it itself. */
export type Owner = Pick<Test, 'teardown'>

export interface SharedStore {
  readonly kind: StoreKind
  /** For a gateway's configuration. */
  readonly settings: NonNullable<GatewayInput['store']>
  /** A store of its own client, as an instance has it; of memory, always the same one. Closed when `owner` ends. */
  open(owner?: Owner): Store
  /** Everything that is kept now, of every key and every table. */
  dump(): Promise<Dumped[]>
  /** The server, or the masters of the Cluster. */
  readonly redis: readonly RedisServer[]
  /** @throws Error when it is another kind. */
  readonly postgres: PostgresServer
}

/**
 * Starts the servers of a store and makes its tables.
 *
 * @param redisArgs further arguments of a single Redis, which keeps nothing on disk by itself.
 * @returns why there can be none here, for `skip`; it has been said on stderr too.
 */
export async function startSharedStore(
  t: Owner,
  kind: StoreKind,
  redisArgs: string[] = [],
): Promise<SharedStore | string> {
  try {
    switch (kind) {
      case 'memory':
        return inMemory(t)
      case 'postgres':
        return await onPostgres(t)
      default:
        if (noRedis) throw new Error(noRedis)
        return await onRedis(t, kind, redisArgs)
    }
  } catch (error) {
    const skipped = `SKIPPED on ${kind}: ${(error as Error).message}`
    console.error(skipped)
    return skipped
  }
}

function inMemory(t: Owner): SharedStore {
  const store = memoryStore()
  t.teardown(() => store.close())
  return {
    kind: 'memory',
    settings: { type: 'memory' },
    open: () => store,
    dump: async () => [],
    redis: [],
    get postgres(): never {
      throw new Error('memory is no PostgreSQL')
    },
  }
}

async function onRedis(t: Owner, kind: 'redis' | 'redis-cluster', redisArgs: string[]): Promise<SharedStore> {
  const isCluster = kind === 'redis-cluster'
  const cluster = isCluster ? await startCluster() : undefined
  const servers = cluster?.servers ?? [await startRedis(redisArgs)]
  t.teardown(() => Promise.all(servers.map((server) => server.stop())))
  const [{ port }] = servers as [RedisServer]
  const url = `${isCluster ? 'redis+cluster' : 'redis'}://127.0.0.1:${port}`
  return {
    kind,
    settings: { type: 'redis', url },
    open(owner = t) {
      const client = createRedisClient({ url })
      const store = redisStore({ client })
      owner.teardown(async () => {
        await store.close()
        client.disconnect()
      })
      return store
    },
    dump: async () => (await Promise.all(servers.map((server) => dumpRedis(server.port)))).flat(),
    redis: servers,
    get postgres(): never {
      throw new Error('Redis is no PostgreSQL')
    },
  }
}

const redisReaders: Record<string, (client: Redis, key: string) => Promise<unknown>> = {
  string: (client, key) => client.get(key),
  hash: (client, key) => client.hgetall(key),
  zset: (client, key) => client.zrange(key, '0', '-1', 'WITHSCORES'),
  set: (client, key) => client.smembers(key),
  list: (client, key) => client.lrange(key, 0, -1),
  stream: (client, key) => client.xrange(key, '-', '+'),
}

async function dumpRedis(port: number): Promise<Dumped[]> {
  const client = new Redis({ port, host: '127.0.0.1' })
  try {
    const rows = (await client.keys('*')).map(async (key) => {
      const type = await client.type(key)
      // Gone meanwhile.
      if (type === 'none') return { key, row: null }
      return { key, row: await redisReaders[type]!(client, key) }
    })
    return await Promise.all(rows)
  } finally {
    client.disconnect()
  }
}

async function onPostgres(t: Owner): Promise<SharedStore> {
  const server = await startPostgres()
  t.teardown(() => server.stop())
  const pool = createPostgresPool(server.url(), { max: 2 })
  await migratePostgres(pool)
  await pool.end()
  return {
    kind: 'postgres',
    settings: { type: 'postgres', url: server.url() },
    open(owner = t) {
      const own = createPostgresPool(server.url(), { max: 5 })
      const store = postgresStore({ pool: own })
      owner.teardown(async () => {
        await store.close()
        await own.end()
      })
      return store
    },
    dump: () => dumpPostgres(server.url()),
    redis: [],
    postgres: server,
  }
}

async function dumpPostgres(connectionString: string): Promise<Dumped[]> {
  const client = new pg.Client({ connectionString })
  await client.connect()
  try {
    const { rows: tables } = await client.query<{ name: string }>(`
      SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables
      WHERE table_schema NOT IN ('pg_catalog', 'information_schema')`)
    const dumped: Dumped[] = []
    for (const { name } of tables) {
      const { rows } = await client.query<{ row: unknown }>(`SELECT to_jsonb(r) AS row FROM ${name} AS r`)
      dumped.push(...rows.map(({ row }) => ({ key: name, row })))
    }
    return dumped
  } finally {
    await client.end()
  }
}
