import { StoreError } from '../store.ts'
import { isTimeout } from '../within.ts'

/** SQLSTATE that the migration raises. */
export const newerTables = 'PKCE1'

/** What an operator can act on. */
export const failures = {
  missing: 'the tables are missing: run `pkce-gateway migrate`',
  older: 'the tables are of an older version: run `pkce-gateway migrate`',
  newer: 'the tables are of a newer version of fastify-pkce: upgrade this instance',
  permission: 'the role lacks a permission on the schema or its tables',
  readOnly: 'the server is read-only, a replica perhaps: connect to the primary',
} as const

/** By SQLSTATE or system error code. */
const known: Readonly<Record<string, string>> = {
  [newerTables]: failures.newer,
  '08P01': 'the start-up parameters were refused: a pool for PgBouncer needs `pooler: true`',
  '3D000': 'the database does not exist',
  '3F000': failures.missing,
  '25006': failures.readOnly,
  '28000': 'the server refused the role',
  '28P01': 'the user name or password is wrong',
  '42501': failures.permission,
  '42P01': failures.missing,
  '53300': 'the server has no connection left',
  '55P03': 'it waited too long for a lock',
  '57014': 'the statement took too long, or was cancelled',
  '57P01': 'the server ended the connection',
  '57P03': 'the server is starting or stopping',
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was reset',
  EAI_AGAIN: 'the host name could not be resolved',
  ENOTFOUND: 'the host name is unknown',
  ERR_MODULE_NOT_FOUND: 'the package `pg` is not installed',
  MODULE_NOT_FOUND: 'the package `pg` is not installed',
}

/**
 * An error of pg as a `StoreError` in words of our own. The error itself goes no further, not even as `cause`:
 * its message, detail and properties carry addresses, roles, keys and values (requirements G-16, J-01).
 */
export function storeError(operation: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error
  return new StoreError('postgres', operation, describeFailure(error))
}

function describeFailure(error: unknown): string {
  if (isTimeout(error)) return error.message
  const code = codeOf(error)
  if (code === undefined) return 'the connection failed'
  const failure = Object.hasOwn(known, code) ? known[code] : 'it failed'
  return `${failure} (${code})`
}

/** SQLSTATE or system error code; anything longer might be more than a code. */
function codeOf(error: unknown): string | undefined {
  const code: unknown =
    typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined
  return typeof code === 'string' && /^[A-Z0-9_]{4,40}$/.test(code) ? code : undefined
}

/**
 * True if a named statement was not found, or found already, on a connection: a pooler had changed the connection
 * in between. The server has executed nothing then.
 */
export function lostPreparedStatement(error: unknown): boolean {
  const code = codeOf(error)
  return code === '26000' || code === '42P05'
}
