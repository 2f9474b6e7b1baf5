/**
 * Every way in which the gateway itself answers, and its one answer on the wire.
 *
 * A reason is told to the client as `code`: it describes the request, never the upstream. `close`: the framing
 * or the rest of the connection cannot be trusted, so nothing more is read from it.
 */
interface Answer {
  readonly status: number
  readonly detail: string
  readonly close?: true
}

const answers = {
  // Request line and framing, for every request (H-05, H-07, H-08, H-13, H-20, K-01)
  request_malformed: { status: 400, detail: 'The request is malformed.', close: true },
  request_timeout: { status: 408, detail: 'The request did not arrive in time.', close: true },
  http_version: { status: 400, detail: 'HTTP/1.1 or HTTP/1.0 is required.', close: true },
  head_too_large: { status: 431, detail: 'The request header is too large.', close: true },
  framing: { status: 400, detail: 'The framing of the request is not supported.', close: true },
  host_malformed: { status: 400, detail: 'Exactly one valid Host field is required.', close: true },
  target_form: { status: 400, detail: 'The request target must be a path.', close: true },
  target_too_long: { status: 414, detail: 'The request target is too long.' },
  path_not_canonical: { status: 400, detail: 'The path is not in canonical form.' },
  query_malformed: { status: 400, detail: 'The query holds characters that are not allowed.' },
  expectation_unknown: { status: 417, detail: 'Only 100-continue can be expected.', close: true },
  host_unknown: { status: 421, detail: 'This host is not served here.' },

  // Route and method (H-01, H-18, H-29)
  route_unknown: { status: 404, detail: 'There is nothing here.' },
  method_not_allowed: { status: 405, detail: 'The method is not allowed here.' },
  method_unknown: { status: 501, detail: 'The method is not known.', close: true },
  origin_not_allowed: { status: 403, detail: 'This origin may not connect.', close: true },
  upgrade_unsupported: { status: 501, detail: 'Upgrading the connection is not supported.', close: true },

  // Header rules and body (H-14, H-18, H-19, H-20)
  field_repeated: { status: 400, detail: 'A header field is repeated.', close: true },
  connection_protected: { status: 400, detail: 'Connection names a field that must not be.', close: true },
  body_not_allowed: { status: 400, detail: 'A body is not allowed with this method.', close: true },
  body_too_large: { status: 413, detail: 'The body is too large.', close: true },

  websocket_malformed: { status: 400, detail: 'The WebSocket handshake is malformed.', close: true },
  websocket_version: { status: 426, detail: 'WebSocket version 13 is required.', close: true },
  too_many_streams: { status: 429, detail: 'Too many streams are open for this session.', close: true },

  // Upstream (H-27)
  bad_gateway: { status: 502, detail: 'The upstream could not answer.' },
  gateway_timeout: { status: 504, detail: 'The upstream did not answer in time.' },

  unavailable: { status: 503, detail: 'The service is temporarily unavailable. Try again later.' },
  internal: { status: 500, detail: 'An internal error occurred.' },
} as const satisfies Record<string, Answer>

/** Why the gateway answers itself. Safe to send. */
export type Refusal = keyof typeof answers

/** What a client is told. @see Refusal */
export function answerFor(refusal: Refusal): Answer {
  return answers[refusal]
}

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
 * An upstream could not be reached or did not answer properly: 502 or 504. The client learns only that; what
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
    this.statusCode = answers[this.refusal].status
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

/** The client's own body cannot be taken: too large, or it stopped arriving. */
export class UploadError extends Error {
  override readonly name = 'UploadError'
  readonly code = 'PKCE_UPLOAD'
  readonly refusal: 'body_too_large' | 'request_timeout'

  constructor(refusal: UploadError['refusal']) {
    super(answers[refusal].detail)
    this.refusal = refusal
  }
}
