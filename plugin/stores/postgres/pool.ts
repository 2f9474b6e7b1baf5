import { loadPackage, missingPackages } from '../optional-packages.ts'
import { StoreError } from '../store.ts'
import type { PostgresPool } from './query.ts'

/** Options of `createPostgresPool`. */
export interface PostgresPoolOptions {
  /** Connections at most. Default 10. */
  max?: number
  /**
   * The URL leads to a pooler such as PgBouncer. It refuses the time limits as start-up parameters, so they are
   * left out: set them on the role (`ALTER ROLE … SET statement_timeout = '1s'`). Default false.
   */
  pooler?: boolean
  /**
   * Reads the URL again. It is called when the server refuses the user name or the password, and what it gives takes the
   * place of `url` for new connections; a URL that cannot be read or is none does not.
   */
  readUrl?: () => Promise<string>
  /** Files of PEM, which are read for each connection; as `sslrootcert`, `sslcert` and `sslkey` of the URL. */
  tls?: PostgresTlsFiles
}

/** Names of PEM files: an authority, beside which nobody is trusted, and a client certificate with its key. */
export interface PostgresTlsFiles {
  readonly caFile?: string
  readonly clientCertFile?: string
  readonly clientKeyFile?: string
}

/** A pool of our own making, and how it is ended. */
export interface OwnPostgresPool extends PostgresPool {
  end(): Promise<void>
}

/** Longer than the store waits, so that a statement it gave up does not go on for long. */
const STATEMENT_TIMEOUT_MS = 1000
const CONNECT_TIMEOUT_MS = 1000

const WRONG_URL = 'the URL must read postgres://user:password@host:port/database'

/**
 * A `pg.Pool` with the limits that the store needs: nothing waits for ever, on either side (requirements G-12).
 *
 * @param url `postgres://user:password@host:port/database`; `?sslmode=verify-full&sslrootcert=FILE` for TLS.
 * @throws StoreError without the URL in it: when it is none, and when the package `pg` is not installed.
 */
export function createPostgresPool(
  url: string,
  { max = 10, pooler = false, readUrl, tls }: PostgresPoolOptions = {},
): OwnPostgresPool {
  if (!isPostgresUrl(url)) throw new StoreError('postgres', 'connect', WRONG_URL)
  const pool = new (loadPg().Pool)({
    connectionString: postgresUrlWithTls(url, tls),
    max,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    keepAlive: true,
    application_name: 'fastify-pkce',
    ...(!pooler && {
      statement_timeout: STATEMENT_TIMEOUT_MS,
      lock_timeout: STATEMENT_TIMEOUT_MS,
      idle_in_transaction_session_timeout: 2 * STATEMENT_TIMEOUT_MS,
    }),
  })
  return Object.assign(pool, {
    async renewCredentials() {
      const renewed = await readUrl?.().catch(() => undefined)
      if (renewed === undefined || !isPostgresUrl(renewed)) return
      // The pool and the LISTEN connection read their options at each connection.
      pool.options.connectionString = postgresUrlWithTls(renewed, tls)
    },
  })
}

/** The URL with the files as its parameters. TLS is verified then, unless the URL itself says otherwise. */
export function postgresUrlWithTls(url: string, files: PostgresTlsFiles = {}): string {
  const { caFile, clientCertFile, clientKeyFile } = files
  const parameters = Object.entries({ sslrootcert: caFile, sslcert: clientCertFile, sslkey: clientKeyFile })
  const given = parameters.filter((one): one is [string, string] => one[1] !== undefined)
  if (given.length === 0) return url
  const complete = new URL(url)
  for (const [name, file] of [['sslmode', 'verify-full'], ...given] as const) {
    if (!complete.searchParams.has(name)) complete.searchParams.set(name, file)
  }
  return complete.href
}

/** Why no pool can be made for `url`, or undefined: its form, or the package `pg` is not installed. */
export function postgresPoolProblem(url: string): string | undefined {
  return isPostgresUrl(url) ? missingPackages('pg') : WRONG_URL
}

function isPostgresUrl(url: string): boolean {
  return URL.canParse(url) && /^postgres(ql)?:$/.test(new URL(url).protocol)
}

/** An optional peer: only whoever uses this store needs it. */
function loadPg(): typeof import('pg') {
  const missing = missingPackages('pg')
  if (missing !== undefined) throw new StoreError('postgres', 'connect', missing)
  return loadPackage('pg')
}
