import Type from 'typebox'
import { PagesSchema } from './pages/schema.ts'
import { closed, milliseconds, seconds, strings } from './parts.ts'
import { ProviderSchema } from './provider/schema.ts'

export { ProviderSchema } from './provider/schema.ts'

/**
 * The plugin's options as JSON schemas: the gateway's configuration is made of the same ones. Each option has
 * its default and its reason beside its key. Rules that a schema cannot say are in `rules.ts`,
 * `clients/` and `provider/rules.ts`.
 */

/** A registered app. */
export const ClientSchema = Type.Object(
  {
    clientId: Type.String({
      minLength: 1,
      maxLength: 256,
      pattern: '^[\\x20-\\x7e]+$',
      description: 'Printable ASCII.',
    }),
    name: Type.Optional(
      Type.String({ minLength: 1, maxLength: 128, description: 'Shown on the page; default: the clientId.' }),
    ),
    enabled: Type.Optional(
      Type.Boolean({ default: true, description: 'False refuses it everywhere, live sessions included.' }),
    ),
    authentication: Type.Optional(
      Type.Enum(['none', 'client_secret_basic', 'client_secret_post'], {
        default: 'none',
        description: 'Native apps: none.',
      }),
    ),
    clientSecret: Type.Optional(Type.String({ minLength: 1, description: 'Of a confidential app.' })),
    redirectUris: Type.Array(Type.String(), {
      minItems: 1,
      description:
        'Compared byte for byte; http on 127.0.0.1, [::1] or localhost (not recommended) matches any port (RFC 8252 §7.3).',
    }),
    scopes: strings('Our scopes that this client may have.'),
    providerScopes: strings(
      'Those of `scopes` that are passed on to the provider, whose answer narrows them.',
    ),
    claims: strings('Claims that userinfo and identity headers may show, besides sub.'),
    interaction: Type.Optional(
      Type.Enum(['page', 'none', 'prompt'], {
        description: 'Default: page for private-use schemes and loopback, none for https.',
      }),
    ),
    passThrough: strings(
      'Authorization parameters of the app that the provider gets: prompt, login_hint, ui_locales, max_age, acr_values.',
    ),
    allowedOrigins: strings('Exact origins of browser clients (CORS).'),
    providers: strings(
      'Names of `providers` where its users may sign in; default: all of them. If there are several, the app says which by `identity_provider`, or the person chooses on a page.',
    ),
    requirePar: Type.Optional(
      Type.Boolean({
        default: false,
        description: 'True: its authorization requests must be pushed, `POST <routePrefix>/par` (RFC 9126).',
      }),
    ),
    dpop: Type.Optional(
      Type.Enum(['off', 'allowed', 'required'], {
        default: 'off',
        description:
          'allowed: tokens are bound to the key of a DPoP proof, where the app sends one; required: always (RFC 9449). Not with `tokens: relay`.',
      }),
    ),
    repeatableExchange: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          'Within `duplicateSeconds` the same code, proved again, gets the same answer, until one of its tokens has been used. RFC 6749 §4.1.2 says to refuse it.',
      }),
    ),
  },
  closed,
)

/** A resource server that may introspect (RFC 7662 §2.1). */
export const ResourceServerSchema = Type.Object(
  {
    clientId: Type.String({
      minLength: 1,
      maxLength: 256,
      pattern: '^[\\x20-\\x7e]+$',
      description: 'Its name at the introspection endpoint.',
    }),
    clientSecret: Type.String({ minLength: 1, description: 'By client_secret_basic or client_secret_post.' }),
  },
  closed,
)

/** An app on the devices of one system or two, for the redirect URIs of a client (S-05). */
export const AppLinkSchema = Type.Object(
  {
    clientId: Type.String({
      minLength: 1,
      description: "One of `clients`. Its https redirect URIs at `publicUrl` are the app's.",
    }),
    android: Type.Optional(
      Type.Object(
        {
          packageName: Type.String({
            pattern: '^[A-Za-z][A-Za-z0-9_]*(\\.[A-Za-z][A-Za-z0-9_]*)+$',
            description: 'applicationId of its build.',
            problem: 'must be a package name such as com.example.app',
          }),
          sha256CertFingerprints: Type.Array(
            Type.String({
              pattern: '^([0-9A-F]{2}:){31}[0-9A-F]{2}$',
              problem:
                'must be 32 bytes in upper-case hexadecimal with colons, as `keytool -list -v` and the Play Console show them',
            }),
            { minItems: 1, description: 'SHA-256 of the certificates it is signed with.' },
          ),
        },
        { ...closed, description: 'Android App Links.' },
      ),
    ),
    apple: Type.Optional(
      Type.Object(
        {
          appIds: Type.Array(
            Type.String({
              pattern: '^[A-Z0-9]{10}\\.[A-Za-z0-9-]+(\\.[A-Za-z0-9-]+)*$',
              problem:
                'must be the ten characters of the team id (or prefix), a dot, and the bundle id: ABCDE12345.com.example.app',
            }),
            { minItems: 1, description: 'Team id, dot, bundle id.' },
          ),
        },
        { ...closed, description: 'Universal links, and https callbacks of ASWebAuthenticationSession.' },
      ),
    ),
  },
  closed,
)

