import { resolve } from 'node:path'
import type { ConfigProblem } from '../../plugin/index.ts'
import type { CertificateFiles } from '../listener/certificate.ts'
import type { pluginOptions } from './plugin-options.ts'
import type { GatewayInput } from './schemas/gateway.ts'

/** What has been read and found on the way from the input to the configuration. */
export interface Found extends Pick<ReturnType<typeof pluginOptions>, 'options' | 'storeUrl'> {
  readonly tls: CertificateFiles | undefined
  readonly folderOf: (path: ConfigProblem['path']) => string
}

/**
 * Plain data of which `gatewayConfig` makes the same configuration in another process, there with one worker, and
 * whatever has become of the files meanwhile: secrets stand in it as they were read. The files that are read at
 * each use are still named, by absolute names.
 *
 * @param effective with every default filled. @returns what must not be shown: it holds secrets.
 */
export function portableInput(
  effective: GatewayInput,
  { options, storeUrl, tls, folderOf }: Found,
): GatewayInput {
  const { secretsFile: _, ...input } = effective
  const { urlFile: __, ...store } = input.store ?? {}
  const { clients, resourceServers = [], secrets = [] } = options
  const absolute = (key: 'clientSecretFile' | 'privateKeyFile') => {
    const name = input.provider[key]
    return name === undefined ? {} : { [key]: resolve(folderOf(['provider', key]), name) }
  }
  return {
    ...input,
    workers: 1,
    listen: { ...input.listen, ...(tls && { tls }) },
    provider: { ...input.provider, ...absolute('clientSecretFile'), ...absolute('privateKeyFile') },
    clients,
    resourceServers,
    secrets,
    store: { ...store, ...(storeUrl !== undefined && { url: storeUrl }) },
  }
}
