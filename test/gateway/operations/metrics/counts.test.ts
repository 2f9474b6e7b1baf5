import t from 'tap'
import { BOUNDS_SECONDS, Durations } from '../../../../gateway/forward/exchange/durations.ts'
import { RouteCounters } from '../../../../gateway/forward/exchange/route-counters.ts'
import { Metrics } from '../../../../gateway/operations/metrics/metrics.ts'
import { observedStore } from '../../../../gateway/operations/metrics/observed-store.ts'
import {
  memoryStore,
  type Session,
  type Store,
  StoreError,
  type StoreWatcher,
} from '../../../../plugin/index.ts'

t.test('a duration is in the first bucket that is as long, and series are apart', async (t) => {
  const durations = new Durations(2)
  for (const ms of [0, 1, 1.1, 30_000, 30_001]) durations.add(ms, 1)
  const cumulative = durations.cumulative(1)
  t.same([cumulative[0], cumulative[1], cumulative.at(-1)], [2, 3, 4])
  t.equal(cumulative.length, BOUNDS_SECONDS.length)
  t.equal(durations.count(1), 5, 'with the one that is longer than all bounds')
  t.ok(Math.abs(durations.sumSeconds(1) - 60.0031) < 1e-9)
  t.equal(durations.count(0), 0)
})

t.test('methods and statuses are counted by class (J-09)', async (t) => {
  const counters = new RouteCounters()
  for (const method of ['GET', 'HEAD', 'PATCH', 'BREW', undefined]) counters.count(method, 200, 1)
  for (const status of [0, 101, 304, 404, 503]) counters.count('GET', status, 1)
  const counts = Array.from({ length: 18 }, (_, series) => counters.requests.count(series))
  t.same(counts, [1, 2, 1, 1, 1, 1, 0, 1, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0])
})

/** A store in memory whose channel and whose answers are the test's. */
function scripted() {
  const watchers = new Set<StoreWatcher>()
  const plain = memoryStore()
  const store: Store & { fails?: boolean } = {
    ...{ name: 'redis', now: () => plain.now(), create: async () => true, read: async () => null },
    replace: async (_key, version) => {
      if (store.fails) throw new StoreError('redis', 'replace', 'no answer')
      return version === 1
    },
    ...{ reserve: async () => true, addToIndex: async () => {}, readIndex: async () => [] },
    ...{ removeFromIndex: async () => {}, check: async () => {}, close: () => plain.close() },
    watch: async (watcher) => {
      watchers.add(watcher)
      watcher.onResume()
      return () => watchers.delete(watcher)
    },
  }
  const tell = (event: (watcher: StoreWatcher) => void) => watchers.forEach(event)
  return { store, tell }
}

const watcher: StoreWatcher = { onChange() {}, onGap() {}, onResume() {} }

t.test('a store is counted, its failures and gaps once, and nothing of it changes (Q-04)', async (t) => {
  const metrics = new Metrics()
  const { store, tell } = scripted()
  t.teardown(() => store.close())
  const observed = observedStore(store, metrics)
  await observed.watch(watcher)
  await observed.watch(watcher)
  t.equal(metrics.areNotificationsUp, true)
  t.equal(await observed.replace('a', 1, 'value', 1000), true)
  t.equal(await observed.replace('b', 2, 'value', 1000), false)
  for (const key of ['a', 'b', 'c']) tell((one) => one.onChange(key))
  t.equal(metrics.notificationDurations.count(), 1, 'its own write that was made, and by one of the watchers')

  store.fails = true
  await t.rejects(observed.replace('a', 1, 'value', 1000), StoreError)
  t.equal(metrics.storeOperations.of('replace', 'ok').value, 2)
  t.equal(metrics.storeOperations.of('replace', 'error').value, 1)
  tell((one) => one.onGap())
  t.equal(metrics.notificationGaps, 1)
  t.equal(metrics.areNotificationsUp, false)
  t.equal('count' in observed, false, 'what a store cannot do, it cannot do here')
})

t.test('the first call of a login is one on all instances, and not a later one (Q-04)', async (t) => {
  const taken = new Set<string>()
  const reserve = async (key: string) => !taken.has(key) && Boolean(taken.add(key))
  const instances = [new Metrics(), new Metrics()]
  const count = () =>
    instances.map((metrics) => metrics.logins.of('app', 'first_call', 'ok').value).reduce((a, b) => a + b)
  for (const metrics of instances) {
    metrics.know([{ clientId: 'app' }])
    metrics.agreeBy({ name: 'redis', reserve })
  }
  async function callOn(metrics: Metrics, ageMs: number, grantId: string): Promise<void> {
    const session = { grantId, clientId: 'app' } as Session
    metrics.sessionRead(session, ageMs)
    metrics.firstCall(session)?.(200)
    await new Promise(setImmediate)
  }
  for (const metrics of [...instances, ...instances]) await callOn(metrics, 10, 'new')
  t.equal(count(), 1)
  await callOn(instances[0]!, 3_600_000, 'old')
  t.equal(count(), 1, 'a session of an hour ago, after a restart')
})

t.test('a client that is not registered has no series (J-09)', async (t) => {
  const metrics = new Metrics()
  metrics.know([{ clientId: 'app' }])
  for (const client of ['app', 'x', 'y', undefined]) metrics.login('begun', 'refused', client)
  t.same(
    [...metrics.logins].map(({ labels, value }) => [labels.client, value.value]),
    [
      ['app', 1],
      ['unknown', 3],
    ],
  )
})
