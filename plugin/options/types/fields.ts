/**
 * Written by `npm run docs`, from the schemas: change those. The options as data, in types that a compiler reads in
 * no time.
 */

/** A registered app. */
export interface ClientFields {
  /** Printable ASCII. */
  clientId: string
  /** Shown on the page; default: the clientId. */
  name?: string
  /** False refuses it everywhere, live sessions included. Default: `true`. */
  enabled?: boolean
  /** Native apps: none. Default: `"none"`. */
  authentication?: 'none' | 'client_secret_basic' | 'client_secret_post'
  /** Of a confidential app. */
  clientSecret?: string
  /**
   * Compared byte for byte; http on 127.0.0.1, [::1] or localhost (not recommended) matches any port (RFC
   * 8252 §7.3).
   */
  redirectUris: string[]
  /** Our scopes that this client may have. Default: `[]`. */
  scopes?: string[]
  /** Those of `scopes` that are passed on to the provider, whose answer narrows them. Default: `[]`. */
  providerScopes?: string[]
  /** Claims that userinfo and identity headers may show, besides sub. Default: `[]`. */
  claims?: string[]
  /** Default: page for private-use schemes and loopback, none for https. */
  interaction?: 'page' | 'none' | 'prompt'
  /**
   * Authorization parameters of the app that the provider gets: prompt, login_hint, ui_locales, max_age,
   * acr_values. Default: `[]`.
   */
  passThrough?: string[]
  /** Exact origins of browser clients (CORS). Default: `[]`. */
  allowedOrigins?: string[]
  /**
   * Names of `providers` where its users may sign in; default: all of them. If there are several, the app
   * says which by `identity_provider`, or the person chooses on a page. Default: `[]`.
   */
  providers?: string[]
  /**
   * True: its authorization requests must be pushed, `POST <routePrefix>/par` (RFC 9126). Default: `false`.
   */
  requirePar?: boolean
  /**
   * allowed: tokens are bound to the key of a DPoP proof, where the app sends one; required: always (RFC
   * 9449). Not with `tokens: relay`. Default: `"off"`.
   */
  dpop?: 'off' | 'allowed' | 'required'
  /**
   * Within `duplicateSeconds` the same code, proved again, gets the same answer, until one of its tokens has
   * been used. RFC 6749 §4.1.2 says to refuse it. Default: `false`.
   */
  repeatableExchange?: boolean
}

/** A resource server that may introspect (RFC 7662 §2.1). */
export interface ResourceServerFields {
  /** Its name at the introspection endpoint. */
  clientId: string
  /** By client_secret_basic or client_secret_post. */
  clientSecret: string
}

/** An app on the devices of one system or two, for the redirect URIs of a client (S-05). */
export interface AppLinkFields {
  /** One of `clients`. Its https redirect URIs at `publicUrl` are the app's. */
  clientId: string
  /** Android App Links. */
  android?: {
    /** applicationId of its build. */
    packageName: string
    /** SHA-256 of the certificates it is signed with. */
    sha256CertFingerprints: string[]
  }
  /** Universal links, and https callbacks of ASWebAuthenticationSession. */
  apple?: {
    /** Team id, dot, bundle id. */
    appIds: string[]
  }
}

