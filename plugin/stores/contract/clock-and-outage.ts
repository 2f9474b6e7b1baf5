import assert from 'node:assert/strict'
import type { Case } from './case.ts'
import { BOUND_MS, calls, eventually, fresh, LONG_MS, mustFail, mustRead, watcher } from './fixtures.ts'

/** `now`, outages and `close`. */
export const outageCases: readonly Case[] = [
  [
    'now: the clock by which records expire, in milliseconds since the epoch',
    async ({ store, advance }) => {
      await store.check()
      const before = store.now()
      assert.ok(before > Date.UTC(2001, 0, 1), 'now() must be milliseconds since the epoch')
      await advance(2000)
      await store.check()
      const passed = store.now() - before
      assert.ok(passed >= 1900 && passed < 10_000, `2000 ms passed, now() moved by ${passed}`)
    },
  ],
  [
    `outage: every call throws StoreError within ${BOUND_MS} ms, and works again afterwards (G-08)`,
    async (subject) => {
      const { store, other = store } = subject
      if (subject.break === undefined || subject.heal === undefined) return
      const key = fresh()
      const notes = watcher()
      await store.watch(notes)
      await store.create(key, 'before', LONG_MS)
      const { version } = await mustRead(store, key)
      await subject.break()
      for (const [operation, call] of calls(store, key, version)) await mustFail(operation, call)
      await eventually('nothing is proved in an outage of the watch', async () => {
        if (notes.gaps > 0)
          assert.ok((store.provedUntil?.() ?? 0) <= store.now(), 'provedUntil() must be over')
      })
      await subject.heal()
      await eventually('check() works again after the outage', async () => {
        await store.check()
        await other.check()
      })
      assert.equal((await mustRead(store, key)).value, 'before')
      await eventually('the watch has resumed after the outage', async () => {
        assert.ok(notes.resumed > notes.gaps, 'onResume must follow onGap')
      })
      assert.ok(
        (store.provedUntil?.() ?? Number.POSITIVE_INFINITY) > store.now(),
        'proved again with onResume',
      )
      assert.ok(await other.replace(key, version, 'after', LONG_MS))
      await notes.seen(key, 1)
      assert.equal((await mustRead(store, key)).value, 'after')
    },
  ],
  [
    'close: every later call throws StoreError; closing twice is no error',
    async ({ store }) => {
      const key = fresh()
      await store.create(key, 'value', LONG_MS)
      const { version } = await mustRead(store, key)
      await store.close()
      for (const [operation, call] of calls(store, key, version)) await mustFail(operation, call)
      await store.close()
    },
  ],
]
