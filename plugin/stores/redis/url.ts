/** What a Redis URL names. */
export interface RedisPlace {
  kind: 'single' | 'sentinel' | 'cluster'
  isTls: boolean
  username: string
  password: string
  hosts: { host: string; port: number }[]
  /** The database, or the master's name. */
  path: string
}

const URL_FORM =
  /^redis(?<tls>s?)(?:\+(?<kind>sentinel|cluster))?:\/\/(?:(?<username>[^:@/?#]*)(?::(?<password>[^@/?#]*))?@)?(?<hosts>[^@/?#]+)(?:\/(?<path>[\w.-]*))?$/
const HOST = /^(?:\[(?<v6>[\da-fA-F:.]+)\]|(?<host>[\w.-]+))(?::(?<port>\d{1,5}))?$/

/**
 * Reads the three forms of a Redis URL. Not through `URL`, which knows one host only.
 *
 * @throws TypeError for another form; the message does not repeat it.
 */
export function parseRedisUrl(url: string): RedisPlace {
  const parts = URL_FORM.exec(url)?.groups
  const kind = (parts?.kind ?? 'single') as RedisPlace['kind']
  const hosts = (parts?.hosts ?? '').split(',').map((text) => {
    const { v6, host, port } = HOST.exec(text)?.groups ?? {}
    return { host: v6 ?? host ?? '', port: Number(port ?? (kind === 'sentinel' ? 26_379 : 6379)) }
  })
  const path = parts?.path ?? ''
  const isSound =
    hosts.every(({ host, port }) => host !== '' && port > 0 && port < 65_536) &&
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
