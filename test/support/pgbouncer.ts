/** PgBouncer in transaction mode in front of a test's PostgreSQL, if it is installed (`apt-get install pgbouncer`). */
import { execFileSync } from 'node:child_process'
import { chownSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePort, type PostgresServer } from './postgres-server.ts'
import { serverUser, startTied } from './tied-process.ts'

export interface PgBouncer {
  /** Of the same role and database as the server's. */
  readonly url: string
  stop(): Promise<void>
}

/** @throws Error when it is not installed or does not start. */
export async function startPgBouncer(server: PostgresServer): Promise<PgBouncer> {
  // Debian keeps it out of the path of ordinary users.
  const which = { env: { PATH: `${process.env.PATH}:/usr/sbin` }, encoding: 'utf8' } as const
  const binary = execFileSync('/bin/sh', ['-c', 'command -v pgbouncer || echo'], which).trim()
  if (binary === '') throw new Error('pgbouncer is not installed')
  const user = serverUser()
  const port = await freePort()
  const { username, password } = new URL(server.url())
  const directory = mkdtempSync(join(tmpdir(), 'pkce-pgbouncer-'))
  const file = join(directory, 'pgbouncer.ini')
  writeFileSync(
    file,
    `[databases]
postgres = host=127.0.0.1 port=${server.port} user=${username} password=${password}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${port}
unix_socket_dir =
auth_type = any
pool_mode = transaction
default_pool_size = 4
`,
  )
  for (const path of [directory, file]) {
    if (user.uid !== undefined && user.gid !== undefined) chownSync(path, user.uid, user.gid)
  }
  const child = await startTied([binary, file], 'process up', user)
  return {
    url: `postgres://${username}:unused@127.0.0.1:${port}/postgres`,
    async stop() {
      await child.end('SIGTERM')
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
