import Type from 'typebox'
import { address, closed, milliseconds } from './parts.ts'

/** What one connection of HTTP/2 may do. */
export const Http2Schema = Type.Object(
  {
    maxConcurrentStreams: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1000,
        default: 100,
        description: 'Requests at a time on one connection. Who opens more loses it.',
      }),
    ),
  },
  closed,
)
/** The public listener. */
export const ListenSchema = Type.Object(
  {
    ...address('127.0.0.1', 3000),
    tls: Type.Optional(
      Type.Object(
        {
          certFile: Type.String({
            minLength: 1,
            description:
              'PEM: the certificate, then the intermediate ones. Read again when it changes, and at SIGHUP.',
          }),
          keyFile: Type.String({ minLength: 1, description: 'PEM: its private key.' }),
        },
        { ...closed, description: 'Speak HTTPS (TLS 1.2 or newer). Without it: HTTP, for a proxy in front.' },
      ),
    ),
    http2: Type.Optional(
      Type.Union([Type.Boolean(), Http2Schema], {
        default: false,
        description:
          'Speak HTTP/2 too, with clients that ask for it (ALPN); needs listen.tls. WebSocket stays with HTTP/1.1. true: with the limits below.',
      }),
    ),
    maxConnections: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 1_000_000,
        default: 10_000,
        description:
          'Open at a time, of all clients; what connects beyond is closed at once. Each needs a file descriptor, as do those to upstreams: see `ulimit -n`. Of each worker.',
      }),
    ),
    overload: Type.Optional(
      Type.Object(
        {
          eventLoopDelayMs: Type.Optional(
            Type.Integer({
              minimum: 0,
              maximum: 60_000,
              default: 1000,
              description:
                'So late the event loop may be, twice in a row; from then on each of its turns takes requests for half of that time and refuses the rest, until it has kept half of it for a second. At least 50; 0: however late.',
            }),
          ),
          requestsInFlight: Type.Optional(
            Type.Integer({
              minimum: 0,
              maximum: 1_000_000,
              description:
                'At a time, of all clients, those that wait for an upstream too; event streams, WebSockets, and bodies on their way to an endpoint do not count. Default: as many as maxConnections, which HTTP/2 alone can exceed; 0: any number.',
            }),
          ),
        },
        {
          ...closed,
          default: {},
          description:
            'When a new request is refused with 503 and Retry-After, so that those under way are served in time. Judged by each worker for itself.',
        },
      ),
    ),
    minUploadBytesPerSecond: Type.Optional(
      Type.Integer({
        minimum: 0,
        default: 1024,
        description:
          'In every ten seconds of an upload that the upstream takes; a slower one gets 408. 0: as slow as timeouts.idleMs allows.',
      }),
    ),
    timeouts: Type.Optional(
      Type.Object(
        {
          headersMs: milliseconds(15_000, 'To receive the request head.'),
          requestMs: milliseconds(0, 'To receive the whole request; 0: off, bodies have idle timeouts.', 0),
          keepAliveMs: milliseconds(72_000, "Longer than the load balancer's."),
        },
        { ...closed, default: {} },
      ),
    ),
  },
  { ...closed, default: {} },
)
