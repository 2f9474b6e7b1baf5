import { createHash } from 'node:crypto'
import { newerTables, storeError } from './failure.ts'
import { type PostgresPool, runQuery } from './query.ts'

/** The version of the tables that this code reads and writes. */
export const TABLES_VERSION = 1
/** The schema of the tables where none is named. */
export const DEFAULT_SCHEMA = 'pkce'

/** Someone else may be migrating at the same time, and a lock on a busy database takes its time. */
const MIGRATE_TIMEOUT_MS = 60_000

/** Where the tables are. */
export interface PostgresSchemaOptions {
  /** The schema that holds the tables and nothing else: lower-case letters, digits and `_`. Default `pkce`. */
  schema?: string
}

/** The quoted name. @throws RangeError, because the name becomes part of statements. */
export function quoteSchema(schema: string): string {
  if (!/^(?!pg_)[a-z_][a-z0-9_]{0,39}$/.test(schema)) {
    throw new RangeError('postgresStore: schema must be 1 to 40 lower-case letters, digits and _')
  }
  return `"${schema}"`
}

/** The key of an advisory lock, for one purpose in one schema. */
export function lockKey(purpose: string, schema: string): string {
  const hash = createHash('sha256').update(`fastify-pkce ${purpose} ${schema}`)
  return hash.digest().readBigInt64BE().toString()
}

/**
 * Makes the tables, or brings them up to this version, in one transaction. Safe to repeat, and to start on several
 * instances at once.
 *
 * @throws StoreError when the tables are newer, when the role may not make them, when the server does not answer.
 */
export async function migratePostgres(
  pool: PostgresPool,
  options: PostgresSchemaOptions = {},
): Promise<void> {
  // The pool's own limits are made for requests; these last as long as this transaction.
  const limits = `SET LOCAL statement_timeout = ${MIGRATE_TIMEOUT_MS}; SET LOCAL lock_timeout = ${MIGRATE_TIMEOUT_MS}`
  const text = `BEGIN; ${limits}; ${postgresDdl(options)} COMMIT;`
  await runQuery(pool, { text }, MIGRATE_TIMEOUT_MS).catch((error: unknown) => {
    throw storeError('migrate', error)
  })
}

/** What `migratePostgres` runs, for those who run their SQL themselves: one statement, all or nothing. */
export function postgresDdl({ schema = DEFAULT_SCHEMA }: PostgresSchemaOptions = {}): string {
  const s = quoteSchema(schema)
  return `-- fastify-pkce, tables of version ${TABLES_VERSION}. Safe to repeat.
-- Afterwards, for a role that is not the owner:
--   GRANT USAGE ON SCHEMA ${s} TO the_role;
--   GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA ${s} TO the_role;
DO $migrate$
DECLARE
  installed integer;
BEGIN
  PERFORM pg_advisory_xact_lock(${lockKey('migrate', schema)});
  IF to_regnamespace('${s}') IS NULL THEN
    CREATE SCHEMA ${s};
  END IF;
  IF to_regclass('${s}.schema_version') IS NULL THEN
    CREATE TABLE ${s}.schema_version (version integer NOT NULL);
    INSERT INTO ${s}.schema_version VALUES (0);
  END IF;
  SELECT version INTO STRICT installed FROM ${s}.schema_version;

  IF installed > ${TABLES_VERSION} THEN
    RAISE EXCEPTION 'the tables are of version %, newer than ${TABLES_VERSION}', installed
      USING ERRCODE = '${newerTables}';
  END IF;

  IF installed < 1 THEN
    -- COLLATE "C": keys are compared byte by byte, whatever the locale of the database or its next upgrade.
    CREATE TABLE ${s}.records (
      key text COLLATE "C" PRIMARY KEY,
      value text NOT NULL,
      version integer NOT NULL,
      expires_at timestamptz NOT NULL
    ) WITH (fillfactor = 80, autovacuum_vacuum_scale_factor = 0.05);
    CREATE INDEX records_expires_at ON ${s}.records (expires_at);

    CREATE TABLE ${s}.reservations (
      key text COLLATE "C" PRIMARY KEY,
      expires_at timestamptz NOT NULL
    ) WITH (autovacuum_vacuum_scale_factor = 0.05);
    CREATE INDEX reservations_expires_at ON ${s}.reservations (expires_at);

    CREATE TABLE ${s}.index_members (
      name text COLLATE "C",
      member text COLLATE "C",
      expires_at timestamptz NOT NULL,
      PRIMARY KEY (name, member)
    ) WITH (autovacuum_vacuum_scale_factor = 0.05);
    CREATE INDEX index_members_expires_at ON ${s}.index_members (expires_at);

    UPDATE ${s}.schema_version SET version = 1;
  END IF;
END
$migrate$;
`
}
