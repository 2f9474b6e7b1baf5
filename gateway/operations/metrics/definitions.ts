/** What a value of a label can be. All of them are bounded by the configuration or by this package (requirements J-09). */
export const LABELS = {
  route:
    'prefix of an upstream, path of an endpoint, or `none` for a request that leads nowhere or is refused before its route is known',
  method: '`read` (GET, HEAD), `write` (POST, PUT, PATCH, DELETE), `other`',
  status: '`1xx` to `5xx`; `none`: the client left before it was told anything',
  kind: '`event_stream`, `websocket`',
  reason: 'a name of [errors.md](errors.md)',
  failure:
    '`no_connection`, `connect_failed`, `connect_timeout`, `connection_lost`, `headers_timeout`, `body_timeout`, `answer_malformed`; or the limit that was met: `connections`, `connectionsPerSession`, `streamsPerSession`',
  client:
    '`clientId` of a registered client; `unregistered` for all others together that `agents` lets in; else `unknown`',
  step: '`begun` (the browser was sent to the provider), `returned` (it came back, and the app got a code), `proved` (the app has proved its verifier), `redeemed` (the session is active), `first_call` (the first request with it)',
  outcome:
    'of a login: `ok`, `denied` (by the person, the provider or `onLogin`), `refused` (by the gateway or an upstream: 4xx), `failed` (something is down); of a refresh: `ok`, `refused`, `failed`; of a call to a provider: `ok`, `refused` (3xx, 4xx), `failed` (5xx, 429, no answer), `unreachable`, `invalid`, `not_made` (circuit breaker); of an operation of the store: `ok`, `error`; of a reload: `ok`, `refused`',
  event: 'an event of the audit trail, e.g. `code.replay`: [logging.md](logging.md)',
  issuer: '`issuer` of a configured provider',
  endpoint: '`discovery`, `jwks`, `par`, `token`, `userinfo`, `revocation`',
  operation:
    '`create`, `read`, `replace`, `reserve`, `add_to_index`, `read_index`, `remove_from_index`, `count`, `check`',
  result: '`hit`, `miss`',
  version: 'of this package',
  node: 'version of Node',
} as const
export type Label = keyof typeof LABELS

/** What it is, and how the values of several processes become one (`workers`). */
export interface Definition {
  readonly type: 'counter' | 'gauge' | 'histogram'
  readonly help: string
  readonly labels: readonly Label[]
  /** Default: their sum. */
  readonly aggregator?: 'max' | 'min' | 'first'
}

/** Every metric of ours. docs/metrics.md is made of it. */
export const METRICS = {
  pkce_requests_total: {
    type: 'counter',
    help: 'Requests that have been answered. Event streams and WebSockets count when their header is sent.',
    labels: ['route', 'method', 'status'],
  },
  pkce_request_duration_seconds: {
    type: 'histogram',
    help: 'From the header of a request to the end of its answer; of event streams and WebSockets to its header.',
    labels: ['route', 'method', 'status'],
  },
  pkce_requests_in_flight: {
    type: 'gauge',
    help: 'Requests that have not ended, without event streams and WebSockets. listen.overload limits them.',
    labels: [],
  },
  pkce_open_streams: { type: 'gauge', help: 'Event streams and WebSockets.', labels: ['route', 'kind'] },
  pkce_open_connections: { type: 'gauge', help: 'Connections of clients.', labels: [] },
  pkce_connections_dropped_total: {
    type: 'counter',
    help: 'Connections closed at once, because listen.maxConnections were open.',
    labels: [],
  },
  pkce_refusals_total: {
    type: 'counter',
    help: 'Requests that the gateway itself has answered with an error: rate_limited, overloaded, token_expired and all others. What the HTTP parser refuses is not among them.',
    labels: ['reason'],
  },
  pkce_upstream_duration_seconds: {
    type: 'histogram',
    help: 'From the last time that a request was sent to an upstream to the header of its answer.',
    labels: ['route'],
  },
  pkce_upstream_failures_total: {
    type: 'counter',
    help: 'Requests that could not be forwarded, or whose answer broke off, and limits of upstreams[] that were met.',
    labels: ['route', 'failure'],
  },
  pkce_login_steps_total: {
    type: 'counter',
    help: 'Logins by how far they have come. What is missing from one step to the next was given up, or has failed. first_call is counted once for each login on all instances, within ten minutes after redeemed.',
    labels: ['client', 'step', 'outcome'],
  },
  pkce_refreshes_total: {
    type: 'counter',
    help: 'Refreshes of sessions by apps.',
    labels: ['client', 'outcome'],
  },
  pkce_audit_events_total: {
    type: 'counter',
    help: 'Events of the audit trail: wrong verifiers, replayed codes, reused refresh tokens, ended sessions.',
    labels: ['event', 'client'],
  },
  pkce_provider_calls_total: {
    type: 'counter',
    help: 'Requests to providers, each try by itself.',
    labels: ['issuer', 'endpoint', 'outcome'],
  },
  pkce_provider_call_duration_seconds: {
    type: 'histogram',
    help: 'From a request to a provider to its outcome.',
    labels: ['issuer', 'endpoint'],
  },
  pkce_provider_breaker_open: {
    type: 'gauge',
    help: '1 from the moment at which the circuit breaker opens until a call succeeds again.',
    labels: ['issuer', 'endpoint'],
    aggregator: 'max',
  },
  pkce_store_operations_total: {
    type: 'counter',
    help: 'Operations of the store.',
    labels: ['operation', 'outcome'],
  },
  pkce_store_operation_duration_seconds: {
    type: 'histogram',
    help: 'How long an operation of the store has taken.',
    labels: ['operation'],
  },
  pkce_store_notification_seconds: {
    type: 'histogram',
    help: 'From the beginning of a write of this process to the notification of it: the bound of how late a revocation is elsewhere.',
    labels: [],
  },
  pkce_store_notification_gaps_total: {
    type: 'counter',
    help: 'Times at which the channel of change notifications broke. Until it stands again nothing is served from the session cache.',
    labels: [],
  },
  pkce_store_notifications_up: {
    type: 'gauge',
    help: '1 while changes are notified, 0 in a gap.',
    labels: [],
    aggregator: 'min',
  },
  pkce_session_cache_lookups_total: {
    type: 'counter',
    help: 'Sessions looked up in the memory of this process. A miss reads the store.',
    labels: ['result'],
  },
  pkce_log_lines_dropped_total: {
    type: 'counter',
    help: 'Log lines that standard output did not take.',
    labels: [],
  },
  pkce_reloads_total: { type: 'counter', help: 'Reloads of the configuration.', labels: ['outcome'] },
  pkce_last_reload_successful: {
    type: 'gauge',
    help: '1 if the last reload succeeded, or none was tried; 0: the configuration on disk is refused.',
    labels: [],
    aggregator: 'min',
  },
  pkce_last_reload_success_timestamp_seconds: {
    type: 'gauge',
    help: 'When the configuration that runs came into effect.',
    labels: [],
    aggregator: 'max',
  },
  pkce_serving_processes: { type: 'gauge', help: 'Processes that serve: workers.', labels: [] },
  pkce_build_info: { type: 'gauge', help: 'Always 1.', labels: ['version', 'node'], aggregator: 'first' },
} as const satisfies Record<string, Definition>

export type MetricName = keyof typeof METRICS
