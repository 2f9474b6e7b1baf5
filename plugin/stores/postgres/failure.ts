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
  '53100': 'the disk is full',
  '53300': 'the server has no connection left',
  '55P03': 'it waited too long for a lock',
  '57014': 'the statement took too long, or was cancelled',
  '57P01': 'the server ended the connection',
  '57P03': 'the server is starting or stopping',
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was reset',
  EAI_AGAIN: 'the host name could not be resolved',
  ENOTFOUND: 'the host name is unknown',
  ENOENT: 'there is no such socket, certificate or key',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not trusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not trusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not trusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is not trusted',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host',
}

/** Somebody's mistake: waiting changes nothing. */
const mistakes = new Set([
  newerTables,
  '08P01',
  '3D000',
  '3F000',
  '28000',
  '28P01',
  '42501',
  '42P01',
  'ENOENT',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_HAS_EXPIRED',
  'ERR_TLS_CERT_ALTNAME_INVALID',
])

/** The store will not serve, however long one waits. */
export class FinalStoreError extends StoreError {}

/** True if the same may succeed in a moment. */
export function mayPass(error: unknown): boolean {
  return !(error instanceof FinalStoreError || mistakes.has(codeOf(error) ?? ''))
}

/** True if another server may have taken this one's place, so that the connections are to be made anew. */
export function isReadOnly(error: unknown): boolean {
  return codeOf(error) === '25006'
}

/** True if the user name or the password was refused. */
export function isRefusedCredential(error: unknown): boolean {
  return codeOf(error) === '28P01'
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
  return `${failure}${code === '42501' ? lackingOf(error) : ''} (${code})`
}

/** On what, where the server says it in English. */
function lackingOf(error: unknown): string {
  const { message } = error as Error
  const named = /^permission denied for ((?:schema|table) [a-z0-9_]{1,63})$/.exec(message)?.[1]
  return named === undefined ? '' : `: ${named}`
}

/** SQLSTATE or system error code; anything longer might be more than a code. */
function codeOf(error: unknown): string | undefined {
  if (error instanceof StoreError) return /\(([A-Z0-9_]+)\)$/.exec(error.message)?.[1]
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
