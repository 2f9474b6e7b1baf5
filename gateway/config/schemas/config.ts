import type { PagesFields } from '../../../plugin/options/types/fields.ts'
import type { PresetOrIssuer, ProviderSet } from '../../../plugin/options/types/options.ts'
import type { CertificateFiles, TrustFiles } from '../certificate.ts'
import type {
  GatewayFields,
  GatewayProviderFields,
  Http2Fields,
  StoreFields,
  UpstreamFields,
  WebSocketFields,
} from './fields.ts'

/** What the configuration is, as written and as completed. No schema is imported, so that no compiler derives one. */

/** What one connection of HTTP/2 may do. */
export type Http2Limits = Readonly<Required<Http2Fields>>

/** As written in the file. */
export type StoreSettings = StoreFields

/** With the schema's defaults. */
export type DefaultedStore = StoreSettings &
  Required<Pick<StoreSettings, 'type' | 'maxRecords' | 'dangerouslyAllowInProduction'>>

/** On a server: TLS, and the file of the URL, by absolute names. */
interface ServerStoreConfig {
  /** As it was read. Holds the password. */
  readonly url: string
  readonly urlFile?: string
  readonly trust?: TrustFiles
}

/** What the store is made of. Holds the password of redis and postgres. */
export type StoreConfig =
  | {
      readonly type: 'memory'
      readonly maxRecords: number
      readonly dangerouslyAllowInProduction: boolean
    }
  | (ServerStoreConfig & {
      readonly type: 'redis'
      readonly sentinelUsername?: string
      readonly sentinelPassword?: string
    })
  | (ServerStoreConfig & {
      readonly type: 'postgres'
      readonly listenUrl?: string
      readonly listenUrlFile?: string
    })

type Bare = 'caFile' | 'clientCertFile' | 'clientKeyFile' | 'audience' | 'maxAgeSeconds'
type Input = Required<Omit<UpstreamFields, Bare>> & Pick<UpstreamFields, Bare>

/** How WebSocket connections are forwarded. */
export type WebSocketOptions = Readonly<Required<WebSocketFields>>

/** One upstream, complete: every default filled, every rule of `rules/upstream.ts` kept. */
export type Upstream = Readonly<
  Omit<
    Input,
    | 'target'
    | 'cookies'
    | 'timeouts'
    | 'paths'
    | 'methods'
    | 'scopes'
    | 'acr'
    | 'identityHeaders'
    | 'websocket'
  > & {
    /** Origins or sockets, and the same path. Empty: a proxy forwards (`forwardAuth`). */
    target: string | readonly string[]
    scopes: readonly string[]
    acr: readonly string[]
    /** HEAD is among them wherever GET is. */
    methods: Readonly<Input['methods']>
    /** Lower-case header name → claim. */
    identityHeaders: Readonly<Record<string, string>>
    cookies: Readonly<Record<'request' | 'response', readonly string[]>>
    timeouts: Readonly<Required<Input['timeouts']>>
    paths: Readonly<Required<Input['paths']>>
    websocket: WebSocketOptions | false
  }
>

/** A provider as data, secrets as they were read or named by absolute file names. */
export type ProviderConfig = GatewayProviderFields

/** With the options of presets in it. */
export type ExpandedInput = GatewayFields
type ProviderInput = Omit<ProviderConfig, 'preset' | 'issuer'> & PresetOrIssuer

/** As written in the file, the environment and the flags. */
export type GatewayInput = Omit<ExpandedInput, 'provider' | 'providers'> & {
  provider?: ProviderInput
  providers?: Record<string, ProviderInput>
}

/** An object whose own optional keys all have defaults. */
type Filled<T> = Readonly<Required<NonNullable<T>>>
type ListenInput = Filled<GatewayInput['listen']>

/**
 * The plugin's options as data: `PkceOptions` without the store, secrets as they were read. The provider's secrets
 * that are read again at each use are named by absolute file names.
 */
export type PluginConfig = Readonly<
  Pick<
    GatewayInput,
    | 'publicUrl'
    | 'routePrefix'
    | 'scopes'
    | 'agents'
    | 'appLinks'
    | 'secrets'
    | 'tokens'
    | 'lifetimes'
    | 'session'
    | 'limits'
    | 'rateLimit'
  > &
    ProviderSet<ProviderConfig> & {
      log: { subject: 'hash' | 'plain' | 'none' }
      pages: PagesFields
      clients: Omit<GatewayInput['clients'][number], 'clientSecretFile'>[]
      resourceServers: { clientId: string; clientSecret: string }[]
    }
>

/**
 * The complete, checked configuration that the gateway is built from: plain data, frozen to the bottom, which holds
 * secrets. Whatever lives is made from it (`createServices`), in this process or in another one.
 */
export interface GatewayConfig {
  readonly plugin: PluginConfig
  readonly store: StoreConfig
  readonly listen: Readonly<
    Omit<ListenInput, 'timeouts' | 'tls' | 'http2' | 'overload'> & {
      timeouts: Filled<ListenInput['timeouts']>
      /** 0: no limit. */
      overload: Filled<ListenInput['overload']>
      http2: Http2Limits | false
      tls?: CertificateFiles | undefined
    }
  >
  readonly admin: Readonly<Omit<Filled<GatewayInput['admin']>, 'tokenFile'>> & {
    /** Read from `admin.tokenFile`: what requests to the Admin API must bring. */
    readonly bearerToken?: string
  }
  /** Processes that serve; 1: this one. */
  readonly workers: number
  /** In lower case, besides publicUrl's own. */
  readonly allowedHosts: readonly string[]
  readonly trustProxy: readonly string[]
  readonly forwardAuth: boolean
  /** The longest prefix first. */
  readonly upstreams: readonly Upstream[]
  readonly log: Filled<GatewayInput['log']>
  readonly shutdown: Filled<GatewayInput['shutdown']>
  /** What the operator should hear at start, besides what the plugin says of its own options. */
  readonly warnings: readonly string[]
}
