import {
  mapProviders,
  type PlainOptions,
  PROVIDER_SECRETS,
  type ProviderOptions,
} from '../../plugin/api/internal.ts'
import type { PluginConfig, ProviderConfig } from '../config/schemas/config.ts'
import { rereadSecret } from '../config/secrets.ts'

/** The plugin's options, with functions for the provider's files that are named: they are read again at each use. */
export function optionsAtEachUse(config: PluginConfig): PlainOptions {
  return { ...config, ...mapProviders(config, readAtEachUse) } as PlainOptions
}

function readAtEachUse(named: ProviderConfig): ProviderOptions {
  const provider = { ...named } as ProviderOptions & ProviderConfig
  for (const key of PROVIDER_SECRETS) {
    const file = named[`${key}File`]
    delete provider[`${key}File`]
    if (file !== undefined) Object.assign(provider, { [key]: () => rereadSecret(file) })
  }
  return provider
}
