import type { Cluster, Redis } from 'ioredis'
import { StoreError } from '../store.ts'
import { type RedisClient, RedisCommands } from './commands.ts'

/**
 * Looks, at start, whether this Redis can hold sessions. Resolves to warnings for the operator, none of which
 * names an address or a credential.
 *
 * @param timeoutMs how long connecting and looking may take together; what may pass, a server that is starting or a
 * failover, is tried again until then. Default 5000.
 * @throws StoreError when it cannot be reached (wrong address, wrong password), is older than 6.2 (7.0 for a
 * Cluster), is a read replica, or is a node of a Cluster asked by a client that knows of none.
 * Source: requirements G-09, G-11, G-16.
 */
export async function checkRedis(client: RedisClient, timeoutMs = 5000): Promise<string[]> {
  const commands = new RedisCommands(client, timeoutMs)
  try {
    const look = async () => {
      const servers = client.isCluster ? (client as Cluster).nodes('master') : [client as Redis]
      const warnings = await Promise.all(servers.map((server) => checkServer(server, client)))
      return [...new Set([...warnings.flat(), ...checkOptions(client)])]
    }
    return await commands.persistently('start', look, timeoutMs)
  } finally {
    commands.close()
  }
}

/** What the server is, e.g. `Redis 7.0.15`; undefined where INFO is not permitted. For people, on a client that has connected. */
export async function redisVersion(client: RedisClient): Promise<string | undefined> {
  const [server] = client.isCluster ? (client as Cluster).nodes('master') : [client as Redis]
  const info = server && (await readInfo(server))
  const [name, version] = info?.has('valkey_version')
    ? ['Valkey', info.get('valkey_version')]
    : ['Redis', info?.get('redis_version')]
  return version !== undefined && /^[\d.]+$/.test(version) ? `${name} ${version}` : undefined
}

async function checkServer(server: Redis, client: RedisClient): Promise<string[]> {
  const info = await readInfo(server)
  if (info === undefined) {
    return [
      'redis: INFO is not permitted, so the version, the role, maxmemory-policy and persistence were not checked',
    ]
  }
  refuse(info, client)
  return [...checkEviction(info), ...checkDurability(info, client)]
}

/** @throws StoreError, or READONLY for a replica. */
function refuse(info: Map<string, string>, client: RedisClient): void {
  const fail = (failure: string) => {
    throw new StoreError('redis', 'start', failure)
  }
  const version = info.get('redis_version') ?? ''
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const needed = client.isCluster ? '7.0' : '6.2'
  const [neededMajor = 0, neededMinor = 0] = needed.split('.').map(Number)
  if (major < neededMajor || (major === neededMajor && minor < neededMinor)) {
    fail(`the server is Redis ${/^[\d.]+$/.test(version) ? version : '?'}; ${needed} or newer is needed`)
  }
  // As the server itself would say it: after a failover the name may lead here for a moment.
  if (info.get('role') === 'slave') throw new Error('READONLY')
  if (info.get('cluster_enabled') === '1' && !client.isCluster) {
    fail('the server is a node of a Cluster; use a Cluster client (redis+cluster://)')
  }
}

function checkEviction(info: Map<string, string>): string[] {
  const policy = info.get('maxmemory_policy')
  if (policy === 'noeviction') return []
  if (policy === undefined)
    return ['redis: the server does not tell its maxmemory-policy; it must be noeviction']
  return [
    'redis: maxmemory-policy is not noeviction: when memory is short, Redis will drop live sessions and used codes',
  ]
}

function checkDurability(info: Map<string, string>, client: RedisClient): string[] {
  const isSentinel = !client.isCluster && Boolean((client as Redis).options.sentinels)
  return [
    ...(info.get('aof_enabled') === '0'
      ? [
          'redis: appendonly is off: a restart of Redis loses sessions, or brings back a code that has been used',
        ]
      : []),
    // The field exists only where the setting does.
    ...(isSentinel && !info.has('min_slaves_good_slaves')
      ? ['redis: min-replicas-to-write is 0: a failover may lose the newest writes']
      : []),
  ]
}

function checkOptions(client: RedisClient): string[] {
  const options = client.isCluster ? (client as Cluster).options.redisOptions : (client as Redis).options
  return [
    ...(options?.socketTimeout === undefined
      ? [
          'redis: the client has no socketTimeout: after a silent loss of the network it may stay cut off for minutes',
        ]
      : []),
    ...(options && 'failoverDetector' in options && options.failoverDetector
      ? [
          'redis: the client has a failoverDetector: a failover while it reconnects may end it for good (ioredis 6)',
        ]
      : []),
  ]
}

/** Managed services forbid INFO, or some of it. */
async function readInfo(server: Redis): Promise<Map<string, string> | undefined> {
  const text = await server.info().catch((error: unknown) => {
    if (error instanceof Error && /^(NOPERM|ERR unknown command)/.test(error.message)) return undefined
    throw error
  })
  if (text === undefined) return undefined
  const lines = text.split('\r\n').map((line) => line.split(':', 2))
  return new Map(lines.flatMap(([name = '', value]) => (value === undefined ? [] : [[name, value]])))
}
