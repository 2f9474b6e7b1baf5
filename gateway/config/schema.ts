import Type, { type Static } from 'typebox'
import { ClientSchema, OptionsSchema, ProviderSchema, ResourceServerSchema } from '../../plugin/index.ts'

/** The gateway's configuration: the plugin's options, and what is around them. See `docs` in the README. */
const closed = { additionalProperties: false }
const milliseconds = (defaultMs: number, description: string, minimum = 1) =>
  Type.Optional(Type.Integer({ minimum, maximum: 86_400_000, default: defaultMs, description }))
const address = (host: string, port: number) => ({
  host: Type.Optional(Type.String({ minLength: 1, default: host })),
  port: Type.Optional(
    Type.Integer({ minimum: 0, maximum: 65_535, default: port, description: '0: any free port.' }),
  ),
})
/** A secret may be named by the file that holds it. */
const file = (name: string) =>
  Type.Optional(Type.String({ minLength: 1, description: `File that holds ${name}.` }))

const Provider = Type.Object(
  {
    ...ProviderSchema.properties,
    clientSecretFile: file('clientSecret'),
    privateKeyFile: file('privateKey'),
  },
  closed,
)
const Client = Type.Object({ ...ClientSchema.properties, clientSecretFile: file('clientSecret') }, closed)
const ResourceServer = Type.Object(
  {
    clientId: ResourceServerSchema.properties.clientId,
    clientSecret: Type.Optional(Type.String({ minLength: 1 })),
    clientSecretFile: file('clientSecret'),
  },
  closed,
)

export const UpstreamSchema = Type.Object(
  {
    prefix: Type.String({ minLength: 1, description: 'Whole segments; the longest prefix wins.' }),
    target: Type.String({
      minLength: 1,
      description: 'http(s) origin and an optional base path; upstream path = target path + (path − prefix).',
    }),
    public: Type.Optional(
      Type.Boolean({ default: false, description: 'No session needed. Methods default to [GET].' }),
    ),
    scopes: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), { default: [], description: 'All are required.' }),
    ),
    methods: Type.Optional(
      Type.Array(Type.Enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']), {
        minItems: 1,
        description: 'Default: all of them (public: GET). HEAD goes with GET.',
      }),
    ),
    credentials: Type.Optional(
      Type.Enum(['provider-token', 'none'], {
        default: 'provider-token',
        description: 'What Authorization carries to the upstream.',
      }),
    ),
    identityHeaders: Type.Optional(
      Type.Record(Type.String(), Type.String(), {
        default: {},
        description: 'Header name → claim; always stripped inbound.',
      }),
    ),
    cookies: Type.Optional(
      Type.Object(
        {
          request: Type.Optional(Type.Array(Type.String(), { default: [] })),
          response: Type.Optional(Type.Array(Type.String(), { default: [] })),
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
    websocket: Type.Optional(Type.Literal(false, { default: false, description: 'Not yet available.' })),
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
  },
  closed,
)

const {
  secrets,
  store: _,
  provider: __,
  clients: ___,
  resourceServers: ____,
  ...pluginProperties
} = {
  store: undefined,
  ...OptionsSchema.properties,
}

export const GatewaySchema = Type.Object(
  {
    ...pluginProperties,
    listen: Type.Optional(
      Type.Object(
        {
          ...address('127.0.0.1', 3000),
          timeouts: Type.Optional(
            Type.Object(
              {
                headersMs: milliseconds(15_000, 'To receive the request head.'),
                requestMs: milliseconds(
                  0,
                  'To receive the whole request; 0: off, bodies have idle timeouts.',
                  0,
                ),
                keepAliveMs: milliseconds(72_000, "Longer than the load balancer's."),
              },
              { ...closed, default: {} },
            ),
          ),
        },
        { ...closed, default: {} },
      ),
    ),
    admin: Type.Optional(
      Type.Object(address('127.0.0.1', 9090), {
        ...closed,
        default: {},
        description: '/healthz and /readyz, never on the public listener.',
      }),
    ),
    allowedHosts: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        default: [],
        description: "Host values besides publicUrl's; others get 421.",
      }),
    ),
    trustProxy: Type.Optional(
      Type.Array(Type.String({ minLength: 1 }), {
        default: [],
        description: 'Addresses and CIDRs whose forwarded headers count.',
      }),
    ),
    provider: Provider,
    clients: Type.Array(Client, { minItems: 1 }),
    resourceServers: Type.Optional(Type.Array(ResourceServer, { default: [] })),
    secrets,
    secretsFile: file('the secrets, one per line'),
    store: Type.Optional(
      Type.Object(
        {
          type: Type.Optional(Type.Enum(['memory'], { default: 'memory' })),
          maxRecords: Type.Optional(Type.Integer({ minimum: 1, default: 100_000 })),
          dangerouslyAllowInProduction: Type.Optional(Type.Boolean({ default: false })),
        },
        { ...closed, default: {} },
      ),
    ),
    upstreams: Type.Optional(Type.Array(UpstreamSchema, { default: [] })),
    log: Type.Optional(
      Type.Object(
        {
          level: Type.Optional(
            Type.Enum(['fatal', 'error', 'warn', 'info', 'debug', 'trace', 'silent'], { default: 'info' }),
          ),
        },
        { ...closed, default: {} },
      ),
    ),
    shutdown: Type.Optional(
      Type.Object(
        { graceMs: milliseconds(30_000, 'For requests in flight at SIGTERM.') },
        { ...closed, default: {} },
      ),
    ),
  },
  closed,
)

/** As written in the file, the environment and the flags. */
export type GatewayInput = Static<typeof GatewaySchema>

type Complete<T> = Required<T>
export type Upstream = Readonly<
  Omit<Complete<Static<typeof UpstreamSchema>>, 'cookies' | 'timeouts'> & {
    cookies: Complete<NonNullable<Static<typeof UpstreamSchema>['cookies']>>
    timeouts: Complete<NonNullable<Static<typeof UpstreamSchema>['timeouts']>>
  }
>
