import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { GatewayInput } from '../../gateway/index.ts'
import type { Command } from '../measure/process.ts'
import type { Place } from '../peers/peer.ts'
import { findExecutable } from '../plan/project.ts'

/** Named, so that the sessions that are made here and those of the gateway are sealed alike. */
export const SECRETS = [Buffer.alloc(32, 7).toString('base64url')]

/** The life of the sessions that are made here: longer than any run, because nobody refreshes them. */
export const SESSION_SECONDS = 86_400

/** A Redis that keeps nothing on disk. */
export function redisCommand({ redis: port, folder }: Place): Command {
  const file = join(folder, 'redis.conf')
  writeFileSync(file, `bind 127.0.0.1\nport ${port}\ndir "${folder}"\nsave ""\nappendonly no\n`)
  return { file: findExecutable('redis-server') ?? 'redis-server', args: [file] }
}

/** What a gateway is told that keeps its sessions there. */
export function inRedis({ redis: port }: Pick<Place, 'redis'>) {
  return {
    store: { type: 'redis', url: `redis://127.0.0.1:${port}` },
    secrets: SECRETS,
  } satisfies Partial<GatewayInput>
}