const RateLimitGroup = (max: number, description: string) =>
  Type.Optional(
    Type.Object(
      {
        max: Type.Optional(
          Type.Integer({ minimum: 1, default: max, description: 'Requests of one address in a window.' }),
        ),
        windowMs: milliseconds(60_000, 'Length of the window.'),
      },
      { ...closed, default: {}, description },
    ),
  )

// Value.Default fills the entries of a map only where they have a default themselves.
const NamedProviderSchema = Type.Object(ProviderSchema.properties, { ...closed, default: {} })

/** What a scope means to a person. */
const ScopeSchema = Type.Object(
  {
    name: Type.String({ minLength: 1, description: 'As in `clients[].scopes` and `agents.scopes`.' }),
    description: Type.String({
      minLength: 1,
      maxLength: 200,
      description: 'What an app may do with it, for a person: `Read your orders`.',
    }),
  },
  closed,
)

/** Apps that nobody registered. */
const AgentsSchema = Type.Object(
  {
    metadataDocuments: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          "An app's `client_id` may be the https address of its own description, which is fetched from the public internet (draft-ietf-oauth-client-id-metadata-document).",
      }),
    ),
    registration: Type.Optional(
      Type.Union(
        [
          Type.Object(
            {
              max: Type.Optional(
                Type.Integer({
                  minimum: 1,
                  maximum: 10_000,
                  default: 1000,
                  description: 'Live registrations on all instances together; more: 503.',
                }),
              ),
              unusedSeconds: seconds(
                3600,
                'A registration that nobody has signed in with is gone after so long.',
              ),
              idleSeconds: seconds(
                7_776_000,
                'A registration that was used is gone so long after its last login or refresh.',
              ),
            },
            closed,
          ),
          Type.Literal(false),
        ],
        {
          default: false,
          description: 'Apps may register themselves, `POST <routePrefix>/register` (RFC 7591).',
        },
      ),
    ),
    allowedHosts: strings(
      'Hosts that descriptions of apps may be at, each exactly, with its port unless that is 443; empty: any public host.',
    ),
    allowedOrigins: strings('Exact origins of such apps that run in a browser (CORS).'),
    scopes: strings('All that such an app may have. Each needs a description in the list `scopes`.'),
    dangerouslyAllowPrivateNetwork: Type.Optional(
      Type.Boolean({
        default: false,
        description:
          'Lets descriptions of apps be fetched from private addresses, too: whoever can begin a login can then have this machine ask any https address in its own network.',
      }),
    ),
  },
  {
    ...closed,
    default: {},
    description: 'Apps that nobody registered, AI agents with MCP for one. Off, each part by itself.',
  },
)

