/** Compiled by the type check, never run: the written-out interfaces are what the schemas say, key by key. */
import type { Static } from 'typebox'
import type {
  GatewayClientFields,
  GatewayFields,
  GatewayProviderFields,
  ListenFields,
  StoreFields,
  UpstreamFields,
} from '../../gateway/config/schemas/fields.ts'
import type { GatewaySchema } from '../../gateway/config/schemas/gateway.ts'
import type { ListenSchema } from '../../gateway/config/schemas/listen.ts'
import type { StoreSchema } from '../../gateway/config/schemas/store.ts'
import type { UpstreamSchema } from '../../gateway/config/schemas/upstream.ts'
import type {
  ClientSchema,
  OptionsSchema,
  ProviderSchema,
  ResourceServerSchema,
} from '../../plugin/api/schemas.ts'
import type {
  ClientOptions,
  PkceOptions,
  PresetName,
  ProviderOptions,
  ResourceServerOptions,
} from '../../plugin/index.ts'
import type { PresetName as TablePresetName } from '../../plugin/options/provider/presets/presets.ts'
import type {
  ClientFields,
  OptionFields,
  ProviderFields,
  ResourceServerFields,
} from '../../plugin/options/types/fields.ts'

/** Optional keys are interchangeable with absent ones, so that they are compared as required, too. */
type Complete<T> = T extends readonly (infer Item)[]
  ? Complete<Item>[]
  : T extends object
    ? { [Key in keyof T]-?: Complete<T[Key]> }
    : T
type Same<A, B> = [A, B, Complete<A>, Complete<B>] extends [B, A, Complete<B>, Complete<A>] ? true : false
const same = <_Check extends true>() => undefined

same<Same<ClientFields, Static<typeof ClientSchema>>>()
same<Same<ResourceServerFields, Static<typeof ResourceServerSchema>>>()
same<Same<ProviderFields, Static<typeof ProviderSchema>>>()
same<Same<OptionFields, Static<typeof OptionsSchema>>>()
same<Same<PresetName, TablePresetName>>()

type Gateway = Static<typeof GatewaySchema>
same<Same<GatewayFields, Gateway>>()
same<Same<GatewayProviderFields, NonNullable<Gateway['provider']>>>()
same<Same<GatewayClientFields, Gateway['clients'][number]>>()
same<Same<ListenFields, Static<typeof ListenSchema>>>()
same<Same<StoreFields, Static<typeof StoreSchema>>>()
same<Same<UpstreamFields, Static<typeof UpstreamSchema>>>()

// @ts-expect-error a key that is missing
same<Same<Omit<ClientFields, 'interaction'>, Static<typeof ClientSchema>>>()
type FewerValues = Omit<ClientFields, 'interaction'> & { interaction?: 'page' | 'none' }
// @ts-expect-error a value that is missing
same<Same<FewerValues, Static<typeof ClientSchema>>>()
// @ts-expect-error a key that is required
same<Same<ClientFields, Static<typeof ClientSchema> & { name: string }>>()

/** What a team writes has the keys of the data, `store` and `onLogin`; secrets may be `undefined`, the provider's functions. */
type KeysOf<T> = T extends unknown ? keyof T : never
same<Same<keyof ClientOptions, keyof ClientFields>>()
same<Same<keyof ResourceServerOptions, keyof ResourceServerFields>>()
same<Same<KeysOf<ProviderOptions>, keyof ProviderFields>>()
same<Same<KeysOf<PkceOptions>, keyof OptionFields | 'store' | 'onLogin'>>()
same<Static<typeof OptionsSchema> extends Omit<PkceOptions, 'provider' | 'providers'> ? true : false>()

const { CLIENT_SECRET } = process.env

/** Secrets from the environment, with `exactOptionalPropertyTypes`. */
export const fromEnvironment: PkceOptions = {
  publicUrl: 'https://api.example.com',
  provider: {
    issuer: 'https://login.example.com',
    clientId: 'backend',
    clientSecret: CLIENT_SECRET,
    privateKey: CLIENT_SECRET,
    ca: CLIENT_SECRET,
    clientCert: CLIENT_SECRET,
    clientKey: CLIENT_SECRET,
  },
  clients: [{ clientId: 'app', redirectUris: ['com.example.app:/callback'], clientSecret: CLIENT_SECRET }],
  resourceServers: [{ clientId: 'server', clientSecret: CLIENT_SECRET }],
  secrets: [CLIENT_SECRET],
}
// @ts-expect-error not whatever is no secret
export const unset: PkceOptions = { ...fromEnvironment, publicUrl: process.env.PUBLIC_URL }