/** The identity provider, and how we are registered there. */
export interface ProviderFields {
  /**
   * A provider whose options are known: they stand behind those that are written here. --print-config shows
   * them.
   */
  preset?:
    | 'google'
    | 'apple'
    | 'entra'
    | 'microsoft-personal'
    | 'auth0'
    | 'okta'
    | 'keycloak'
    | 'cognito'
    | 'github'
    | 'github-app'
    | 'gitlab'
    | 'facebook'
    | 'linkedin'
    | 'slack'
    | 'discord'
  /** Where there are several: what a person chooses by. Default: the preset's, or the name in `providers`. */
  name?: string
  /** For presets auth0, okta, keycloak, cognito, gitlab: your host there. */
  domain?: string
  /** For preset keycloak: the realm. */
  realm?: string
  /** For preset cognito: the region. */
  region?: string
  /** For preset cognito: the user pool. */
  userPoolId?: string
  /** For preset okta: the authorization server, there `default`. */
  authorizationServer?: string
  /**
   * Issuer URL, compared as a string with metadata, responses and id_tokens (RFC 8414 §3.3). A preset has its
   * own.
   */
  issuer: string
  /**
   * With an issuer of several tenants (Entra ID: /common or /organizations): the ids of those whose users may
   * sign in, or * alone for every tenant.
   */
  tenants?: string[]
  /** Our client_id at the provider. */
  clientId: string
  /** For client_secret_basic and client_secret_post. */
  clientSecret?: string
  /**
   * For private_key_jwt: a private JWK as JSON (its alg and kid are used), or a PKCS#8 PEM. For apple: the
   * .p8 file's content.
   */
  privateKey?: string
  /** For apple: the team that the key belongs to. */
  teamId?: string
  /** For apple: the id of the key. */
  keyId?: string
  /**
   * Exactly one method, no fallback. apple: a client_secret that is signed with the .p8 key; tls_client_auth:
   * clientCert (RFC 8705). Default: `"client_secret_basic"`.
   */
  clientAuthentication?:
    | 'client_secret_basic'
    | 'client_secret_post'
    | 'private_key_jwt'
    | 'apple'
    | 'tls_client_auth'
    | 'none'
  /** PEM. Certificates of the authorities that vouch for the provider, in place of the public ones. */
  ca?: string
  /** PEM. Certificate of our TLS connections to the provider, then the intermediate ones. */
  clientCert?: string
  /** PEM. Its private key. */
  clientKey?: string
  /** Sent to the provider, always and alone. Default: `"openid offline_access"`. */
  scope?: string
  /**
   * own: our own pair; relay: the app's challenge and proved verifier; none: for providers without PKCE.
   * Default: `"own"`.
   */
  pkce?: 'own' | 'relay' | 'none'
  /**
   * Pushed authorization requests (RFC 9126): auto: where metadata names an endpoint; always: not without.
   * Default: `"auto"`.
   */
  par?: 'auto' | 'always' | 'never'
  /**
   * How the provider's answer comes back; form_post: by POST alone, which Apple wants for name and email. Its
   * `user` then gives those claims where nothing signed has them. Default: `"query"`.
   */
  responseMode?: 'query' | 'form_post'
  /**
   * False: for providers that leave it out of their id_tokens. Then PKCE alone binds the code. Default:
   * `true`.
   */
  nonce?: boolean
  /**
   * ignore: an id_token is not read, although scope has openid, and userinfoEndpoint says who signs in. For
   * LinkedIn, whose id_token nothing can bind to its login. Default: `"check"`.
   */
  idToken?: 'check' | 'ignore'
  /**
   * Without OpenID: the claim of userinfoEndpoint that says who signs in, text or a whole number, e.g.
   * GitHub's id. Default: `"sub"`.
   */
  subjectClaim?: string
  /**
   * Audiences besides our clientId that an id_token may name, e.g. a project. Where azp is our clientId, all
   * may be. Default: `[]`.
   */
  trustedAudiences?: string[]
  /** By how much the provider's clock and ours may differ, where an id_token is dated. Default: `60`. */
  clockToleranceSeconds?: number
  /**
   * Life of an access token without expires_in; never: as long as the session. Without this option: 300 s,
   * and never where no refresh token came with it.
   */
  defaultTokenSeconds?: number | 'never'
  /** Extra authorization request parameters; none that we set. */
  authorizationParams?: Record<string, string>
  timeouts?: {
    /** TCP and TLS. Default: `3000`. */
    connectMs?: number
    /** Until the answer begins. Default: `5000`. */
    headersMs?: number
    /** Between two pieces of the answer. Default: `5000`. */
    bodyMs?: number
    /** The whole call. Default: `10000`. */
    totalMs?: number
  }
  /** host:port of provider endpoints outside the issuer's own host. Default: `[]`. */
  allowedHosts?: string[]
  /** Lets a provider on http or on a private address be used. Default: `false`. */
  dangerouslyAllowPrivateNetwork?: boolean
  /** Explicit endpoints instead of discovery. */
  authorizationEndpoint?: string
  /** Required with authorizationEndpoint. */
  tokenEndpoint?: string
  /** Without it, nothing is revoked at the provider. */
  revocationEndpoint?: string
  /** Asked once per login for claims that the id_token lacks. */
  userinfoEndpoint?: string
  /** Required with authorizationEndpoint when scope has openid. */
  jwksUri?: string
}

/** How many apps may have registered themselves, and for how long. */
export interface RegistrationFields {
  /** Live registrations on all instances together; more: 503. Default: `1000`. */
  max?: number
  /** A registration that nobody has signed in with is gone after so long. Default: `3600`. */
  unusedSeconds?: number
  /** A registration that was used is gone so long after its last login or refresh. Default: `7776000`. */
  idleSeconds?: number
}

/** Apps that nobody registered. */
export interface AgentFields {
  /**
   * An app's `client_id` may be the https address of its own description, which is fetched from the public
   * internet (draft-ietf-oauth-client-id-metadata-document). Default: `false`.
   */
  metadataDocuments?: boolean
  /** Apps may register themselves, `POST <routePrefix>/register` (RFC 7591). Default: `false`. */
  registration?: RegistrationFields | false
  /**
   * Hosts that descriptions of apps may be at, each exactly, with its port unless that is 443; empty: any
   * public host. Default: `[]`.
   */
  allowedHosts?: string[]
  /** Exact origins of such apps that run in a browser (CORS). Default: `[]`. */
  allowedOrigins?: string[]
  /** All that such an app may have. Each needs a description in the list `scopes`. Default: `[]`. */
  scopes?: string[]
  /**
   * Lets descriptions of apps be fetched from private addresses, too: whoever can begin a login can then have
   * this machine ask any https address in its own network. Default: `false`.
   */
  dangerouslyAllowPrivateNetwork?: boolean
}

