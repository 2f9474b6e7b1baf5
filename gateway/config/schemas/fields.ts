/**
 * Written by `npm run docs`, from the schemas: change those. The options as data, in types that a compiler reads in
 * no time.
 */
import type {
  AgentFields,
  AppLinkFields,
  ClientFields,
  LifetimeFields,
  LimitFields,
  ProviderFields,
  RateLimitFields,
  SessionFields,
} from '../../../plugin/options/types/fields.ts'

/** The identity provider, with its secrets in files. */
export interface GatewayProviderFields extends ProviderFields {
  /** File that holds clientSecret. Relative to the configuration file, or else to the working directory. */
  clientSecretFile?: string
  /** File that holds privateKey. Relative to the configuration file, or else to the working directory. */
  privateKeyFile?: string
  /** File that holds ca. Relative to the configuration file, or else to the working directory. */
  caFile?: string
  /** File that holds clientCert. Relative to the configuration file, or else to the working directory. */
  clientCertFile?: string
  /** File that holds clientKey. Relative to the configuration file, or else to the working directory. */
  clientKeyFile?: string
}

/** A registered app, with its secret in a file. */
export interface GatewayClientFields extends ClientFields {
  /** File that holds clientSecret. Relative to the configuration file, or else to the working directory. */
  clientSecretFile?: string
}

/** A resource server that may introspect (RFC 7662 §2.1). */
export interface GatewayResourceServerFields {
  /** Its name at the introspection endpoint. */
  clientId: string
  /** By client_secret_basic or client_secret_post. */
  clientSecret?: string
  /** File that holds clientSecret. Relative to the configuration file, or else to the working directory. */
  clientSecretFile?: string
}

/** What one connection of HTTP/2 may do. */
export interface Http2Fields {
  /** Requests at a time on one connection. Who opens more loses it. Default: `100`. */
  maxConcurrentStreams?: number
}

/** The public listener. */
export interface ListenFields {
  /** Address to listen on, or a name: then the first address that it has. Default: `"127.0.0.1"`. */
  host?: string
  /** 0: any free port. Default: `3000`. */
  port?: number
  /** Speak HTTPS (TLS 1.2 or newer). Without it: HTTP, for a proxy in front. */
  tls?: {
    /** PEM: the certificate, then the intermediate ones. Read again when it changes, and at SIGHUP. */
    certFile: string
    /** PEM: its private key. */
    keyFile: string
  }
  /**
   * Speak HTTP/2 too, with clients that ask for it (ALPN); needs listen.tls. WebSocket stays with HTTP/1.1.
   * true: with the limits below. Default: `false`.
   */
  http2?: boolean | Http2Fields
  /**
   * Open at a time, of all clients; what connects beyond is closed at once. Each needs a file descriptor, as
   * do those to upstreams: see `ulimit -n`. Of each worker. Default: `10000`.
   */
  maxConnections?: number
  /**
   * When a new request is refused with 503 and Retry-After, so that those under way are served in time.
   * Judged by each worker for itself.
   */
  overload?: {
    /**
     * So late the event loop may be, twice in a row; from then on each of its turns takes requests for half
     * of that time and refuses the rest, until it has kept half of it for a second. At least 50; 0: however
     * late. Default: `1000`.
     */
    eventLoopDelayMs?: number
    /**
     * At a time, of all clients, those that wait for an upstream too; event streams, WebSockets, and bodies
     * on their way to an endpoint do not count. Default: as many as maxConnections, which HTTP/2 alone can
     * exceed; 0: any number.
     */
    requestsInFlight?: number
  }
  /**
   * In every ten seconds of an upload that the upstream takes; a slower one gets 408. 0: as slow as
   * timeouts.idleMs allows. Default: `1024`.
   */
  minUploadBytesPerSecond?: number
  timeouts?: {
    /** To receive the request head. Default: `15000`. */
    headersMs?: number
    /** To receive the whole request; 0: off, bodies have idle timeouts. Default: `0`. */
    requestMs?: number
    /** Longer than the load balancer's. Default: `72000`. */
    keepAliveMs?: number
  }
}

