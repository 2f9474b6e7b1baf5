import { StoreError } from '../store.ts'
import { Late } from './ask.ts'

/** SQLSTATE of `migrate` and of the start check: the tables were made by a newer version. */
export const newerTables = 'PKCE1'

/** What an operator can act on, by SQLSTATE or system error code. */
const problems: Readonly<Record<string, string>> = {
  [newerTables]: 'the tables were made by a newer version of fastify-pkce: upgrade this instance',
  '42P01': 'the tables are missing: run `pkce-gateway migrate`',
  '3F000': 'the tables are missing: run `pkce-gateway migrate`',
  '42501': 'the role lacks a permission on the schema or its tables',
  '25006': 'the server is read-only, a replica perhaps: connect to the primary',
  '28000': 'the server refused the role',
  '28P01': 'the server refused the password',
  '3D000': 'the database does not exist',
  '53300': 'the server has no connection left',
  '55P03': 'waited too long for a lock',
  '57014': 'the statement was cancelled or took too long',
  '57P01': 'the server ended the connection',
  '57P03': 'the server is starting up or shutting down',
  ECONNREFUSED: 'connection refused',
  ECONNRESET: 'connection reset',
  ENOTFOUND: 'the host name is unknown',
  ERR_MODULE_NOT_FOUND: 'the package `pg` is not installed',
}

/**
 * An error of pg as a `StoreError` in words of our own. The error itself goes no further, not even as `cause`:
 * its message, detail and properties carry addresses, roles, keys and values (requirements G-16, J-01).
 */
export function storeError(operation: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error
  return new StoreError('postgres', operation, problemOf(error))
}

function problemOf(error: unknown): string {
  if (error instanceof Late) return error.message
  const code = codeOf(error)
  if (code === undefined) return 'the connection failed'
  return problems[code] ?? `failed with ${code}`
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
