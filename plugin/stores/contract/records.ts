import assert from 'node:assert/strict'
import type { Case } from './case.ts'
import { fresh, LONG_MS, mustRead, PARALLEL, race, SHORT_MS } from './fixtures.ts'

/** `create`, `read` and `replace`: one winner, versions and lifetimes. */
export const recordCases: readonly Case[] = [
  [
    `create: of ${PARALLEL} parallel callers one wins, and its value stays (G-07)`,
    async ({ store, other = store }) => {
      const key = fresh()
      const won = await race((n) => (n % 2 ? store : other).create(key, `value ${n}`, LONG_MS))
      assert.equal(won.length, 1, 'exactly one create may succeed')
      assert.equal((await store.read(key))?.value, `value ${won[0]}`)
      assert.equal(await store.create(key, 'late', LONG_MS), false)
      assert.equal((await other.read(key))?.value, `value ${won[0]}`)
    },
  ],
  [
    'create: succeeds again once the record has expired (G-06)',
    async ({ store, advance }) => {
      const key = fresh()
      assert.equal(await store.create(key, 'first', SHORT_MS), true)
      assert.equal(await store.create(key, 'second', LONG_MS), false)
      await advance(SHORT_MS + 50)
      const won = await race((n) => store.create(key, `later ${n}`, LONG_MS))
      assert.equal(won.length, 1, 'exactly one create may follow an expired record')
      assert.equal((await store.read(key))?.value, `later ${won[0]}`)
    },
  ],
  [
    'read: the value as written and its version; null for an unknown key',
    async ({ store, other = store }) => {
      const key = fresh()
      assert.equal(await store.read(key), null)
      await store.create(key, 'value', LONG_MS)
      for (const instance of [store, other]) {
        const { value, version } = await mustRead(instance, key)
        assert.deepEqual({ value, version }, { value: 'value', version: 1 })
      }
    },
  ],
  [
    `replace: of ${PARALLEL} parallel callers with one version one wins (G-07)`,
    async ({ store, other = store }) => {
      const key = fresh()
      await store.create(key, 'before', LONG_MS)
      const { version } = await mustRead(store, key)
      const won = await race((n) => (n % 2 ? store : other).replace(key, version, `after ${n}`, LONG_MS))
      assert.equal(won.length, 1, 'exactly one replace may succeed')
      assert.equal((await mustRead(store, key)).value, `after ${won[0]}`)
      assert.equal((await mustRead(other, key)).value, `after ${won[0]}`)
    },
  ],
  [
    'replace: another version changes nothing',
    async ({ store }) => {
      const key = fresh()
      await store.create(key, 'value', LONG_MS)
      const record = await mustRead(store, key)
      assert.equal(await store.replace(key, record.version + 1, 'wrong', LONG_MS), false)
      assert.equal(await store.replace(key, record.version - 1, 'wrong', LONG_MS), false)
      assert.deepEqual(await mustRead(store, key), record)
    },
  ],
  [
    'replace: false for a record that never was or has expired, and creates none (G-06)',
    async ({ store, advance }) => {
      const [unknown, expired] = [fresh(), fresh()]
      for (const version of [0, 1]) assert.equal(await store.replace(unknown, version, 'x', LONG_MS), false)
      await store.create(expired, 'value', SHORT_MS)
      const { version } = await mustRead(store, expired)
      await advance(SHORT_MS + 50)
      assert.equal(await store.replace(expired, version, 'x', LONG_MS), false)
      assert.equal(await store.read(unknown), null)
      assert.equal(await store.read(expired), null)
    },
  ],
  [
    'replace: sets the time to live anew, longer and shorter',
    async ({ store, advance }) => {
      const [longer, shorter] = [fresh(), fresh()]
      await store.create(longer, 'value', SHORT_MS)
      await store.create(shorter, 'value', LONG_MS)
      assert.ok(await store.replace(longer, (await mustRead(store, longer)).version, 'value', LONG_MS))
      assert.ok(await store.replace(shorter, (await mustRead(store, shorter)).version, 'value', SHORT_MS))
      await advance(SHORT_MS + 50)
      assert.notEqual(await store.read(longer), null)
      assert.equal(await store.read(shorter), null)
    },
  ],
  [
    'versions: 1 after create, one more after every replace, 1 again after expiry',
    async ({ store, other = store, advance }) => {
      const key = fresh()
      await store.create(key, 'same', LONG_MS)
      for (const version of [1, 2, 3, 4]) {
        assert.equal((await mustRead(other, key)).version, version)
        assert.ok(await store.replace(key, version, 'same', version === 4 ? SHORT_MS : LONG_MS))
      }
      assert.equal((await mustRead(store, key)).version, 5)
      await advance(SHORT_MS + 50)
      await store.create(key, 'same', LONG_MS)
      assert.equal((await mustRead(store, key)).version, 1)
    },
  ],
  [
    'a record lives until its time and not longer, whether or not a janitor runs (G-06)',
    async ({ store, other = store, advance }) => {
      const key = fresh()
      await store.create(key, 'value', 2 * SHORT_MS)
      await advance(SHORT_MS)
      assert.notEqual(await store.read(key), null)
      await advance(SHORT_MS + 50)
      assert.equal(await store.read(key), null)
      assert.equal(await other.read(key), null)
    },
  ],
]
