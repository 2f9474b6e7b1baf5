import Type from 'typebox'
import { closed, milliseconds, pemFile, strings } from './parts.ts'

/** What may be allowed to the header of an answer at most. */
export const RESPONSE_HEADER_BYTES_MAX = 1_048_576

/** How WebSocket connections are forwarded. */
export const WebSocketSchema = Type.Object(
  {
    origins: strings(
      'Exact Origin values that may connect, e.g. https://app.example.com. No Origin field (native apps): always.',
    ),
    idleMs: milliseconds(120_000, 'Without a byte in either direction, pings included; then 1001.'),
    maxMessageBytes: Type.Optional(
      Type.Integer({
        minimum: 1,
        default: 1_048_576,
        description: "Of the app's messages, as sent (compressed, if they are); then 1009.",
      }),
    ),
  },
  closed,
)

/** One upstream API: where it is, who may call it, and what it is told. Rules across keys are in `rules/upstream.ts`. */
export const UpstreamSchema = Type.Object(
  {
    prefix: Type.String({
      minLength: 1,
      description: '/, or whole segments without a slash at the end. Prefixes may nest: the longest wins.',
    }),
    target: Type.Optional(
      Type.Union([Type.String({ minLength: 1 }), Type.Array(Type.String({ minLength: 1 }))], {
        default: [],
        description:
          'http(s) origin and an optional base path, or unix:/run/orders.sock, or unix:/run/orders.sock:/base; upstream path = target path + (path − prefix). Of several, the one with the fewest requests under way is asked; one that cannot be reached is left alone for 1 to 30 s. Required, unless forwardAuth is true and a proxy alone forwards; a request that comes here is then a 404.',
      }),
    ),
    host: Type.Optional(
      Type.String({
        minLength: 1,
        default: 'upstream',
        description:
          "The Host that the upstream gets. upstream: its own (localhost for unix:); public: publicUrl's; else this host or host:port. A certificate is always compared with the target's own name.",
      }),
    ),
    caFile: pemFile(
      'PEM: who may have issued the certificate of this upstream, in the place of all public authorities. Relative to the configuration file.',
    ),
    clientCertFile: pemFile('PEM: our certificate for this upstream, then the intermediate ones.'),
    clientKeyFile: pemFile('PEM: its private key.'),
    paths: Type.Optional(
      Type.Object(
        {
          encodedSlash: Type.Optional(
            Type.Boolean({ default: false, description: '%2F, as in /@scope%2Fname.' }),
          ),
          matrixParameters: Type.Optional(
            Type.Boolean({ default: false, description: '; as in /cars;colour=red.' }),
          ),
        },
        {
          ...closed,
          default: {},
          description:
            'Forms that are refused elsewhere. A path that could be read as one of another prefix still is.',
        },
      ),
    ),
    connections: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_535,
        default: 256,
        description:
          'Requests to each target at a time; further ones wait for timeouts.connectMs at most, then 503. Event streams and WebSockets have connections of their own.',
      }),
    ),
    connectionsPerSession: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_535,
        description:
          'Of these, for one session; its further requests wait likewise, then 429. Default: a quarter of connections.',
      }),
    ),
    streamsPerSession: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_535,
        default: 100,
        description: 'Event streams and WebSockets of one session to each target at a time; then 429.',
      }),
    ),
    connectionMaxAgeMs: milliseconds(
      30_000,
      'An older connection takes no further request, so that a name that moves is followed.',
    ),
    retry: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          'Ask another target (or the only one again) when nobody could be reached, and ask once more when a connection that had been in use was closed before a byte of the answer. GET, HEAD, PUT and DELETE without a body only.',
      }),
    ),
    public: Type.Optional(
      Type.Boolean({ default: false, description: 'No session needed. Methods default to [GET].' }),
    ),
    scopes: strings('All are required.'),
    acr: strings(
      'Step-up (RFC 9470): acr values of the provider, one of which the login must have had. Any other, or none that is known: 401 with `acr_values`, which the app sends on (`clients[].passThrough`).',
    ),
    maxAgeSeconds: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 999_999_999,
        description:
          'Step-up: how long ago the login may be. An older one, or one that is not known: 401 with `max_age`, which the app sends on (`clients[].passThrough`).',
      }),
    ),
    methods: Type.Optional(
      Type.Array(Type.Enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']), {
        minItems: 1,
        description: 'Default: all of them (public: GET). HEAD goes with GET.',
      }),
    ),
    credentials: Type.Optional(
      Type.Enum(['provider-token', 'identity-jwt', 'none'], {
        description:
          'What Authorization carries to the upstream. provider-token: the access token of the provider; identity-jwt: a JWT of the gateway for this upstream, which says who is calling. Default: provider-token (public: none).',
      }),
    ),
    audience: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'Of identity-jwt: its `aud`. Default: publicUrl and the prefix, e.g. https://api.example.com/orders.',
      }),
    ),
    identityHeaders: Type.Optional(
      Type.Record(Type.String(), Type.String({ minLength: 1 }), {
        default: {},
        description:
          'Header name → claim; always stripped inbound. sub and iss, its provider, are known of every session.',
      }),
    ),
    cookies: Type.Optional(
      Type.Object(
        {
          request: strings('Passed to the upstream.'),
          response: strings('Passed to the app.'),
        },
        { ...closed, default: {}, description: 'Names that are passed; all others are removed.' },
      ),
    ),
    cacheControl: Type.Optional(
      Type.Enum(['private', 'upstream'], {
        default: 'private',
        description: 'private: answers carry private, no-store.',
      }),
    ),
    websocket: Type.Optional(
      Type.Union([Type.Boolean(), WebSocketSchema], {
        default: false,
        description: 'Forward WebSocket connections; true: with the defaults below.',
      }),
    ),
    timeouts: Type.Optional(
      Type.Object(
        {
          connectMs: milliseconds(3000, 'TCP and TLS.'),
          headersMs: milliseconds(30_000, 'Until the answer begins.'),
          idleMs: milliseconds(60_000, 'Between two pieces of a body, both ways.'),
        },
        { ...closed, default: {} },
      ),
    ),
    bodyLimitBytes: Type.Optional(
      Type.Integer({ minimum: 0, default: 10_485_760, description: 'Of a request.' }),
    ),
    responseHeaderBytes: Type.Optional(
      Type.Integer({
        minimum: 1024,
        maximum: RESPONSE_HEADER_BYTES_MAX,
        default: 65_536,
        description:
          'Of an answer: a larger header is a 502. Each connection to the upstream may hold as much.',
      }),
    ),
  },
  closed,
)
