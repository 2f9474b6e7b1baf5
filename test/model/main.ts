/**
 * `npm run model -- --minutes 5`: random sequences over every store, in turn, until the time is over. It exits with 1
 * at the first that the model cannot explain. `--store redis --seed 1 --path 7:3 --replay-path AB:V` repeats one.
 */
import { parseArgs } from 'node:util'
import type { StoreKind } from '../support/shared-store.ts'
import { runModel } from './run.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '5' },
    store: { type: 'string' },
    seed: { type: 'string', default: String(Date.now() % 2 ** 31) },
    path: { type: 'string' },
    'replay-path': { type: 'string' },
  },
})
const kinds = (values.store === undefined ? ['memory', 'redis', 'postgres'] : [values.store]) as StoreKind[]
const endings: (() => unknown)[] = []

try {
  for (const kind of kinds) {
    console.log(`${kind}, seed ${values.seed}`)
    const count = await runModel(
      { teardown: (end) => void endings.unshift(end as () => unknown) },
      {
        kind,
        seconds: (Number(values.minutes) * 60) / kinds.length,
        seed: Number(values.seed),
        path: values.path,
        replayPath: values['replay-path'],
      },
    )
    console.log(typeof count === 'string' ? count : `${count} sequences, and the model explains each`)
  }
} catch (error) {
  console.error(error)
  process.exitCode = 1
} finally {
  for (const end of endings) await end()
}
