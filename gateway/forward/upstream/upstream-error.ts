import { answerFor, type Refusal } from '../../http/refusals.ts'

/** What went wrong with an upstream, for the log. */
export type UpstreamReason =
  | 'no_connection'
  | 'connect_failed'
  | 'connect_timeout'
  | 'connection_lost'
  | 'headers_timeout'
  | 'body_timeout'
  | 'answer_malformed'

const wire: Record<UpstreamReason, Refusal> = {
  no_connection: 'unavailable',
  connect_failed: 'bad_gateway',
  connect_timeout: 'gateway_timeout',
  connection_lost: 'bad_gateway',
  headers_timeout: 'gateway_timeout',
  body_timeout: 'gateway_timeout',
  answer_malformed: 'bad_gateway',
}

/**
 * An upstream could not be reached or did not answer properly: 502, 503 or 504. The client learns only that; what
 * happened is in `reason` and `cause`.
 */
export class UpstreamError extends Error {
  override readonly name = 'UpstreamError'
  readonly code = 'PKCE_UPSTREAM'
  readonly reason: UpstreamReason
  readonly refusal: Refusal
  readonly statusCode: number

  constructor(reason: UpstreamReason, cause?: unknown) {
    super(`upstream: ${reason}`, cause === undefined ? undefined : { cause })
    this.reason = reason
    this.refusal = wire[reason]
    this.statusCode = answerFor(this.refusal).status
  }

  /** From what kept undici from connecting. */
  static connecting(cause: Error): UpstreamError {
    const reason = reasonOf(cause)
    return new UpstreamError(reason === 'connect_timeout' ? reason : 'connect_failed', cause)
  }

  /** From what undici threw. Its errors have stable codes; messages are not looked at. */
  static from(cause: unknown): UpstreamError {
    return cause instanceof UpstreamError ? cause : new UpstreamError(reasonOf(cause), cause)
  }
}

/**
 * True for an error of the network or of TLS; before there is a connection, it says that nobody could be reached.
 * Others of undici's are about the request, or the end of the pool.
 */
export function isConnectFailure(error: Error): boolean {
  const code = 'code' in error ? error.code : undefined
  return typeof code === 'string' && (!code.startsWith('UND_ERR_') || code === 'UND_ERR_CONNECT_TIMEOUT')
}

const LOST = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE', 'ECONNABORTED'])

/** True if the other side has closed the connection, in whatever way. */
export function isConnectionLost(error: Error): boolean {
  return 'code' in error && LOST.has(String(error.code))
}

function reasonOf(cause: unknown): UpstreamReason {
  const code = cause instanceof Error && 'code' in cause ? cause.code : undefined
  switch (code) {
    case 'UND_ERR_CONNECT_TIMEOUT':
    case 'ETIMEDOUT':
      return 'connect_timeout'
    case 'UND_ERR_HEADERS_TIMEOUT':
      return 'headers_timeout'
    case 'UND_ERR_BODY_TIMEOUT':
      return 'body_timeout'
    case 'UND_ERR_HEADERS_OVERFLOW':
    case 'UND_ERR_RES_CONTENT_LENGTH_MISMATCH':
      return 'answer_malformed'
    default:
      return cause instanceof Error && cause.name === 'HTTPParserError'
        ? 'answer_malformed'
        : 'connection_lost'
  }
}
