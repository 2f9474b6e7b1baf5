import Type from 'typebox'
import {
  ClientSchema,
  OptionsSchema,
  ProviderSchema,
  ResourceServerSchema,
} from '../../../plugin/api/schemas.ts'
import { ListenSchema } from './listen.ts'
import { address, closed, milliseconds, secretFile, strings } from './parts.ts'
import { StoreSchema } from './store.ts'
import { UpstreamSchema } from './upstream.ts'

export type {
  ExpandedInput,
  GatewayConfig,
  GatewayInput,
  PluginConfig,
  ProviderConfig,
  Upstream,
} from './config.ts'

/** Far beyond any machine's cores, and short of what a slip of the finger would fork. */
const WORKERS_MAX = 256

const Provider = Type.Object(
  {
    ...ProviderSchema.properties,
    clientSecretFile: secretFile('clientSecret'),
    privateKeyFile: secretFile('privateKey'),
    caFile: secretFile('ca'),
    clientCertFile: secretFile('clientCert'),
    clientKeyFile: secretFile('clientKey'),
  },
  closed,
)
// With a default, for the same reason as in the plugin's own schema.
const NamedProvider = Type.Object(Provider.properties, { ...closed, default: {} })
const Client = Type.Object(
  { ...ClientSchema.properties, clientSecretFile: secretFile('clientSecret') },
  closed,
)
const ResourceServer = Type.Object(
  {
    clientId: ResourceServerSchema.properties.clientId,
    clientSecret: Type.Optional(ResourceServerSchema.properties.clientSecret),
    clientSecretFile: secretFile('clientSecret'),
  },
  closed,
)
const {
  publicUrl,
  routePrefix,
  scopes,
  agents,
  appLinks,
  secrets,
  tokens,
  lifetimes,
  session,
  limits,
  rateLimit,
  pages,
  log,
} = OptionsSchema.properties
const { logo: _, ...pagesProperties } = pages.properties

/** The second listener. */
export const AdminSchema = Type.Object(
  {
    ...address('127.0.0.1', 9090),
    metrics: Type.Optional(
      Type.Boolean({
        default: true,
        description:
          '/metrics for Prometheus. Needs prom-client: without it, nothing is counted, and /metrics answers 501.',
      }),
    ),
    tokenFile: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'File that holds the bearer token of /sessions, /reload, /version and /metrics, e.g. made by `pkce-gateway secret`. Without it all but /metrics are refused, unless `host` is a loopback address. Read again at a reload. Relative to the configuration file, or else to the working directory.',
      }),
    ),
  },
  {
    ...closed,
    default: {},
    description: '/healthz, /readyz, /metrics and the Admin API, never on the public listener.',
  },
)

/** The gateway's configuration: the plugin's options, and what is around them. Printed in this order. */
export const GatewaySchema = Type.Object(
  {
    publicUrl,
    routePrefix,
    listen: Type.Optional(ListenSchema),
    admin: Type.Optional(AdminSchema),
    workers: Type.Optional(
      Type.Union([Type.Integer({ minimum: 1, maximum: WORKERS_MAX }), Type.Literal('auto')], {
        default: 1,
        description:
          'Processes that serve, for machines without a process manager; auto: one for each core. More than one needs redis or postgres. `listen.maxConnections`, `listen.overload`, `limits`, `upstreams[].connections` and, unless on redis, `rateLimit` count in each of them by itself.',
      }),
    ),
    allowedHosts: strings("Host values besides publicUrl's; others get 421."),
    trustProxy: strings('Addresses and CIDRs whose forwarded headers count.'),
    forwardAuth: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          'Answer proxies that forward by themselves (nginx auth_request, Traefik, Caddy, Envoy) at `<routePrefix>/verify`. Needs trustProxy: nobody else is answered. An upstream may then have no target.',
      }),
    ),
    provider: Type.Optional(Provider),
    providers: Type.Optional(
      Type.Record(Type.String(), NamedProvider, {
        description:
          'In place of `provider`, several with names: each has a callback of its own, `<routePrefix>/callback/<name>`.',
      }),
    ),
    clients: Type.Array(Client, {
      description: 'The registered apps. None only where `agents` lets others in, or `clientsFile` has them.',
    }),
    clientsFile: Type.Optional(
      Type.String({
        minLength: 1,
        description:
          'YAML or JSON file with a list of further clients, each as in `clients`; JSON is read much faster. `clients` may then be left out. Files that it names are relative to it. Read again at a reload. Relative to the configuration file, or else to the working directory.',
      }),
    ),
    scopes,
    agents,
    resourceServers: Type.Optional(
      Type.Array(ResourceServer, { default: [], description: 'Who may introspect.' }),
    ),
    appLinks,
    secrets,
    secretsFile: secretFile('the secrets, one per line'),
    store: Type.Optional(StoreSchema),
    tokens,
    lifetimes,
    session,
    limits,
    upstreams: Type.Optional(
      Type.Array(UpstreamSchema, {
        default: [],
        description: 'The APIs behind the gateway; what no prefix covers is a 404.',
      }),
    ),
    rateLimit,
    pages: Type.Optional(
      Type.Object(
        {
          ...pagesProperties,
          logoFile: Type.Optional(
            Type.String({
              minLength: 1,
              description:
                'SVG or PNG of at most 64 KiB, in the place of the name. An SVG may draw, and nothing else: no script, no style sheet, no reference to elsewhere. Read again at a reload. Relative to the configuration file, or else to the working directory.',
            }),
          ),
        },
        { ...closed, default: {}, description: 'What the pages of a login look like.' },
      ),
    ),
    log: Type.Optional(
      Type.Object(
        {
          level: Type.Optional(
            Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], {
              default: 'info',
              description: 'JSON lines; audit events carry `event`.',
            }),
          ),
          requests: Type.Optional(
            Type.Enum(['off', 'errors', 'all'], {
              default: 'errors',
              description:
                'One line for each forwarded request when it is over, whatever `level` says, but for `silent`. errors: those that were answered with 400 or more, were broken off by the upstream, or whose client left without an answer.',
            }),
          ),
          subject: log.properties.subject,
        },
        { ...closed, default: {} },
      ),
    ),
    shutdown: Type.Optional(
      Type.Object(
        {
          delayMs: milliseconds(
            0,
            'After SIGTERM: /readyz is 503, and connections are still accepted, so that load balancers can look elsewhere first. A little longer than it takes them to notice, e.g. 5000.',
            0,
          ),
          graceMs: milliseconds(
            30_000,
            'Then: for requests in flight. What is left is cut off, with status 1.',
          ),
        },
        { ...closed, default: {} },
      ),
    ),
  },
  closed,
)