/** Where grants are kept. */
export interface StoreFields {
  /** Where grants are kept. Default: `"memory"`. */
  type?: 'memory' | 'redis' | 'postgres'
  /**
   * Of redis (redis, rediss, redis+sentinel, redis+cluster) and postgres. Holds the password, so it is never
   * shown.
   */
  url?: string
  /**
   * File that holds url. Relative to the configuration file, or else to the working directory. Read again
   * when the store refuses the user name or the password.
   */
  urlFile?: string
  /** Of postgres: the server itself, for LISTEN, where `url` leads to a pooler such as PgBouncer. */
  listenUrl?: string
  /** File that holds listenUrl. Read for each connection. */
  listenUrlFile?: string
  /**
   * PEM: who may have issued the certificate of the store, in the place of all public authorities. Relative
   * to the configuration file.
   */
  caFile?: string
  /** PEM: our certificate for the store, then the intermediate ones. */
  clientCertFile?: string
  /** PEM: its private key. */
  clientKeyFile?: string
  /** Of redis+sentinel: the Sentinels' own; the URL has the servers'. */
  sentinelUsername?: string
  /** Of redis+sentinel. Never shown. */
  sentinelPassword?: string
  /**
   * File that holds sentinelPassword. Relative to the configuration file, or else to the working directory.
   */
  sentinelPasswordFile?: string
  /** Of memory. Default: `100000`. */
  maxRecords?: number
  /** Of memory: every session is lost at a restart. Default: `false`. */
  dangerouslyAllowInProduction?: boolean
}

/** How WebSocket connections are forwarded. */
export interface WebSocketFields {
  /**
   * Exact Origin values that may connect, e.g. https://app.example.com. No Origin field (native apps):
   * always. Default: `[]`.
   */
  origins?: string[]
  /** Without a byte in either direction, pings included; then 1001. Default: `120000`. */
  idleMs?: number
  /** Of the app's messages, as sent (compressed, if they are); then 1009. Default: `1048576`. */
  maxMessageBytes?: number
}

