import assert from 'node:assert/strict'
import type { Case } from './case.ts'
import { fresh, longMs, mustRead, parallel, race, shortMs } from './means.ts'

/** `create`, `read` and `replace`: one winner, versions and lifetimes. */
export const recordCases: readonly Case[] = [
  [
    `create: of ${parallel} parallel callers one wins, and its value stays (G-07)`,
    async ({ store, other = store }) => {
      const key = fresh()
      const won = await race((n) => (n % 2 ? store : other).create(key, `value ${n}`, longMs))
      assert.equal(won.length, 1, 'exactly one create may succeed')
      assert.equal((await store.read(key))?.value, `value ${won[0]}`)
      assert.equal(await store.create(key, 'late', longMs), false)
      assert.equal((await other.read(key))?.value, `value ${won[0]}`)
    },
  ],
  [
    'create: succeeds again once the record has expired (G-06)',
    async ({ store, advance }) => {
      const key = fresh()
      assert.equal(await store.create(key, 'first', shortMs), true)
      assert.equal(await store.create(key, 'second', longMs), false)
      await advance(shortMs + 50)
      const won = await race((n) => store.create(key, `later ${n}`, longMs))
      assert.equal(won.length, 1, 'exactly one create may follow an expired record')
      assert.equal((await store.read(key))?.value, `later ${won[0]}`)
    },
  ],
  [
    'read: the value as written and its version; null for an unknown key',
    async ({ store, other = store }) => {
      const key = fresh()
      assert.equal(await store.read(key), null)
      await store.create(key, 'value', longMs)
      for (const instance of [store, other]) {
        const { value, version } = await mustRead(instance, key)
        assert.deepEqual({ value, version }, { value: 'value', version: 1 })
      }
    },
  ],
  [
    `replace: of ${parallel} parallel callers with one version one wins (G-07)`,
    async ({ store, other = store }) => {
      const key = fresh()
      await store.create(key, 'before', longMs)
      const { version } = await mustRead(store, key)
      const won = await race((n) => (n % 2 ? store : other).replace(key, version, `after ${n}`, longMs))
      assert.equal(won.length, 1, 'exactly one replace may succeed')
      assert.equal((await mustRead(store, key)).value, `after ${won[0]}`)
      assert.equal((await mustRead(other, key)).value, `after ${won[0]}`)
    },
  ],
  [
    'replace: another version changes nothing',
    async ({ store }) => {
      const key = fresh()
      await store.create(key, 'value', longMs)
      const record = await mustRead(store, key)
      assert.equal(await store.replace(key, record.version + 1, 'wrong', longMs), false)
      assert.equal(await store.replace(key, record.version - 1, 'wrong', longMs), false)
      assert.deepEqual(await mustRead(store, key), record)
    },
  ],
  [
    'replace: false for a record that never was or has expired, and creates none (G-06)',
    async ({ store, advance }) => {
      const [unknown, expired] = [fresh(), fresh()]
      for (const version of [0, 1]) assert.equal(await store.replace(unknown, version, 'x', longMs), false)
      await store.create(expired, 'value', shortMs)
      const { version } = await mustRead(store, expired)
      await advance(shortMs + 50)
      assert.equal(await store.replace(expired, version, 'x', longMs), false)
      assert.equal(await store.read(unknown), null)
      assert.equal(await store.read(expired), null)
    },
  ],
  [
    'replace: sets the time to live anew, longer and shorter',
    async ({ store, advance }) => {
      const [longer, shorter] = [fresh(), fresh()]
      await store.create(longer, 'value', shortMs)
      await store.create(shorter, 'value', longMs)
      assert.ok(await store.replace(longer, (await mustRead(store, longer)).version, 'value', longMs))
      assert.ok(await store.replace(shorter, (await mustRead(store, shorter)).version, 'value', shortMs))
      await advance(shortMs + 50)
      assert.notEqual(await store.read(longer), null)
      assert.equal(await store.read(shorter), null)
    },
  ],
  [
    'versions: 1 after create, one more after every replace, 1 again after expiry',
    async ({ store, other = store, advance }) => {
      const key = fresh()
      await store.create(key, 'same', longMs)
      for (const version of [1, 2, 3, 4]) {
        assert.equal((await mustRead(other, key)).version, version)
        assert.ok(await store.replace(key, version, 'same', version === 4 ? shortMs : longMs))
      }
      assert.equal((await mustRead(store, key)).version, 5)
      await advance(shortMs + 50)
      await store.create(key, 'same', longMs)
      assert.equal((await mustRead(store, key)).version, 1)
    },
  ],
  [
    'a record lives until its time and not longer, whether or not a janitor runs (G-06)',
    async ({ store, other = store, advance }) => {
      const key = fresh()
      await store.create(key, 'value', 2 * shortMs)
      await advance(shortMs)
      assert.notEqual(await store.read(key), null)
      await advance(shortMs + 50)
      assert.equal(await store.read(key), null)
      assert.equal(await other.read(key), null)
    },
  ],
]