/** Everything but the store: plain data, so that it can come from a file. */
export const OptionsSchema = Type.Object(
  {
    publicUrl: Type.String({
      minLength: 1,
      description: 'Our issuer: an https origin without path, or http with a loopback literal.',
    }),
    routePrefix: Type.Optional(
      Type.String({
        default: '/oauth2',
        pattern: '^(/(?!\\.{1,2}(/|$))[A-Za-z0-9._~-]+)+$',
        description: 'Where the routes live.',
        problem: 'must be a path such as /oauth2: plain segments, no trailing slash',
      }),
    ),
    provider: Type.Optional(ProviderSchema),
    providers: Type.Optional(
      Type.Record(Type.String(), NamedProviderSchema, {
        description:
          'In place of `provider`, several with names: each has a callback of its own, `<routePrefix>/callback/<name>`.',
      }),
    ),
    clients: Type.Array(ClientSchema, {
      description: 'The registered apps. None only where `agents` lets others in.',
    }),
    scopes: Type.Optional(
      Type.Array(ScopeSchema, {
        default: [],
        description: 'What scopes mean to people, for the page on which they allow an app something.',
      }),
    ),
    agents: Type.Optional(AgentsSchema),
    resourceServers: Type.Optional(
      Type.Array(ResourceServerSchema, { default: [], description: 'Who may introspect.' }),
    ),
    resources: Type.Optional(
      Type.Array(Type.String(), {
        default: [],
        description:
          'Addresses of the protected resources, absolute and without a fragment: what an app may name by `resource` (RFC 8707). Empty: `resource` is ignored. The gateway names its upstreams.',
      }),
    ),
    appLinks: Type.Optional(
      Type.Array(AppLinkSchema, {
        default: [],
        description:
          'Apps that open https redirect URIs at `publicUrl` themselves. Served at `/.well-known/assetlinks.json` (Android) and `/.well-known/apple-app-site-association` (iOS).',
      }),
    ),
    secrets: Type.Optional(
      Type.Array(Type.String(), {
        default: [],
        description:
          'At least 32 random bytes each, base64url: the first seals, all open. Required unless the store is memory.',
      }),
    ),
    tokens: Type.Optional(
      Type.Enum(['opaque', 'relay'], {
        default: 'opaque',
        description: "opaque: our handles; relay: the provider's access token and our refresh handle.",
      }),
    ),
    lifetimes: Type.Optional(
      Type.Object(
        {
          transactionSeconds: seconds(600, 'From authorize to callback.'),
          codeSeconds: seconds(60, 'From callback to token; at most 60 (B-10).'),
          accessTokenSeconds: seconds(600, "Never beyond the provider token's own life."),
          duplicateSeconds: seconds(
            15,
            'After a token exchange, how long a proved repetition of its code is taken for the app itself, and ends nothing; 0: off.',
          ),
          refreshGraceSeconds: seconds(
            15,
            'How long the predecessor gets the same successor again although its access token has been used; unused ones have no limit.',
          ),
          refreshIdleSeconds: seconds(2_592_000, 'A grant not refreshed for so long has ended.'),
          sessionSeconds: seconds(7_776_000, 'Absolute life of a grant.'),
          tombstoneSeconds: seconds(3600, 'How long a used code is remembered, to tell a replay.'),
        },
        { ...closed, default: {} },
      ),
    ),
    session: Type.Optional(
      Type.Object(
        {
          cacheSeconds: Type.Optional(
            Type.Integer({
              minimum: 0,
              maximum: 86_400,
              default: 300,
              description:
                'How long an opened session is kept in memory without a look at the store, while the channel of changes is proved to stand; a change ends it at once. At most 5 where the store cannot prove it, and with `tokens: relay`. 0: every request reads the store.',
            }),
          ),
        },
        { ...closed, default: {} },
      ),
    ),
    limits: Type.Optional(
      Type.Object(
        {
          transactionsPerAddress: Type.Optional(
            Type.Integer({
              minimum: 1,
              default: 100,
              description: 'Outstanding logins of one address (v6: /64); more: 429.',
            }),
          ),
          transactions: Type.Optional(
            Type.Integer({
              minimum: 1,
              default: 100_000,
              description: 'Outstanding logins in all; more: 503.',
            }),
          ),
        },
        { ...closed, default: {} },
      ),
    ),
    rateLimit: Type.Optional(
      Type.Union(
        [
          Type.Object(
            {
              authorize: RateLimitGroup(30, 'Covers callback, and the answer of who is asked for consent.'),
              token: RateLimitGroup(60, 'Covers revoke, introspect, userinfo, par.'),
              register: RateLimitGroup(10, 'Covers the registration of apps (`agents`).'),
              logout: RateLimitGroup(
                600,
                "Covers back-channel logout: a provider's requests come from few addresses.",
              ),
            },
            closed,
          ),
          Type.Literal(false),
        ],
        { default: {}, description: 'By address (v6: /64). false: off, with a warning.' },
      ),
    ),
    pages: Type.Optional(PagesSchema),
    log: Type.Optional(
      Type.Object(
        {
          subject: Type.Optional(
            Type.Enum(['hash', 'plain', 'none'], {
              default: 'hash',
              description:
                'How log lines name the user. hash: 8 hexadecimal digits, the same in all lines until the first of `secrets` changes; plain: `sub` as the provider has it; none: not at all.',
            }),
          ),
        },
        { ...closed, default: {} },
      ),
    ),
  },
  closed,
)