/** An API behind the gateway. */
export interface UpstreamFields {
  /** /, or whole segments without a slash at the end. Prefixes may nest: the longest wins. */
  prefix: string
  /**
   * http(s) origin and an optional base path, or unix:/run/orders.sock, or unix:/run/orders.sock:/base;
   * upstream path = target path + (path − prefix). Of several, the one with the fewest requests under way is
   * asked; one that cannot be reached is left alone for 1 to 30 s. Required, unless forwardAuth is true and a
   * proxy alone forwards; a request that comes here is then a 404. Default: `[]`.
   */
  target?: string | string[]
  /**
   * The Host that the upstream gets. upstream: its own (localhost for unix:); public: publicUrl's; else this
   * host or host:port. A certificate is always compared with the target's own name. Default: `"upstream"`.
   */
  host?: string
  /**
   * PEM: who may have issued the certificate of this upstream, in the place of all public authorities.
   * Relative to the configuration file.
   */
  caFile?: string
  /** PEM: our certificate for this upstream, then the intermediate ones. */
  clientCertFile?: string
  /** PEM: its private key. */
  clientKeyFile?: string
  /** Forms that are refused elsewhere. A path that could be read as one of another prefix still is. */
  paths?: {
    /** %2F, as in /@scope%2Fname. Default: `false`. */
    encodedSlash?: boolean
    /** ; as in /cars;colour=red. Default: `false`. */
    matrixParameters?: boolean
  }
  /**
   * Requests to each target at a time; further ones wait for timeouts.connectMs at most, then 503. Event
   * streams and WebSockets have connections of their own. Default: `256`.
   */
  connections?: number
  /**
   * Of these, for one session; its further requests wait likewise, then 429. Default: a quarter of
   * connections.
   */
  connectionsPerSession?: number
  /** Event streams and WebSockets of one session to each target at a time; then 429. Default: `100`. */
  streamsPerSession?: number
  /**
   * An older connection takes no further request, so that a name that moves is followed. Default: `30000`.
   */
  connectionMaxAgeMs?: number
  /**
   * Ask another target (or the only one again) when nobody could be reached, and ask once more when a
   * connection that had been in use was closed before a byte of the answer. GET, HEAD, PUT and DELETE without
   * a body only. Default: `false`.
   */
  retry?: boolean
  /** No session needed. Methods default to [GET]. Default: `false`. */
  public?: boolean
  /** All are required. Default: `[]`. */
  scopes?: string[]
  /**
   * Step-up (RFC 9470): acr values of the provider, one of which the login must have had. Any other, or none
   * that is known: 401 with `acr_values`, which the app sends on (`clients[].passThrough`). Default: `[]`.
   */
  acr?: string[]
  /**
   * Step-up: how long ago the login may be. An older one, or one that is not known: 401 with `max_age`, which
   * the app sends on (`clients[].passThrough`).
   */
  maxAgeSeconds?: number
  /** Default: all of them (public: GET). HEAD goes with GET. */
  methods?: ('GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE')[]
  /**
   * What Authorization carries to the upstream. provider-token: the access token of the provider;
   * identity-jwt: a JWT of the gateway for this upstream, which says who is calling. Default: provider-token
   * (public: none).
   */
  credentials?: 'provider-token' | 'identity-jwt' | 'none'
  /** Of identity-jwt: its `aud`. Default: publicUrl and the prefix, e.g. https://api.example.com/orders. */
  audience?: string
  /** Header name → claim; always stripped inbound. sub and iss, its provider, are known of every session. */
  identityHeaders?: Record<string, string>
  /** Names that are passed; all others are removed. */
  cookies?: {
    /** Passed to the upstream. Default: `[]`. */
    request?: string[]
    /** Passed to the app. Default: `[]`. */
    response?: string[]
  }
  /** private: answers carry private, no-store. Default: `"private"`. */
  cacheControl?: 'private' | 'upstream'
  /** Forward WebSocket connections; true: with the defaults below. Default: `false`. */
  websocket?: boolean | WebSocketFields
  timeouts?: {
    /** TCP and TLS. Default: `3000`. */
    connectMs?: number
    /** Until the answer begins. Default: `30000`. */
    headersMs?: number
    /** Between two pieces of a body, both ways. Default: `60000`. */
    idleMs?: number
  }
  /** Of a request. Default: `10485760`. */
  bodyLimitBytes?: number
  /**
   * Of an answer: a larger header is a 502. Each connection to the upstream may hold as much. Default:
   * `65536`.
   */
  responseHeaderBytes?: number
}

