import { persistently } from '../within.ts'
import { PostgresCommands } from './commands.ts'
import { FinalStoreError, failures, mayPass } from './failure.ts'
import type { PostgresPool } from './query.ts'
import { DEFAULT_SCHEMA, type PostgresSchemaOptions, TABLES_VERSION } from './schema.ts'
import { expiringTables, type Statements, statements } from './statements.ts'

const VERSION_MS = 1000

/**
 * Looks, at start, whether this PostgreSQL can hold sessions. Resolves to warnings for the operator, none of which
 * names an address or a credential. The store makes the same checks, without warnings, when it is first watched.
 *
 * @param timeoutMs how long connecting and looking may take together; what may pass, a server that is starting or a
 * failover, is tried again until then. Default 5000.
 * @throws StoreError when it cannot be reached (wrong address, wrong password), is a read replica, when the tables
 * are missing, older or newer, and when the role may not use them.
 * Source: requirements G-12, G-16.
 */
export async function checkPostgres(
  pool: PostgresPool,
  { schema = DEFAULT_SCHEMA, timeoutMs = 5000 }: PostgresSchemaOptions & { timeoutMs?: number } = {},
): Promise<string[]> {
  const server = await persistently(timeoutMs, mayPass, (leftMs) =>
    checkServer(new PostgresCommands(pool, leftMs), 'start', statements(schema)),
  )
  const warnings: [unknown, string][] = [
    [
      server.loses_commits,
      'postgres: synchronous_commit is off: a crash of the server brings back a code that has been used',
    ],
    [
      server.unbounded,
      'postgres: statement_timeout is 0: a statement that was given up may go on for ever; set it on the role',
    ],
    [
      !Reflect.get(pool.options, 'connectionTimeoutMillis'),
      'postgres: the pool has no connectionTimeoutMillis: after a silent loss of the network it may stay cut off for minutes',
    ],
  ]
  return warnings.flatMap(([applies, warning]) => (applies === true ? [warning] : []))
}

/** What the server is, e.g. `PostgreSQL 18.0`, for people. @throws StoreError */
export async function postgresVersion(pool: PostgresPool): Promise<string> {
  const statement = { name: 'pkce_version', text: `SELECT current_setting('server_version') AS version` }
  const { rows } = await new PostgresCommands(pool, VERSION_MS).run('start', statement)
  const [version = '?'] = /^[\d.]+/.exec(String(rows[0]?.version)) ?? []
  return `PostgreSQL ${version}`
}

/** @throws StoreError when this server, or this role, cannot serve the store. */
export async function checkServer(
  commands: PostgresCommands,
  operation: string,
  { check }: Statements,
): Promise<Record<string, unknown>> {
  const { rows } = await commands.run(operation, check, [expiringTables])
  const server = rows[0] ?? {}
  const refuse = (failure: string) => {
    throw new FinalStoreError('postgres', operation, failure)
  }
  if (server.read_only !== false) throw commands.readOnly(operation)
  if (Number(server.version) > TABLES_VERSION) refuse(failures.newer)
  if (Number(server.version) < TABLES_VERSION) refuse(failures.older)
  if (server.lacking !== null) refuse(`the role lacks a permission: ${server.lacking}`)
  return server
}
