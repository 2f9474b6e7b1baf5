/**
 * Every reason for which the gateway itself responds, with its response.
 *
 * A reason is told to the client as `code`: it describes the request, never the upstream. `close`: the framing
 * or the rest of the connection cannot be trusted, so nothing more is read from it. `failed`: the fault is not the client's, and is
 * told in the log where it is found, with its cause. `retryAfterSeconds`: when it may go better (RFC 9110 §10.2.3).
 */
interface Refused {
  readonly status: number
  readonly detail: string
  readonly close?: true
  readonly failed?: true
  readonly retryAfterSeconds?: number
}

const refusals = {
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

  // Load (K-06)
  overloaded: {
    status: 503,
    detail: 'The service is overloaded. Try again later.',
    failed: true,
    retryAfterSeconds: 2,
  },

  // Route and method (H-01, H-18, H-29)
  route_unknown: { status: 404, detail: 'There is nothing here.' },
  method_not_allowed: { status: 405, detail: 'The method is not allowed here.' },
  method_unknown: { status: 501, detail: 'The method is not known.', close: true },
  origin_not_allowed: { status: 403, detail: 'This origin may not connect.', close: true },
  upgrade_unsupported: { status: 501, detail: 'Upgrading the connection is not supported.', close: true },

  // Forward-auth: who asks, and what about
  proxy_untrusted: { status: 403, detail: 'Only a proxy that trustProxy names may ask this.' },
  original_missing: { status: 403, detail: 'The method and the path of the original request are required.' },
  original_ambiguous: {
    status: 403,
    detail: 'What names the original request is repeated, malformed or contradicted.',
  },

  // Header rules and body (H-14, H-18, H-19, H-20)
  field_repeated: { status: 400, detail: 'A header field is repeated.', close: true },
  connection_protected: { status: 400, detail: 'Connection names a field that must not be.', close: true },
  body_not_allowed: { status: 400, detail: 'A body is not allowed with this method.', close: true },
  body_too_large: { status: 413, detail: 'The body is too large.', close: true },

  websocket_malformed: { status: 400, detail: 'The WebSocket handshake is malformed.', close: true },
  websocket_version: { status: 426, detail: 'WebSocket version 13 is required.', close: true },
  too_many_requests: {
    status: 429,
    detail: 'Too many requests of this session are under way.',
    retryAfterSeconds: 1,
  },
  too_many_streams: {
    status: 429,
    detail: 'Too many streams are open for this session.',
    close: true,
    retryAfterSeconds: 5,
  },

  // Upstream (H-27)
  bad_gateway: { status: 502, detail: 'The upstream could not answer.', failed: true },
  gateway_timeout: { status: 504, detail: 'The upstream did not answer in time.', failed: true },

  unavailable: {
    status: 503,
    detail: 'The service is temporarily unavailable. Try again later.',
    failed: true,
    retryAfterSeconds: 5,
  },
  internal: { status: 500, detail: 'An internal error occurred.', failed: true },
} as const satisfies Record<string, Refused>

/** Why the gateway answers itself. Safe to send. */
export type Refusal = keyof typeof refusals
/** All of them. */
export const refusalReasons = Object.keys(refusals) as readonly Refusal[]

/** What a client is told. @see Refusal */
export function answerFor(refusal: Refusal): Refused {
  return refusals[refusal]
}
