import t from 'tap'
import { RateWindows } from '../../../plugin/http/rate-windows.ts'
import { count } from '../../support/plugin-over-http.ts'

t.test('a store that can count makes one limit of all instances; the higher count decides', async (t) => {
  const windows = new RateWindows('token', { count: async () => ({ count: 7, ttlMs: 4000 }) })
  t.same(await count(windows), { current: 7, ttl: 4000 })
  const behind = new RateWindows('token', { count: async () => ({ count: 0, ttlMs: 4000 }) })
  t.match(await count(behind), { current: 1 })
})

t.test('without the shared count each instance keeps its own limit, at once (G-08)', async (t) => {
  const broken = new RateWindows('token', { count: () => Promise.reject(new Error('down')) })
  t.match(await count(broken), { current: 1 })
  t.match(await count(broken), { current: 2 })
  const foreign = new RateWindows('token', { count: () => 5 as unknown as Promise<never> })
  t.match(await count(foreign), { current: 1 }, "a custom store's count may be another thing")
  const throwing = new RateWindows('token', {
    count() {
      throw new TypeError('two arguments too many')
    },
  })
  t.match(await count(throwing), { current: 1 })
  const silent = new RateWindows('token', { count: () => new Promise(() => {}) })
  const startedAt = Date.now()
  t.match(await count(silent), { current: 1 })
  t.ok(Date.now() - startedAt < 5000)
})
