import { Cluster, Redis, type RedisOptions } from 'ioredis'
import type { RedisClient } from './commands.ts'

export interface RedisClientSettings {
  /**
   * Where Redis is; `rediss` for TLS, with the certificate verified. User name and password percent-encoded.
   *
   *     redis://user:password@host:6379/0
   *     redis+sentinel://user:password@host:26379,host:26379/master-name
   *     redis+cluster://user:password@host:6379,host:6379
   */
  url: string
  /** PEM of the authority that signed the server's certificate, if it is not a public one. */
  ca?: string
  /** Of the Sentinels themselves; the URL's are the Redis servers'. */
  sentinelUsername?: string
  sentinelPassword?: string
}

/**
 * A client that fails fast and never gives up: nothing queued while there is no connection, nothing sent twice,
 * a connection that hangs is replaced, and the wait between attempts stays below a second. It connects at the
 * first use. Its errors are told by the calls that fail.
 *
 * @throws TypeError for a URL of another form; the message does not repeat it. Source: requirements G-11, G-16.
 */
export function createRedisClient(settings: RedisClientSettings): RedisClient {
  const place = parseRedisUrl(settings.url)
  const tls = place.isTls ? { ...(settings.ca !== undefined && { ca: settings.ca }) } : undefined
  const options: RedisOptions = {
    ...(place.username && { username: place.username }),
    ...(place.password && { password: place.password }),
    ...(tls && { tls }),
    ...failFast,
  }
  const client = connect(place, options, settings, tls)
  // ioredis prints errors that nobody listens to, address included.
  client.on('error', () => {})
  return client
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

function connect(
  { kind, hosts, path }: RedisPlace,
  options: RedisOptions,
  settings: RedisClientSettings,
  tls: RedisOptions['tls'],
): RedisClient {
  if (kind === 'cluster') {
    return new Cluster(hosts, {
      lazyConnect: true,
      enableOfflineQueue: false,
      slotsRefreshTimeout: 1000,
      slotsRefreshInterval: 10_000,
      clusterRetryStrategy: retryStrategy,
      // Certificates name hosts, not the addresses that a lookup gives.
      ...(tls && { dnsLookup: (address, callback) => callback(null, address) }),
      redisOptions: options,
    })
  }
  if (kind === 'sentinel') {
    const { sentinelUsername, sentinelPassword } = settings
    return new Redis({
      ...options,
      sentinels: hosts,
      name: path,
      sentinelRetryStrategy: retryStrategy,
      sentinelCommandTimeout: 1000,
      failoverDetector: true,
      ...(sentinelUsername !== undefined && { sentinelUsername }),
      ...(sentinelPassword !== undefined && { sentinelPassword }),
      ...(tls && { sentinelTLS: tls, enableTLSForSentinelMode: true }),
    })
  }
  const [server] = hosts
  return new Redis({ ...options, ...server, db: Number(path || 0) })
}

interface RedisPlace {
  kind: 'single' | 'sentinel' | 'cluster'
  isTls: boolean
  username: string
  password: string
  hosts: { host: string; port: number }[]
  /** The database, or the master's name. */
  path: string
}

const urlForm =
  /^redis(?<tls>s?)(?:\+(?<kind>sentinel|cluster))?:\/\/(?:(?<username>[^:@/?#]*)(?::(?<password>[^@/?#]*))?@)?(?<hosts>[^@/?#]+)(?:\/(?<path>[\w.-]*))?$/
const hostForm = /^(?:\[(?<v6>[\da-fA-F:.]+)\]|(?<host>[\w.-]+))(?::(?<port>\d{1,5}))?$/

function parseRedisUrl(url: string): RedisPlace {
  const parts = urlForm.exec(url)?.groups
  const kind = (parts?.kind ?? 'single') as RedisPlace['kind']
  const hosts = parts?.hosts?.split(',').map((text) => {
    const { v6, host, port } = hostForm.exec(text)?.groups ?? {}
    return { host: v6 ?? host ?? '', port: Number(port ?? (kind === 'sentinel' ? 26_379 : 6379)) }
  })
  const path = parts?.path ?? ''
  const isSound =
    hosts?.every(({ host, port }) => host !== '' && port > 0 && port < 65_536) &&
    {
      single: hosts.length === 1 && /^\d{0,4}$/.test(path),
      sentinel: path !== '',
      cluster: path === '' || path === '0',
    }[kind]
  const [username, password] = [decode(parts?.username), decode(parts?.password)]
  if (!isSound || username === undefined || password === undefined) {
    // The URL itself holds the password.
    throw new TypeError(
      'the Redis URL must be redis://user:password@host:6379/0, redis+sentinel://user:password@host:26379,host:26379/master-name or redis+cluster://user:password@host:6379,host:6379, or one of these with rediss; user name and password percent-encoded',
    )
  }
  return { kind, isTls: parts?.tls === 's', username, password, hosts, path }
}

function decode(text = ''): string | undefined {
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}