/** How long things last. */
export interface LifetimeFields {
  /** From authorize to callback. Default: `600`. */
  transactionSeconds?: number
  /** From callback to token; at most 60 (B-10). Default: `60`. */
  codeSeconds?: number
  /** Never beyond the provider token's own life. Default: `600`. */
  accessTokenSeconds?: number
  /**
   * After a token exchange, how long a proved repetition of its code is taken for the app itself, and ends
   * nothing; 0: off. Default: `15`.
   */
  duplicateSeconds?: number
  /**
   * How long the predecessor gets the same successor again although its access token has been used; unused
   * ones have no limit. Default: `15`.
   */
  refreshGraceSeconds?: number
  /** A grant not refreshed for so long has ended. Default: `2592000`. */
  refreshIdleSeconds?: number
  /** Absolute life of a grant. Default: `7776000`. */
  sessionSeconds?: number
  /** How long a used code is remembered, to tell a replay. Default: `3600`. */
  tombstoneSeconds?: number
}

/** How sessions are kept at hand. */
export interface SessionFields {
  /**
   * How long an opened session is kept in memory without a look at the store, while the channel of changes is
   * proved to stand; a change ends it at once. At most 5 where the store cannot prove it, and with `tokens:
   * relay`. 0: every request reads the store. Default: `300`.
   */
  cacheSeconds?: number
}

/** How many logins may be under way. */
export interface LimitFields {
  /** Outstanding logins of one address (v6: /64); more: 429. Default: `100`. */
  transactionsPerAddress?: number
  /** Outstanding logins in all; more: 503. Default: `100000`. */
  transactions?: number
}

/** Requests of one address. */
export interface RateLimitFields {
  /** Covers callback, and the answer of who is asked for consent. */
  authorize?: {
    /** Requests of one address in a window. Default: `30`. */
    max?: number
    /** Length of the window. Default: `60000`. */
    windowMs?: number
  }
  /** Covers revoke, introspect, userinfo, par. */
  token?: {
    /** Requests of one address in a window. Default: `60`. */
    max?: number
    /** Length of the window. Default: `60000`. */
    windowMs?: number
  }
  /** Covers the registration of apps (`agents`). */
  register?: {
    /** Requests of one address in a window. Default: `10`. */
    max?: number
    /** Length of the window. Default: `60000`. */
    windowMs?: number
  }
  /** Covers back-channel logout: a provider's requests come from few addresses. */
  logout?: {
    /** Requests of one address in a window. Default: `600`. */
    max?: number
    /** Length of the window. Default: `60000`. */
    windowMs?: number
  }
}

/** What the pages of a login look like. */
export interface PagesFields {
  /** Of whoever offers the login, at the head of each page. Default: the host of `publicUrl`. */
  name?: string
  /**
   * An SVG (its source), or a PNG (as `data:image/png;base64,…`); its bytes will do for both. At most 64 KiB.
   * It stands in the place of the name. An SVG may draw, and nothing else: no script, no style sheet, no
   * reference to elsewhere.
   */
  logo?: string
  /**
   * Of the button, as #rrggbb: with a contrast of at least 3 against the light and the dark background. Its
   * text is white or black. Default: `"#2563eb"`.
   */
  accentColor?: string
  /** Where people get help: an https or mailto address, at the foot of each page. */
  supportUrl?: string
}

/** What log lines tell. */
export interface LogFields {
  /**
   * How log lines name the user. hash: 8 hexadecimal digits, the same in all lines until the first of
   * `secrets` changes; plain: `sub` as the provider has it; none: not at all. Default: `"hash"`.
   */
  subject?: 'hash' | 'plain' | 'none'
}

/** Everything but the store. */
export interface OptionFields {
  /** Our issuer: an https origin without path, or http with a loopback literal. */
  publicUrl: string
  /** Where the routes live. Default: `"/oauth2"`. */
  routePrefix?: string
  provider?: ProviderFields
  /**
   * In place of `provider`, several with names: each has a callback of its own,
   * `<routePrefix>/callback/<name>`.
   */
  providers?: Record<string, ProviderFields>
  /** The registered apps. None only where `agents` lets others in. */
  clients: ClientFields[]
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
  resourceServers?: ResourceServerFields[]
  /**
   * Addresses of the protected resources, absolute and without a fragment: what an app may name by `resource`
   * (RFC 8707). Empty: `resource` is ignored. The gateway names its upstreams. Default: `[]`.
   */
  resources?: string[]
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
  /** opaque: our handles; relay: the provider's access token and our refresh handle. Default: `"opaque"`. */
  tokens?: 'opaque' | 'relay'
  lifetimes?: LifetimeFields
  session?: SessionFields
  limits?: LimitFields
  /** By address (v6: /64). false: off, with a warning. */
  rateLimit?: RateLimitFields | false
  /** What the pages of a login look like. */
  pages?: PagesFields
  log?: LogFields
}
