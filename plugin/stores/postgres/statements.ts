import { createHash } from 'node:crypto'
import { lockKey, quoteSchema } from './schema.ts'

/** A statement, and the name under which connections prepare it. */
export interface Statement {
  readonly name: string
  readonly text: string
}

/** Tables whose rows expire. */
export const expiringTables = ['records', 'reservations', 'index_members'] as const

/**
 * Every statement of the store: each is a transaction of its own, so nothing is ever half done, no connection is
 * ever left inside a transaction, and a pooler may give each to another connection.
 *
 * All times are the server's `clock_timestamp()`. Not `now()`: a statement that has waited for a row lock must
 * not judge expiry by the time at which it began to wait.
 */
export function statements(schema: string) {
  const s = quoteSchema(schema)
  const live = 'expires_at > clock_timestamp()'
  const after = (parameter: string) => `clock_timestamp() + ${parameter}::float8 * interval '1 millisecond'`
  const clock = '(extract(epoch FROM clock_timestamp()) * 1000)::float8 AS now_ms'

  return {
    create: named(`
      INSERT INTO ${s}.records AS r (key, value, version, expires_at) VALUES ($1, $2, 1, ${after('$3')})
      ON CONFLICT (key) DO UPDATE SET value = excluded.value, version = 1, expires_at = excluded.expires_at
        WHERE r.expires_at <= clock_timestamp()
      RETURNING ${clock}`),

    read: named(`SELECT value, version, ${clock} FROM ${s}.records WHERE key = $1 AND ${live}`),

    // The server sends notifications at commit: a watcher hears of what has been written, and of nothing else.
    replace: named(`
      UPDATE ${s}.records SET value = $3, version = version + 1, expires_at = ${after('$4')}
      WHERE key = $1 AND version = $2::integer AND ${live}
      RETURNING pg_notify('${channelOf(schema)}', '${changed}' || key), ${clock}`),

    reserve: named(`
      INSERT INTO ${s}.reservations AS r (key, expires_at) VALUES ($1, ${after('$2')})
      ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at WHERE r.expires_at <= clock_timestamp()
      RETURNING ${clock}`),

    addToIndex: named(`
      INSERT INTO ${s}.index_members AS m (name, member, expires_at)
      SELECT name, $2::text, ${after('$3')} FROM unnest($1::text[]) AS name
      ON CONFLICT (name, member) DO UPDATE SET expires_at = greatest(m.expires_at, excluded.expires_at)`),

    readIndex: named(`SELECT member, ${clock} FROM ${s}.index_members WHERE name = $1 AND ${live}`),

    removeFromIndex: named(`DELETE FROM ${s}.index_members WHERE name = ANY ($1::text[]) AND member = $2`),

    echo: named(`SELECT pg_notify('${channelOf(schema)}', '${echoed}' || $1::text)`),

    check: named(`
      SELECT (SELECT max(version) FROM ${s}.schema_version) AS version,
        pg_is_in_recovery() OR current_setting('transaction_read_only')::boolean AS read_only,
        (SELECT string_agg(privilege || ' on ' || tables, ', ')
          FROM unnest($1::text[]) AS tables, unnest('{SELECT,INSERT,UPDATE,DELETE}'::text[]) AS privilege
          WHERE NOT has_table_privilege('${s}.' || tables, privilege)) AS lacking,
        current_setting('synchronous_commit') = 'off' AS loses_commits,
        current_setting('statement_timeout') = '0' AS unbounded,
        ${clock}`),

    /** A write, which waits for whoever has locked one of the tables. No key is empty, nor is the row ever live. */
    checkWrite: named(`
      WITH records AS (UPDATE ${s}.records SET version = version WHERE key = ''),
        members AS (UPDATE ${s}.index_members SET expires_at = expires_at WHERE name = '')
      INSERT INTO ${s}.reservations AS r (key, expires_at) VALUES ('', clock_timestamp())
      ON CONFLICT (key) DO UPDATE SET expires_at = excluded.expires_at
      RETURNING ${clock}`),

    /** On the LISTEN connection. */
    listen: `LISTEN "${channelOf(schema)}"`,
    probe: `SELECT pg_notify('${channelOf(schema)}', '${echoed}' || $1::text),
      current_setting('transaction_read_only')::boolean AS read_only, ${clock}`,

    /** At most $1 rows, and none while another instance is at it. */
    sweeps: expiringTables.map((table) =>
      named(`
      DELETE FROM ${s}.${table} WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM ${s}.${table}
        WHERE expires_at <= now() AND (SELECT pg_try_advisory_xact_lock(${lockKey('janitor', schema)}))
        LIMIT $1::integer FOR UPDATE SKIP LOCKED
      )) AND expires_at <= now()`),
    ),
  }
}

/** @see statements */
export type Statements = ReturnType<typeof statements>

/** One channel for one schema: channels are the database's, tables the schema's. */
function channelOf(schema: string): string {
  return `${schema}_changes`
}

/** First character of a payload: the change of a key, or an echo. Keys may look like anything. */
export const changed = '='
export const echoed = '?'

/**
 * Named after its text: two versions, or two schemas, that share a pooled connection never run each other's
 * statements.
 */
function named(text: string): Statement {
  return { name: `pkce_${createHash('sha256').update(text).digest('hex').slice(0, 16)}`, text }
}
