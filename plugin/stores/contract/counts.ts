import assert from 'node:assert/strict'
import type { Case } from './case.ts'
import { fresh, LONG_MS, PARALLEL, SHORT_MS } from './fixtures.ts'

/** `count`, for stores that offer it. */
export const countCases: readonly Case[] = [
  [
    `a counter: ${PARALLEL} parallel calls on all instances are each counted once`,
    async ({ store, other = store }) => {
      if (!store.count || !other.count) return
      const counter = fresh()
      const counts = await Promise.all(
        Array.from({ length: PARALLEL }, (_, n) => (n % 2 ? store : other).count!(counter, LONG_MS)),
      )
      const seen = counts.map(({ count }) => count).sort((a, b) => a - b)
      assert.deepEqual(
        seen,
        Array.from({ length: PARALLEL }, (_, n) => n + 1),
      )
      assert.ok(counts.every(({ ttlMs }) => ttlMs > 0 && ttlMs <= LONG_MS))
    },
  ],
  [
    'a counter begins again when its window has ended, however often it was called meanwhile (G-06)',
    async ({ store, advance }) => {
      if (!store.count) return
      const counter = fresh()
      await store.count(counter, SHORT_MS)
      await store.count(counter, SHORT_MS)
      await advance(SHORT_MS * 2)
      assert.equal((await store.count(counter, SHORT_MS)).count, 1)
    },
  ],
]
