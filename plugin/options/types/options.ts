import type { Store } from '../../stores/store.ts'
import type {
  ClientFields,
  OptionFields,
  PagesFields,
  ProviderFields,
  ResourceServerFields,
} from './fields.ts'
import type { OnLogin } from './login.ts'

/** The options as a team writes them, in plain interfaces: nobody's compiler has to derive them from the schemas. */

/** A secret, or a function that is asked at each use, so that a rotated one needs no restart (F-06). */
export type SecretSource = string | (() => string | Promise<string>)

/** The provider's options that may be functions, and in the gateway files that are read again at each use. */
export const PROVIDER_SECRETS = ['clientSecret', 'privateKey', 'ca', 'clientCert', 'clientKey'] as const
export type ProviderSecret = (typeof PROVIDER_SECRETS)[number]
export type ProviderSecrets = { [Key in ProviderSecret]?: SecretSource }

/** What `provider.preset` may name. */
export type PresetName = NonNullable<ProviderFields['preset']>

/** A preset has an issuer. */
export type PresetOrIssuer = { preset: PresetName; issuer?: string } | { preset?: PresetName; issuer: string }

/** One provider at `provider`, or several with names at `providers` (M-04). */
export interface ProviderSet<P> {
  readonly provider?: P | undefined
  readonly providers?: Readonly<Record<string, P>> | undefined
}

/**
 * A provider's secrets. Each may be a function. Where a variable of the environment may be missing, `undefined` is
 * what it says: the start is refused with the name of the option, unless no secret is needed.
 */
export interface ProviderSecretOptions {
  /** For client_secret_basic and client_secret_post. */
  clientSecret?: SecretSource | undefined
  /**
   * For private_key_jwt: a private JWK as JSON (its alg and kid are used), or a PKCS#8 PEM. For apple: the .p8 file's
   * content.
   */
  privateKey?: SecretSource | undefined
  /**
   * PEM. Certificates of the authorities that vouch for the provider, in place of the public ones. An `undefined` is
   * refused: those would be trusted.
   */
  ca?: SecretSource | undefined
  /** PEM. Certificate of our TLS connections to the provider, then the intermediate ones. */
  clientCert?: SecretSource | undefined
  /** PEM. Its private key. */
  clientKey?: SecretSource | undefined
}

/** A provider as a team writes it. */
export type ProviderOptions = Omit<ProviderFields, ProviderSecret | 'preset' | 'issuer'> &
  ProviderSecretOptions &
  PresetOrIssuer

/** A registered app. */
export interface ClientOptions extends Omit<ClientFields, 'clientSecret'> {
  /** Of a confidential app. `undefined`, as of a missing variable, is refused where it needs one. */
  clientSecret?: string | undefined
}

/** A resource server that may introspect (RFC 7662 §2.1). */
export interface ResourceServerOptions extends Omit<ResourceServerFields, 'clientSecret'> {
  /** By client_secret_basic or client_secret_post. `undefined`, as of a missing variable, is refused. */
  clientSecret: string | undefined
}

/** What the pages of a login look like. */
export interface PagesOptions extends Omit<PagesFields, 'logo'> {
  /** The source of an SVG, a PNG as `data:image/png;base64,…`, or the bytes of either. */
  logo?: string | Uint8Array
}

/** Everything but the providers. */
interface CommonOptions
  extends Omit<OptionFields, 'provider' | 'providers' | 'clients' | 'resourceServers' | 'secrets' | 'pages'> {
  /** The registered apps. */
  clients: ClientOptions[]
  /** Who may introspect. Default: `[]`. */
  resourceServers?: ResourceServerOptions[]
  /**
   * At least 32 random bytes each, base64url: the first seals, all open. Required unless the store is memory.
   * `undefined`, as of a missing variable, is refused. Default: `[]`.
   */
  secrets?: (string | undefined)[]
  /** What the pages of a login look like. Default: `{}`. */
  pages?: PagesOptions
  /** Default: `memoryStore()`. */
  store?: Store
  /** Called once for each login, before anything is issued. */
  onLogin?: OnLogin
}

/** What a team writes: one provider at `provider`, or several with names at `providers`. */
export type PkceOptions = CommonOptions &
  (
    | { provider: ProviderOptions; providers?: undefined }
    | { provider?: undefined; providers: Record<string, ProviderOptions> }
  )
