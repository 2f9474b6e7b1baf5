import { StoreError } from '../store.ts'
import { isTimeout } from '../within.ts'

const known = {
  WRONGPASS: 'the user name or password is wrong',
  NOAUTH: 'the server requires a password',
  NOPERM: 'the user lacks a permission',
  READONLY: 'the server is a read replica; connect to its master',
  OOM: 'the server has reached its memory limit',
  NOREPLICAS: 'too few replicas are in sync',
  MISCONF: 'the server cannot persist its data',
  LOADING: 'the server is loading its data',
  BUSY: 'the server is busy with a script',
  MASTERDOWN: 'the server is a read replica that has lost its master',
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
  ALERT_CERTIFICATE_REQUIRED: 'the server requires a client certificate',
} as const

type Word = keyof typeof known

/** This server takes no writes, or does not answer yet: a failover behind the name has left the connection to it. */
const elsewhere: readonly Word[] = ['READONLY', 'LOADING', 'MASTERDOWN']
const refusedCredentials: readonly Word[] = ['WRONGPASS', 'NOAUTH']
/** Somebody's mistake: waiting changes nothing. */
const mistakes: readonly Word[] = [
  ...refusedCredentials,
  'NOPERM',
  'MOVED',
  'WRONGTYPE',
  'ENOENT',
  'CERT_HAS_EXPIRED',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'ERR_TLS_CERT_ALTNAME_INVALID',
  'ERR_SSL_WRONG_VERSION_NUMBER',
  'ALERT_CERTIFICATE_REQUIRED',
]

/** True if another server may have taken this one's place, so that the connection is to be made anew (Q-08). */
export function isElsewhere(error: unknown): boolean {
  return elsewhere.some((word) => word === wordOf(error))
}

/** True if the user name or the password was refused. */
export function isRefusedCredential(error: unknown): boolean {
  return refusedCredentials.some((word) => word === wordOf(error))
}

/** True if the user may not do what was asked. */
export function isMissingPermission(error: unknown): boolean {
  return wordOf(error) === 'NOPERM'
}

/** True if the same may succeed in a moment. @param error of ioredis; what has been judged already stays. */
export function mayPass(error: unknown): boolean {
  if (error instanceof StoreError) return false
  const word = wordOf(error)
  if (word !== undefined) return !mistakes.includes(word)
  return !(error instanceof Error) || error.name !== 'ReplyError'
}

/**
 * What went wrong, in words of our own. ioredis' errors carry the command with its arguments, that is keys and
 * sealed values, and addresses in their messages: neither they nor their text may leave the store (J-01, G-16).
 */
export function describeFailure(error: unknown): string {
  if (isTimeout(error)) return 'no answer in time'
  if (!(error instanceof Error)) return 'not connected'
  const word = wordOf(error)
  if (word === 'NOPERM') return `${describePermission(reasonOf(error).message)} (NOPERM)`
  if (word !== undefined) return `${known[word]} (${word})`
  const { message, name } = reasonOf(error)
  if (message.startsWith('Socket timeout')) return 'no answer in time'
  if (message.includes('All sentinels are unreachable'))
    return 'no Sentinel answers, or none knows the master'
  if (message.includes('cluster support disabled')) return 'the server is not a node of a Cluster'
  return name === 'ReplyError' ? 'the server refused the command' : 'not connected'
}

/** By name, as far as Redis tells: the commands, or that it is a key or a channel. */
function describePermission(message: string): string {
  const commands = /run the '([a-z| -]{1,200})' command/.exec(message)?.[1]?.split(' ')
  if (commands) {
    return `the user may not run ${commands.join(', ')}: grant ${commands.map((one) => `+${one}`).join(' ')}`
  }
  if (message.includes('channel')) return "the user may not use the store's channels: grant &<prefix>*"
  if (message.includes('key')) return "the user may not use the store's keys: grant ~<prefix>*"
  return known.NOPERM
}

function wordOf(error: unknown): Word | undefined {
  if (!(error instanceof Error)) return undefined
  const { code, message } = reasonOf(error) as NodeJS.ErrnoException
  // Within a script, before Redis 7.2.
  if (message.includes("The user executing the script can't")) return 'NOPERM'
  const words = `${String(code ?? '')} ${message}`.match(/[A-Z][A-Z_]+/g)
  return words?.find((candidate): candidate is Word => Object.hasOwn(known, candidate))
}

/** The Cluster says "failed to refresh slots cache" and keeps the reason apart. */
function reasonOf(error: Error): Error {
  const { lastNodeError } = error as { lastNodeError?: unknown }
  return lastNodeError instanceof Error ? reasonOf(lastNodeError) : error
}
