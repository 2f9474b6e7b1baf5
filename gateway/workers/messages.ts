import { ConfigError, type ConfigProblem } from '../../plugin/index.ts'
import type { GatewayConfig } from '../config/schemas/config.ts'
import type { Readiness } from '../operations/admin/listener.ts'
import type { SessionOutcome, SessionRequest } from '../operations/admin/sessions.ts'
import type { MetricsData } from '../operations/metrics/exposition.ts'
import { StartError } from '../operations/start-error.ts'

/** All that the primary tells a worker. */
export type ToWorker =
  /** With the configuration as the primary has loaded it: no file is read again but those that are read at each use. */
  | { readonly type: 'start'; readonly config: GatewayConfig }
  /** Asks for a `readiness`. */
  | { readonly type: 'readiness' }
  /** Asks for `metrics`. */
  | { readonly type: 'measure' }
  /** Asks for a `sessions` with the same id. */
  | { readonly type: 'sessions'; readonly id: number; readonly request: SessionRequest }
  /** Asks for a `pong`. */
  | { readonly type: 'ping' }
  /** Make another configuration ready: `prepared` or `refused` is the answer. Then: use it, or forget it. */
  | { readonly type: 'prepare'; readonly config: GatewayConfig }
  | { readonly type: 'swap' }
  | { readonly type: 'discard' }
  /** From now on every answer is the last of its connection; new ones are still accepted. */
  | { readonly type: 'leave' }
  /** Let the requests in flight finish, and end. */
  | { readonly type: 'stop' }

/** All that a worker tells the primary. */
export type ToPrimary =
  /** It hears what it is told from now on; the answer is `start`. */
  | { readonly type: 'loaded' }
  | { readonly type: 'listening'; readonly address: string }
  /** Instead: it ends now. */
  | { readonly type: 'failed'; readonly failure: Failure }
  | { readonly type: 'readiness'; readonly readiness: Readiness }
  /** What it has counted; empty where nothing is. */
  | { readonly type: 'metrics'; readonly data: MetricsData }
  | { readonly type: 'sessions'; readonly id: number; readonly outcome: SessionOutcome }
  | { readonly type: 'prepared' }
  | { readonly type: 'refused'; readonly failure: Failure }
  /** Its event loop turns. */
  | { readonly type: 'pong' }

/** What kept a worker from listening: an error as plain data. */
export type Failure =
  | { readonly problems: readonly ConfigProblem[] }
  | { readonly start: string }
  | { readonly message: string; readonly stack: string }

/** Of an error, what the primary needs to say the same. */
export function failureOf(error: unknown): Failure {
  if (error instanceof ConfigError) return { problems: error.problems }
  if (error instanceof StartError) return { start: error.message }
  const { message, stack = message } = error instanceof Error ? error : new Error(String(error))
  return { message, stack }
}

/** The error again: a ConfigError, a StartError, or one with the text and the stack of where it was thrown. */
export function errorOf(failure: Failure): Error {
  if ('problems' in failure) return new ConfigError(failure.problems)
  if ('start' in failure) return new StartError(failure.start)
  return Object.assign(new Error(failure.message), { stack: failure.stack })
}
