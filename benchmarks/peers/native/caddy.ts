import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { findExecutable } from '../../plan/project.ts'
import { CONNECTIONS, letsEverybodyThrough, notInstalled, type Peer, type Place } from '../peer.ts'

/** Caddy's reverse_proxy with as many upstream connections as everybody else, on one core. */
export const caddy: Peer = {
  ...letsEverybodyThrough,
  name: 'caddy',
  title: 'Caddy reverse_proxy, no authentication',
  isNode: false,
  missing: () => notInstalled('caddy'),
  commands: (place) => {
    const file = join(place.folder, 'Caddyfile')
    writeFileSync(file, configuration(place))
    const environment = { HOME: place.folder, XDG_DATA_HOME: place.folder, XDG_CONFIG_HOME: place.folder }
    const args = ['run', '--config', file, '--adapter', 'caddyfile']
    return [
      { file: findExecutable('caddy') ?? 'caddy', args, environment: { ...environment, GOMAXPROCS: '1' } },
    ]
  },
}

function configuration({ port, upstream }: Place): string {
  return `{
  admin off
  auto_https off
}
http://127.0.0.1:${port} {
  bind 127.0.0.1
  reverse_proxy 127.0.0.1:${upstream} {
    transport http {
      keepalive_idle_conns ${CONNECTIONS}
      keepalive_idle_conns_per_host ${CONNECTIONS}
      max_conns_per_host ${CONNECTIONS}
      compression off
    }
  }
}
`
}
