import type { LoadedConfig } from '../../config/load.ts'
import { loaderOf } from '../configuration.ts'
import { type Call, type Command, CommandError, SETTING_FLAGS, type Started } from '../definition.ts'

export const start: Command = {
  summary: 'start the gateway',
  usage: ['--config FILE [flags]'],
  about: 'Starts the gateway.',
  flags: {
    ...SETTING_FLAGS,
    'config-test': { help: 'as check' },
    'print-config': { help: 'as check --print' },
    version: { help: 'print the version, exit' },
    help: { help: 'print this, exit' },
  },
  async run(call) {
    const { missingPackages } = await import('../../../plugin/api/internal.ts')
    // At once, and not by the first line that needs one: whoever uses the plugin alone has neither.
    const missing = missingPackages('yaml', 'close-with-grace')
    if (missing !== undefined) throw new CommandError(missing)
    const load = await loaderOf(call)
    const loaded = load()
    try {
      return await startHere(loaded, load, call)
    } catch (error) {
      const { ConfigError } = await import('../../../plugin/index.ts')
      // What the plugin found at the start has no place yet.
      throw error instanceof ConfigError ? new ConfigError(loaded.locate(error.problems)) : error
    }
  },
}

async function startHere(
  { config }: LoadedConfig,
  load: () => LoadedConfig,
  { streams: { stdout } }: Call,
): Promise<Started> {
  const [{ startGateway }, { logLines }, { banner }] = await Promise.all([
    import('../../start.ts'),
    import('../../operations/log/log.ts'),
    import('../banner.ts'),
  ])
  const gateway = await startGateway(config, logLines(stdout), load)
  const announce = () => {
    const { log, address, adminAddress } = gateway
    if (stdout.isTTY) stdout.write(banner(config, address, adminAddress))
    const { workers } = config
    // A supervisor waits for this line, whatever is logged otherwise.
    log
      .child({}, { level: 'info' })
      .info({ address, adminAddress, ...(workers > 1 && { workers }) }, 'gateway ready')
  }
  return Object.assign(gateway, { shutdown: config.shutdown, announce })
}
