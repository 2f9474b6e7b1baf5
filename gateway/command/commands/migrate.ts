import type { LoadedConfig } from '../../config/load.ts'
import { loaderOf } from '../configuration.ts'
import { CONFIG_FLAG, type Command, CommandError } from '../definition.ts'

export const migrate: Command = {
  summary: 'make the tables of the PostgreSQL store',
  usage: ['migrate --config FILE', 'migrate --sql'],
  about: `Makes the tables of the PostgreSQL store: once, or again after an update. It does no harm
twice, nor from several machines at once.`,
  flags: { ...CONFIG_FLAG, sql: { help: 'print the statements, change nothing' } },
  async run(call) {
    if (call.flags.sql) {
      const { postgresDdl } = await import('../../../plugin/stores/postgres/index.ts')
      return call.print(postgresDdl())
    }
    const load = await loaderOf(call)
    await migrateStore(load())
    return call.print('ok\n')
  },
}

/** Whichever version the tables have now. @throws CommandError where there are none to make. */
async function migrateStore({ config }: LoadedConfig): Promise<void> {
  const [{ createStore }, { StoreError }] = await Promise.all([
    import('../../operations/store.ts'),
    import('../../../plugin/index.ts'),
  ])
  const store = createStore(config.store)
  try {
    if (!store.migrate) throw new CommandError(`migrate: the ${config.store.type} store has no tables`)
    await store.migrate()
  } catch (error) {
    if (!(error instanceof StoreError)) throw error
    throw new CommandError(error.message, { cause: error })
  } finally {
    await store.close()
  }
}
