import { loaderOf } from '../configuration.ts'
import { CONFIG_FLAG, type Command, CommandError } from '../definition.ts'

export const rotateKeys: Command = {
  summary: 'make a new key for credentials: identity-jwt',
  usage: ['rotate-keys --config FILE [--at-once]'],
  about: `Publishes a new key now, which signs 15 minutes later, when every upstream knows it. The
gateways that run hear of it through the store. They do the same by themselves every 30
days. Prints the ids of the keys that are published from now on.

With --at-once the new key signs now and all others are gone, for a key that others know:
until an upstream has read the key set again, it refuses what the new key has signed.`,
  flags: { ...CONFIG_FLAG, 'at-once': { help: 'withdraw all other keys' } },
  async run(call) {
    const load = await loaderOf(call)
    const { config } = load()
    const [{ rotateKeys: rotate }, { StoreError }] = await Promise.all([
      import('../../operations/identity-jwt/rotate-keys.ts'),
      import('../../../plugin/index.ts'),
    ])
    if (config.store.type === 'memory')
      throw new CommandError(
        'rotate-keys: the memory store keeps its key in the process that serves: restart that one',
      )
    try {
      const kids = await rotate(config, { atOnce: call.flags['at-once'] === true })
      return call.print(kids.map((kid) => `${kid}\n`).join(''))
    } catch (error) {
      if (!(error instanceof StoreError)) throw error
      throw new CommandError(error.message, { cause: error })
    }
  },
}