/** The gateway's configuration, as written in a file. */
export interface GatewayFields {
  /** Our issuer: an https origin without path, or http with a loopback literal. */
  publicUrl: string
  /** Where the routes live. Default: `"/oauth2"`. */
  routePrefix?: string
  listen?: ListenFields
  /** /healthz, /readyz, /metrics and the Admin API, never on the public listener. */
  admin?: {
    /** Address to listen on, or a name: then the first address that it has. Default: `"127.0.0.1"`. */
    host?: string
    /** 0: any free port. Default: `9090`. */
    port?: number
    /**
     * /metrics for Prometheus. Needs prom-client: without it, nothing is counted, and /metrics answers 501.
     * Default: `true`.
     */
    metrics?: boolean
    /**
     * File that holds the bearer token of /sessions, /reload, /version and /metrics, e.g. made by
     * `pkce-gateway secret`. Without it all but /metrics are refused, unless `host` is a loopback address.
     * Read again at a reload. Relative to the configuration file, or else to the working directory.
     */
    tokenFile?: string
  }
  /**
   * Processes that serve, for machines without a process manager; auto: one for each core. More than one
   * needs redis or postgres. `listen.maxConnections`, `listen.overload`, `limits`, `upstreams[].connections`
   * and, unless on redis, `rateLimit` count in each of them by itself. Default: `1`.
   */
  workers?: number | 'auto'
  /** Host values besides publicUrl's; others get 421. Default: `[]`. */
  allowedHosts?: string[]
  /** Addresses and CIDRs whose forwarded headers count. Default: `[]`. */
  trustProxy?: string[]
  /**
   * Answer proxies that forward by themselves (nginx auth_request, Traefik, Caddy, Envoy) at
   * `<routePrefix>/verify`. Needs trustProxy: nobody else is answered. An upstream may then have no target.
   * Default: `false`.
   */
  forwardAuth?: boolean
  provider?: GatewayProviderFields
  /**
   * In place of `provider`, several with names: each has a callback of its own,
   * `<routePrefix>/callback/<name>`.
   */
  providers?: Record<string, GatewayProviderFields>
  /** The registered apps. None only where `agents` lets others in, or `clientsFile` has them. */
  clients: GatewayClientFields[]
  /**
   * YAML or JSON file with a list of further clients, each as in `clients`; JSON is read much faster.
   * `clients` may then be left out. Files that it names are relative to it. Read again at a reload. Relative
   * to the configuration file, or else to the working directory.
   */
  clientsFile?: string
  /** What scopes mean to people, for the page on which they allow an app something. Default: `[]`. */
  scopes?: {
    /** As in `clients[].scopes` and `agents.scopes`. */
    name: string
    /** What an app may do with it, for a person: `Read your orders`. */
    description: string
  }[]
  /** Apps that nobody registered, AI agents with MCP for one. Off, each part by itself. */
  agents?: AgentFields
  /** Who may introspect. Default: `[]`. */
  resourceServers?: GatewayResourceServerFields[]
  /**
   * Apps that open https redirect URIs at `publicUrl` themselves. Served at `/.well-known/assetlinks.json`
   * (Android) and `/.well-known/apple-app-site-association` (iOS). Default: `[]`.
   */
  appLinks?: AppLinkFields[]
  /**
   * At least 32 random bytes each, base64url: the first seals, all open. Required unless the store is memory.
   * Default: `[]`.
   */
  secrets?: string[]
  /**
   * File that holds the secrets, one per line. Relative to the configuration file, or else to the working
   * directory.
   */
  secretsFile?: string
  store?: StoreFields
  /** opaque: our handles; relay: the provider's access token and our refresh handle. Default: `"opaque"`. */
  tokens?: 'opaque' | 'relay'
  lifetimes?: LifetimeFields
  session?: SessionFields
  limits?: LimitFields
  /** The APIs behind the gateway; what no prefix covers is a 404. Default: `[]`. */
  upstreams?: UpstreamFields[]
  /** By address (v6: /64). false: off, with a warning. */
  rateLimit?: RateLimitFields | false
  /** What the pages of a login look like. */
  pages?: {
    /** Of whoever offers the login, at the head of each page. Default: the host of `publicUrl`. */
    name?: string
    /**
     * Of the button, as #rrggbb: with a contrast of at least 3 against the light and the dark background. Its
     * text is white or black. Default: `"#2563eb"`.
     */
    accentColor?: string
    /** Where people get help: an https or mailto address, at the foot of each page. */
    supportUrl?: string
    /**
     * SVG or PNG of at most 64 KiB, in the place of the name. An SVG may draw, and nothing else: no script,
     * no style sheet, no reference to elsewhere. Read again at a reload. Relative to the configuration file,
     * or else to the working directory.
     */
    logoFile?: string
  }
  log?: {
    /** JSON lines; audit events carry `event`. Default: `"info"`. */
    level?: 'fatal' | 'error' | 'warn' | 'info' | 'debug' | 'trace' | 'silent'
    /**
     * One line for each forwarded request when it is over, whatever `level` says, but for `silent`. errors:
     * those that were answered with 400 or more, were broken off by the upstream, or whose client left
     * without an answer. Default: `"errors"`.
     */
    requests?: 'off' | 'errors' | 'all'
    /**
     * How log lines name the user. hash: 8 hexadecimal digits, the same in all lines until the first of
     * `secrets` changes; plain: `sub` as the provider has it; none: not at all. Default: `"hash"`.
     */
    subject?: 'hash' | 'plain' | 'none'
  }
  shutdown?: {
    /**
     * After SIGTERM: /readyz is 503, and connections are still accepted, so that load balancers can look
     * elsewhere first. A little longer than it takes them to notice, e.g. 5000. Default: `0`.
     */
    delayMs?: number
    /** Then: for requests in flight. What is left is cut off, with status 1. Default: `30000`. */
    graceMs?: number
  }
}
