import assert from 'node:assert/strict'
import type { Case } from './case.ts'
import { fresh, longMs, parallel, sameMembers, shortMs } from './means.ts'

/** `addToIndex`, `readIndex` and `removeFromIndex`. */
export const indexCases: readonly Case[] = [
  [
    'an index: members are added to several at once, read and removed',
    async ({ store, other = store }) => {
      const [one, two] = [fresh(), fresh()]
      assert.deepEqual(await store.readIndex(one), [])
      await store.addToIndex([one, two], 'a', longMs)
      await other.addToIndex([one], 'b', longMs)
      await store.addToIndex([one], 'a', longMs)
      await store.addToIndex([], 'c', longMs)
      sameMembers(await other.readIndex(one), ['a', 'b'])
      assert.deepEqual(await store.readIndex(two), ['a'])
      await store.removeFromIndex([one, two, fresh()], 'a')
      await store.removeFromIndex([one], 'absent')
      assert.deepEqual(await other.readIndex(one), ['b'])
      assert.deepEqual(await store.readIndex(two), [])
    },
  ],
  [
    `an index: ${parallel} parallel additions lose no member`,
    async ({ store, other = store }) => {
      const index = fresh()
      const members = Array.from({ length: parallel }, (_, n) => `member-${n}`)
      await Promise.all(members.map((m, n) => (n % 2 ? store : other).addToIndex([index], m, longMs)))
      sameMembers(await store.readIndex(index), members)
    },
  ],
  [
    'an index: each member lives for the longest time asked for it, and no longer (G-06)',
    async ({ store, advance }) => {
      const index = fresh()
      await store.addToIndex([index], 'short', shortMs)
      await store.addToIndex([index], 'extended', shortMs)
      await store.addToIndex([index], 'extended', longMs)
      await store.addToIndex([index], 'not shortened', longMs)
      await store.addToIndex([index], 'not shortened', shortMs)
      await advance(shortMs + 50)
      sameMembers(await store.readIndex(index), ['extended', 'not shortened'])
    },
  ],
]
