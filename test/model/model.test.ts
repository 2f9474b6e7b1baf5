/** The bounded run. `npm run model -- --minutes 5` takes longer, and repeats what has failed here by its seed. */
import t from 'tap'
import type { StoreKind } from '../support/shared-store.ts'
import { runModel } from './run.ts'

// Where a sequence fails, the search for a shorter one takes a minute more.
t.setTimeout(300_000)
const seconds: Partial<Record<StoreKind, number>> = { memory: 20, redis: 12, postgres: 12 }
const seed = Date.now() % 2 ** 31

for (const [kind, limit] of Object.entries(seconds)) {
  t.test(
    `any sequence of requests, crashes and lost answers on ${kind} is one that the model knows (C-12, C-14, D-05)`,
    async (t) => {
      t.comment(`seed ${seed}`)
      const count = await runModel(t, { kind: kind as StoreKind, seconds: limit, seed })
      if (typeof count === 'string') return void t.pass(kind, { skip: count })
      t.comment(`${count} sequences`)
      t.ok(count > 10)
    },
  )
}
