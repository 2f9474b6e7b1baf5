import assert from 'node:assert/strict'
import type { Case } from './case.ts'
import { fresh, LONG_MS, mustRead, watcher } from './fixtures.ts'

/** `watch`: who is notified of what, and by when. */
export const watchCases: readonly Case[] = [
  [
    'watch: onResume by the time it resolves; every replace is notified, other calls are not (G-17)',
    async ({ store }) => {
      const [key, untouched] = [fresh(), fresh()]
      const notes = watcher()
      await store.watch(notes)
      assert.ok(notes.resumed > 0, 'onResume must have been called when watch() resolves')
      await store.create(key, 'value', LONG_MS)
      await store.create(untouched, 'value', LONG_MS)
      for (let write = 1; write <= 3; write += 1) {
        const { version } = await mustRead(store, key)
        assert.ok(await store.replace(key, version, `value ${write}`, LONG_MS))
        assert.equal(await store.replace(key, version, 'lost', LONG_MS), false)
        await notes.seen(key, write)
      }
      const heard = notes.changes.filter((changed) => changed === key || changed === untouched)
      assert.deepEqual(heard, [key, key, key])
    },
  ],
  [
    'watch: a replace is notified on every instance that watches (G-17)',
    async ({ store, other = store }) => {
      const key = fresh()
      const [here, there] = [watcher(), watcher()]
      await Promise.all([store.watch(here), other.watch(there)])
      await store.create(key, 'value', LONG_MS)
      assert.ok(await store.replace(key, (await mustRead(store, key)).version, 'here', LONG_MS))
      await Promise.all([here.seen(key, 1), there.seen(key, 1)])
      assert.equal((await mustRead(other, key)).value, 'here')
      assert.ok(await other.replace(key, (await mustRead(other, key)).version, 'there', LONG_MS))
      await Promise.all([here.seen(key, 2), there.seen(key, 2)])
      assert.equal((await mustRead(store, key)).value, 'there')
    },
  ],
  [
    'watch: a store that proves it has done so when it resolves, and goes on doing so (G-17)',
    async ({ store, advance }) => {
      if (store.provedUntil === undefined) return
      await store.watch(watcher())
      assert.ok(
        store.provedUntil() > store.now(),
        'provedUntil() must be in the future when watch() resolves',
      )
      for (let step = 0; step < 10; step += 1) {
        await advance(500)
        assert.ok(
          store.provedUntil() > store.now(),
          'provedUntil() must stay in the future while all is well',
        )
      }
    },
  ],
  [
    'watch: the function it returned ends that watch only',
    async ({ store }) => {
      const key = fresh()
      const [ended, going] = [watcher(), watcher()]
      const unwatch = await store.watch(ended)
      await store.watch(going)
      unwatch()
      await store.create(key, 'value', LONG_MS)
      assert.ok(await store.replace(key, (await mustRead(store, key)).version, 'changed', LONG_MS))
      await going.seen(key, 1)
      assert.ok(!ended.changes.includes(key), 'an ended watch must not be notified')
    },
  ],
]
