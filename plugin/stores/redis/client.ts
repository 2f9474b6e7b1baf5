import type { Cluster, Redis, RedisOptions } from 'ioredis'
import { loadPackage, missingPackages } from '../optional-packages.ts'
import { StoreError } from '../store.ts'
import { isRefusedCredential } from './failure.ts'
import { parseRedisUrl, type RedisPlace } from './url.ts'

/** Where Redis is, and who we are there. */
export interface RedisClientSettings {
  /**
   * Where Redis is; `rediss` for TLS, with the certificate verified. User name and password percent-encoded.
   *
   *     redis://user:password@host:6379/0
   *     redis+sentinel://user:password@host:26379,host:26379/master-name
   *     redis+cluster://user:password@host:6379,host:6379
   */
  url: string
  /**
   * Reads the URL again. It is called when Redis refuses the user name or the password, and what it gives takes the
   * place of `url` before the next attempt; a URL that cannot be read or parsed, or leads to another kind, does not.
   */
  readUrl?: () => Promise<string>
  /** PEM of the authority that signed the server's certificate, if it is not a public one. Nobody else is trusted then. */
  ca?: string | Buffer
  /** PEM of a client certificate, and of its private key. */
  cert?: string | Buffer
  key?: string | Buffer
  /** Of the Sentinels themselves; the URL's are the Redis servers'. */
  sentinelUsername?: string
  sentinelPassword?: string
}

const retryStrategy = (attempt: number) =>
  Math.min(50 * 2 ** Math.min(attempt, 5), 1000) * (0.5 + Math.random() / 2)

const failFast = {
  lazyConnect: true,
  connectTimeout: 2000,
  commandTimeout: 1000,
  // A connection whose other end has vanished would otherwise last until TCP gives up, a quarter of an hour.
  socketTimeout: 2000,
  enableOfflineQueue: false,
  // 0: a command whose connection broke fails at once and is not sent again.
  maxRetriesPerRequest: 0,
  retryStrategy,
  maxLoadingRetryTime: 1000,
} satisfies RedisOptions

/**
 * A client that fails fast and never gives up: nothing queued while there is no connection, nothing sent twice,
 * a connection that hangs is replaced, and the wait between attempts stays below a second. It connects at the
 * first use. Its errors are told by the calls that fail.
 *
 * @throws TypeError for a URL of another form; the message does not repeat it. @throws StoreError when the package
 * `ioredis` is not installed. Source: requirements G-11, G-16.
 */
export function createRedisClient(settings: RedisClientSettings): Redis | Cluster {
  const place = parseRedisUrl(settings.url)
  const client = makeClient(settings, place)
  // ioredis prints errors that nobody listens to, address included.
  client.on('error', () => {})
  if (settings.readUrl) rereadUrl(client, place.kind, settings.readUrl)
  return client
}

/** An optional peer: only whoever has no client of their own needs it here. */
function loadIoredis(): typeof import('ioredis') {
  const missing = missingPackages('ioredis')
  if (missing !== undefined) throw new StoreError('redis', 'connect', missing)
  return loadPackage('ioredis')
}

/** Before it connects again, a client that was refused learns what the URL is by now (requirements F-06). */
function rereadUrl(client: Redis | Cluster, kind: RedisPlace['kind'], readUrl: () => Promise<string>): void {
  const read = async () => {
    const place = parseRedisUrl(await readUrl())
    if (place.kind !== kind) return
    const changed = { username: place.username || undefined, password: place.password || undefined }
    // ioredis reads its options at each attempt; a Cluster makes its nodes of a copy that its pool has.
    if (client.isCluster) Object.assign(Reflect.get(client, 'connectionPool').redisOptions, changed)
    else Object.assign((client as Redis).options, changed, kind === 'single' && addressOf(place))
  }
  const onError = (error: unknown) => {
    // Whatever is wrong with what is read, the next attempt says what is wrong with what we have.
    if (isRefusedCredential(error)) read().catch(() => {})
  }
  client.on('error', onError)
  if (client.isCluster) (client as Cluster).on('node error', onError)
}

function addressOf({ hosts, path }: RedisPlace): Pick<RedisOptions, 'host' | 'port' | 'db'> {
  return { ...hosts[0], db: Number(path || 0) }
}

function makeClient(settings: RedisClientSettings, place: RedisPlace): Redis | Cluster {
  const { kind, isTls, username, password, hosts, path } = place
  const { Cluster, Redis } = loadIoredis()
  const { ca, cert, key, sentinelUsername, sentinelPassword } = settings
  const tls = {
    ...(ca !== undefined && { ca }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
  }
  const options = {
    ...failFast,
    ...(username && { username }),
    ...(password && { password }),
    ...(isTls && { tls }),
  }
  if (kind === 'cluster') {
    return new Cluster(hosts, {
      lazyConnect: true,
      enableOfflineQueue: false,
      slotsRefreshTimeout: 1000,
      slotsRefreshInterval: 10_000,
      clusterRetryStrategy: retryStrategy,
      // Certificates name hosts, not the addresses that a lookup gives.
      ...(isTls && { dnsLookup: (address, callback) => callback(null, address) }),
      redisOptions: options,
    })
  }
  if (kind === 'sentinel') {
    return new Redis({
      ...options,
      sentinels: hosts,
      name: path,
      sentinelRetryStrategy: retryStrategy,
      sentinelCommandTimeout: 1000,
      // With a failoverDetector, a failover that is reported while the client reconnects ends it for good.
      ...(sentinelUsername !== undefined && { sentinelUsername }),
      ...(sentinelPassword !== undefined && { sentinelPassword }),
      ...(isTls && { sentinelTLS: tls, enableTLSForSentinelMode: true }),
    })
  }
  return new Redis({ ...options, ...addressOf(place) })
}
