import { isTimeout } from '../within.ts'

const known = {
  WRONGPASS: 'the user name or password is wrong',
  NOAUTH: 'the server requires a password',
  NOPERM: 'the user lacks a permission',
  READONLY: 'the server is a read replica',
  OOM: 'the server has reached its memory limit',
  NOREPLICAS: 'too few replicas are in sync',
  MISCONF: 'the server cannot persist its data',
  LOADING: 'the server is loading its data',
  BUSY: 'the server is busy with a script',
  MASTERDOWN: 'the replica has lost its master',
  CLUSTERDOWN: 'the Cluster is down',
  MOVED: 'the server is a Cluster node and does not hold this key',
  WRONGTYPE: 'a key holds a value of another kind',
  ECONNREFUSED: 'the connection was refused',
  ECONNRESET: 'the connection was reset',
  EPIPE: 'the connection was closed',
  ETIMEDOUT: 'the connection timed out',
  EHOSTUNREACH: 'the host cannot be reached',
  ENETUNREACH: 'the network cannot be reached',
  ENOTFOUND: 'the host name is unknown',
  EAI_AGAIN: 'the host name could not be resolved',
  ENOENT: 'there is no such socket',
  CERT_HAS_EXPIRED: 'its certificate has expired',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'its certificate is not trusted',
  SELF_SIGNED_CERT_IN_CHAIN: 'its certificate is not trusted',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its certificate is not trusted',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its certificate is not trusted',
  ERR_TLS_CERT_ALTNAME_INVALID: 'its certificate is for another host',
  ERR_SSL_WRONG_VERSION_NUMBER: 'the server does not speak TLS',
} as const

/**
 * What went wrong, in words of our own. ioredis' errors carry the command with its arguments, that is keys and
 * sealed values, and addresses in their messages: neither they nor their text may leave the store (J-01, G-16).
 */
export function describeFailure(error: unknown): string {
  if (isTimeout(error)) return 'no answer in time'
  if (!(error instanceof Error)) return 'not connected'
  // The Cluster says "failed to refresh slots cache" and keeps the reason apart.
  const { lastNodeError } = error as { lastNodeError?: unknown }
  if (lastNodeError instanceof Error) return describeFailure(lastNodeError)
  const words = `${String((error as NodeJS.ErrnoException).code ?? '')} ${error.message}`.match(
    /[A-Z][A-Z_]+/g,
  )
  const word = words?.find((candidate): candidate is keyof typeof known => Object.hasOwn(known, candidate))
  if (word !== undefined) return `${known[word]} (${word})`
  if (error.message.startsWith('Socket timeout')) return 'no answer in time'
  if (error.message.includes('All sentinels are unreachable'))
    return 'no Sentinel answers, or none knows the master'
  if (error.message.includes('cluster support disabled')) return 'the server is not a node of a Cluster'
  return error.name === 'ReplyError' ? 'the server refused the command' : 'not connected'
}
