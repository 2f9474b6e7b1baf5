import assert from 'node:assert/strict'
import type { Case } from './case.ts'
import { fresh, LONG_MS, mustRead, PARALLEL, RACE_MS, race, SHORT_MS, sameMembers } from './fixtures.ts'

/** `reserve`, and names of all kinds that do not meet. */
export const nameCases: readonly Case[] = [
  [
    `reserve: of ${PARALLEL} parallel callers one wins, and again only after expiry (G-07)`,
    async ({ store, other = store, advance }) => {
      const key = fresh()
      const reserve = (n: number) => (n % 2 ? store : other).reserve(key, RACE_MS)
      assert.equal((await race(reserve)).length, 1, 'exactly one reservation may succeed')
      assert.equal((await race(reserve)).length, 0, 'a live reservation must not be given twice')
      await advance(RACE_MS + 50)
      assert.equal((await race(reserve)).length, 1, 'exactly one reservation may follow an expired one')
    },
  ],
  [
    'reservations, records and indexes of one name do not meet (G-14)',
    async ({ store }) => {
      const name = fresh()
      assert.equal(await store.reserve(name, LONG_MS), true)
      assert.equal(await store.create(name, 'value', LONG_MS), true)
      await store.addToIndex([name], 'member', LONG_MS)
      assert.equal((await mustRead(store, name)).value, 'value')
      assert.deepEqual(await store.readIndex(name), ['member'])
      assert.equal(await store.reserve(name, LONG_MS), false)
    },
  ],
  [
    'keys, members and values of any printable characters, values of 64 KiB, come back as they were',
    async ({ store }) => {
      const ascii = String.fromCharCode(...Array.from({ length: 95 }, (_, n) => 32 + n))
      const unicode = 'äß漢字🔑\u2028'
      const values = ['', ascii, unicode, '{"a":"\\u0000"}', '漢'.repeat(21_845), 'v'.repeat(65_536)]
      for (const value of values) {
        const key = `${fresh()} ${ascii} ${unicode}`
        assert.equal(await store.create(key, value, LONG_MS), true)
        assert.equal((await mustRead(store, key)).value, value)
        assert.ok(await store.replace(key, (await mustRead(store, key)).version, `${value}.`, LONG_MS))
        assert.equal((await mustRead(store, key)).value, `${value}.`)
        await store.addToIndex([key], ascii, LONG_MS)
        await store.addToIndex([key], unicode, LONG_MS)
        sameMembers(await store.readIndex(key), [ascii, unicode])
        await store.removeFromIndex([key], ascii)
        assert.deepEqual(await store.readIndex(key), [unicode])
      }
    },
  ],
  [
    'keys that nearly are one another hold their own records (G-14)',
    async ({ store }) => {
      const base = fresh()
      const likeBase = ['', ':', '*', '?', '[a]', '%', '_', ' ', '/', '{x}', "'", '"', '\\', ':a', ':A', ':á']
      const keys = [...likeBase.map((end) => base + end), `{${base}}`, ` ${base}`, base.toUpperCase()]
      for (const key of keys) {
        assert.equal(await store.create(key, `of ${key}`, LONG_MS), true, `${key} collides`)
        assert.equal(await store.reserve(key, LONG_MS), true, `${key} collides as a reservation`)
        await store.addToIndex([key], `of ${key}`, LONG_MS)
      }
      for (const key of keys) {
        assert.equal((await mustRead(store, key)).value, `of ${key}`)
        assert.deepEqual(await store.readIndex(key), [`of ${key}`])
      }
    },
  ],
  [
    'names that objects inherit are keys like any other',
    async ({ store }) => {
      for (const key of ['__proto__', 'constructor', 'toString', 'hasOwnProperty']) {
        assert.deepEqual(await store.readIndex(key), [])
        assert.equal(await store.read(key), null)
        assert.equal(await store.create(key, 'value', SHORT_MS), true)
        await store.addToIndex([key], '__proto__', SHORT_MS)
        assert.equal((await mustRead(store, key)).value, 'value')
        assert.deepEqual(await store.readIndex(key), ['__proto__'])
      }
    },
  ],
]
