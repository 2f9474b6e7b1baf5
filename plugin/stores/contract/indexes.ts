import assert from 'node:assert/strict'
import type { Case } from './case.ts'
import { fresh, LONG_MS, PARALLEL, SHORT_MS, sameMembers } from './fixtures.ts'

/** `addToIndex`, `readIndex` and `removeFromIndex`. */
export const indexCases: readonly Case[] = [
  [
    'an index: members are added to several at once, read and removed',
    async ({ store, other = store }) => {
      const [one, two] = [fresh(), fresh()]
      assert.deepEqual(await store.readIndex(one), [])
      await store.addToIndex([one, two], 'a', LONG_MS)
      await other.addToIndex([one], 'b', LONG_MS)
      await store.addToIndex([one], 'a', LONG_MS)
      await store.addToIndex([], 'c', LONG_MS)
      sameMembers(await other.readIndex(one), ['a', 'b'])
      assert.deepEqual(await store.readIndex(two), ['a'])
      await store.removeFromIndex([one, two, fresh()], 'a')
      await store.removeFromIndex([one], 'absent')
      assert.deepEqual(await other.readIndex(one), ['b'])
      assert.deepEqual(await store.readIndex(two), [])
    },
  ],
  [
    `an index: ${PARALLEL} parallel additions lose no member`,
    async ({ store, other = store }) => {
      const index = fresh()
      const members = Array.from({ length: PARALLEL }, (_, n) => `member-${n}`)
      await Promise.all(members.map((m, n) => (n % 2 ? store : other).addToIndex([index], m, LONG_MS)))
      sameMembers(await store.readIndex(index), members)
    },
  ],
  [
    'an index: each member lives for the longest time asked for it, and no longer (G-06)',
    async ({ store, advance }) => {
      const index = fresh()
      await store.addToIndex([index], 'short', SHORT_MS)
      await store.addToIndex([index], 'extended', SHORT_MS)
      await store.addToIndex([index], 'extended', LONG_MS)
      await store.addToIndex([index], 'not shortened', LONG_MS)
      await store.addToIndex([index], 'not shortened', SHORT_MS)
      await advance(SHORT_MS + 50)
      sameMembers(await store.readIndex(index), ['extended', 'not shortened'])
    },
  ],
]
