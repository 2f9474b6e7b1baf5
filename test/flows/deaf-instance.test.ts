/**
 * Two gateway processes, one of which no longer hears of changes: it must not serve from its cache what the other
 * one has revoked.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import pg from 'pg'
import t, { type Test } from 'tap'
import { type Instance, type Instances, type InstancesOptions, startInstances } from '../support/instances.ts'
import { type Answer, NativeApp } from '../support/native-app.ts'
import { type RedisServer, startRelay } from '../support/redis-server.ts'
import { startSharedStore } from '../support/shared-store.ts'
import { until } from '../support/wait.ts'

t.setTimeout(120_000)

const A = 0

function call(instance: Instance, accessToken: string): Promise<Answer> {
  return instance.send('/api/orders', { headers: { authorization: `Bearer ${accessToken}` } })
}

/** Each instance has the session in its cache. */
async function warm({ instances }: Instances, accessToken: string): Promise<number[]> {
  const answers = await Promise.all(instances.map((instance) => call(instance, accessToken)))
  return answers.map(({ status }) => status)
}

async function revoke(instance: Instance, token: string): Promise<Answer> {
  return instance.send('/oauth2/revoke', {
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({ client_id: 'com.example.app', token }).toString(),
  })
}

/** Instances for the test, or the reason to skip it, which has been said. */
async function started(t: Test, options: InstancesOptions): Promise<Instances | undefined> {
  const stack = await startInstances(t, options)
  if (typeof stack !== 'string') return stack
  t.pass('instances', { skip: stack })
  return undefined
}

t.test(
  'an instance on Redis without its notification channel serves no revoked session (G-17)',
  withoutRedisChannel,
)
t.test(
  'an instance on PostgreSQL without its LISTEN connection serves none either (G-17)',
  withoutPostgresChannel,
)

/** A session that B has in its cache is revoked on A: from `lostBy` on B must not serve it. */
async function revokedUnheard(t: Test, stack: Instances, cut: () => unknown, boundMs: number): Promise<void> {
  const [a, b] = stack.instances as [Instance, Instance]
  const app = new NativeApp(stack)
  const [doomed, other] = [await app.login(), await app.login()]
  for (const { access_token } of [doomed, other]) t.same(await warm(stack, access_token), [200, 200])
  await cut()
  t.equal((await revoke(a, doomed.access_token)).status, 200)
  const revokedAt = performance.now()
  if (boundMs > 0) await until(async () => (await call(b, doomed.access_token)).status === 401)
  t.equal((await call(b, doomed.access_token)).status, 401)
  t.ok(performance.now() - revokedAt < boundMs + 1000, `within ${boundMs} ms, and the time of two requests`)
  t.equal((await call(b, other.access_token)).status, 200, 'the living are served')
}

/**
 * A process that stood still (SIGSTOP, a frozen container) has heard nothing meanwhile, and has requests waiting when it
 * goes on.
 */
async function revokedWhileFrozen(t: Test, stack: Instances): Promise<void> {
  const [a, b] = stack.instances as [Instance, Instance]
  const { access_token } = await new NativeApp(stack).login()
  t.same(await warm(stack, access_token), [200, 200])
  b.signal('SIGSTOP')
  const waiting = Array.from({ length: 10 }, () => call(b, access_token))
  await sleep(3000)
  t.equal((await revoke(a, access_token)).status, 200)
  waiting.push(...Array.from({ length: 10 }, () => call(b, access_token)))
  await sleep(100)
  b.signal('SIGCONT')
  t.same([...new Set((await Promise.all(waiting)).map(({ status }) => status))], [401])
}

async function withoutRedisChannel(t: Test): Promise<void> {
  const store = await startSharedStore(t, 'redis')
  if (typeof store === 'string') return void t.pass('redis', { skip: store })
  const [{ port }] = store.redis as [RedisServer]
  const admin = new Redis({ port, host: '127.0.0.1' })
  t.teardown(() => admin.disconnect())
  const listeners = async () => Number((await admin.pubsub('NUMSUB', 'pkce:changes'))[1])
  const relay = await startRelay(port)
  t.teardown(() => relay.stop())
  const stack = await started(t, {
    count: 2,
    store,
    provider: 'stub',
    // Only B hears through the relay.
    change: (config, index) =>
      index === A ? config : { ...config, store: { type: 'redis', url: `redis://127.0.0.1:${relay.port}` } },
  })
  if (!stack) return
  await t.test('cut and refused from then on: from the next request', (t) =>
    revokedUnheard(
      t,
      stack,
      async () => {
        relay.deafen('cut')
        await sleep(50)
      },
      0,
    ),
  )
  await t.test('again while it is cut, for a session that began meanwhile', (t) =>
    revokedUnheard(t, stack, () => {}, 0),
  )
  relay.heal()
  await heardAgain(t, stack, listeners)
  await t.test('a hole in which the channel’s messages vanish: as soon as a beat is missed', (t) =>
    revokedUnheard(t, stack, () => relay.deafen('hole'), 1500),
  )
  relay.heal()
  await heardAgain(t, stack, listeners)
  await t.test('frozen while it is revoked: from the first request afterwards', (t) =>
    revokedWhileFrozen(t, stack),
  )
}

async function withoutPostgresChannel(t: Test): Promise<void> {
  const store = await startSharedStore(t, 'postgres')
  if (typeof store === 'string') return void t.pass('postgres', { skip: store })
  const relay = await startRelay(store.postgres.port)
  t.teardown(() => relay.stop())
  const listenUrl = new URL(store.postgres.url())
  listenUrl.port = String(relay.port)
  const stack = await started(t, {
    count: 2,
    store,
    provider: 'stub',
    change: (config, index) =>
      index === A ? config : { ...config, store: { ...store.settings, listenUrl: listenUrl.href } },
  })
  if (!stack) return
  const admin = new pg.Client({ connectionString: store.postgres.url() })
  await admin.connect()
  t.teardown(() => admin.end())
  // A connection has no name for what it listens to; the probe is its last statement, and nobody else's.
  const listening = `SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid()
    AND (query LIKE 'LISTEN%' OR query LIKE 'SELECT pg_notify(%read_only%')`
  const listeners = async () => (await admin.query(listening)).rowCount ?? 0

  await t.test('pg_terminate_backend of the LISTEN connections: from the next request', (t) =>
    revokedUnheard(
      t,
      stack,
      async () => {
        const { rows } = await admin.query<{ pid: number }>(listening)
        t.equal(rows.length, 2)
        const pids = rows.map(({ pid }) => pid)
        await admin.query('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) AS pid', [pids])
        const left = () => admin.query('SELECT FROM pg_stat_activity WHERE pid = ANY ($1::int[])', [pids])
        await until(async () => (await left()).rowCount === 0)
      },
      0,
    ),
  )
  await heardAgain(t, stack, listeners)
  await t.test('cut and refused from then on: from the next request', (t) =>
    revokedUnheard(
      t,
      stack,
      async () => {
        relay.cut()
        await sleep(50)
      },
      0,
    ),
  )
  relay.heal()
  await heardAgain(t, stack, listeners)
  await t.test('frozen while it is revoked: from the first request afterwards', (t) =>
    revokedWhileFrozen(t, stack),
  )
}

/** After the channel has been healed, B hears of a revocation as before. */
async function heardAgain(t: Test, stack: Instances, listeners: () => Promise<number>): Promise<void> {
  await until(async () => (await listeners()) === stack.instances.length)
  await t.test('healed: revocations are heard again', (t) => revokedUnheard(t, stack, () => {}, 1000))
}
