import pg from 'pg'
import t, { type Test } from 'tap'
import { checkPostgres } from '../../../../plugin/stores/postgres/index.ts'
import { postgresStore } from '../../../../plugin/stores/postgres/store.ts'
import type { Store } from '../../../../plugin/stores/store.ts'
import { startFaultProxy } from '../../../support/fault-proxy.ts'
import type { PostgresServer } from '../../../support/postgres-server.ts'
import {
  openStore,
  promptMs,
  terminate,
  timed,
  until,
  watcherOf,
  withPostgres,
} from '../../../support/postgres-store.ts'

await withPostgres(t, faultTests)

function faultTests(server: PostgresServer, admin: pg.Pool): void {
  /** A record on which every write waits until `release`. */
  async function lockedRecord(t: Test, store: Store, key: string) {
    await store.create(key, 'before', 60_000)
    const holder = await admin.connect()
    await holder.query('BEGIN')
    await holder.query('SELECT 1 FROM pkce.records WHERE key = $1 FOR UPDATE', [key])
    let held = true
    const release = async () => {
      if (!held) return
      held = false
      await holder.query('ROLLBACK')
      holder.release()
    }
    t.teardown(release)
    return release
  }
  const waiting = async (pattern: string) => {
    const { rows } = await admin.query(
      `SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE $1`,
      [pattern],
    )
    return rows.length > 0
  }

  t.test('a backend terminated mid-statement: StoreError, nothing written, then all is well', async (t) => {
    const { store } = await openStore(t, server, { max: 1 })
    const release = await lockedRecord(t, store, 'terminated')
    const replaced = timed(store.replace('terminated', 1, 'after', 60_000))
    await until(() => waiting('%UPDATE%pg_notify%'))
    t.equal(await terminate(admin, '%UPDATE%pg_notify%'), 1)
    t.match((await replaced).error, { name: 'StoreError', message: /server ended the connection/ })
    await release()
    t.same(await store.read('terminated'), { value: 'before', version: 1 })
    t.equal(await store.replace('terminated', 1, 'after', 60_000), true)
  })

  t.test(
    'a connection cut mid-statement: StoreError, no error event escapes, then all is well',
    async (t) => {
      const pool = new pg.Pool({ connectionString: server.url(), max: 1 })
      t.teardown(() => pool.end())
      const store = postgresStore({ pool, janitor: false })
      t.teardown(() => store.close())
      let cut = () => {}
      pool.on('acquire', (client) => {
        cut = () => client.connection.stream.destroy()
      })
      const release = await lockedRecord(t, store, 'cut')
      const replaced = timed(store.replace('cut', 1, 'after', 60_000))
      await until(() => waiting('%UPDATE%pg_notify%'))
      cut()
      t.match((await replaced).error, { name: 'StoreError', message: /the connection failed/ })
      // The server notices when it next has something to say.
      await terminate(admin, '%UPDATE%pg_notify%')
      await release()
      t.same(await store.read('cut'), { value: 'before', version: 1 })
    },
  )

  t.test('a pool without a free connection is no gap: the channel proves itself (G-17)', async (t) => {
    const pool = new pg.Pool({ connectionString: server.url(), max: 1 })
    t.teardown(() => pool.end())
    const store = postgresStore({ pool, janitor: false })
    t.teardown(() => store.close())
    const watcher = watcherOf()
    await store.watch(watcher)
    const client = await pool.connect()
    // Past the tenth beat, which goes through the pool.
    const endsAt = performance.now() + 7000
    let lapses = 0
    while (performance.now() < endsAt) {
      await new Promise((resolve) => setTimeout(resolve, 50))
      if ((store.provedUntil?.() ?? 0) <= store.now()) lapses += 1
    }
    client.release()
    t.same(watcher.heard, ['resume'])
    t.equal(lapses, 0)
    t.same(await store.read('absent'), null)
  })

  t.test(
    'the first watch waits for a LISTEN connection that is slow to come, and not for ever (Q-08)',
    async (t) => {
      const proxy = await startFaultProxy(Number(new URL(server.url()).port))
      t.teardown(() => proxy.stop())
      const slow = new URL(server.url())
      slow.hostname = '127.0.0.1'
      slow.port = String(proxy.port)
      const watched = async () => {
        const { store } = await openStore(t, server, { listen: slow.href })
        await store.check()
        const watcher = watcherOf()
        return { ...(await timed(store.watch(watcher))), heard: watcher.heard }
      }
      proxy.blackHole()
      const { error, tookMs } = await watched()
      t.match(error, { name: 'StoreError', message: /no answer within 800 ms/ })
      t.ok(tookMs > 4000 && tookMs < 4000 + promptMs, `${tookMs} ms`)

      setTimeout(proxy.heal, 1200)
      t.match(await watched(), { error: undefined, heard: ['resume'] })
    },
  )

  t.test('a lock that is never released: StoreError within a second; the server gives up too', async (t) => {
    const { store } = await openStore(t, server)
    const release = await lockedRecord(t, store, 'locked')
    const { error, tookMs } = await timed(store.replace('locked', 1, 'late', 60_000))
    t.match(error, { name: 'StoreError', message: /no answer within 800 ms/ })
    t.ok(tookMs < promptMs, `${tookMs} ms`)
    await until(async () => !(await waiting('%UPDATE%pg_notify%')))
    await release()
    t.same(
      await store.read('locked'),
      { value: 'before', version: 1 },
      'what was given up was not done later',
    )
  })

  t.test(
    'an exhausted pool: StoreError within a second, and the pool is whole afterwards (G-12)',
    async (t) => {
      const pool = new pg.Pool({ connectionString: server.url(), max: 1 })
      t.teardown(() => pool.end())
      const store = postgresStore({ pool, janitor: false })
      t.teardown(() => store.close())
      const held = await pool.connect()
      const calls = [store.read('a'), store.check(), store.reserve('b', 1000)]
      for (const { error, tookMs } of await Promise.all(calls.map(timed))) {
        t.match(error, { name: 'StoreError', message: /no answer within 800 ms/ })
        t.ok(tookMs < promptMs, `${tookMs} ms`)
      }
      held.release()
      t.equal(await store.read('a'), null)
      t.equal(pool.waitingCount, 0)
    },
  )

  t.test(
    'a black hole: a gap within 2 s, calls fail, and both come back by themselves (G-08, G-17)',
    async (t) => {
      const { store } = await openStore(t, server)
      const watcher = watcherOf()
      await store.watch(watcher)
      server.pause()
      t.teardown(() => server.resume())
      const gapAfterMs = await watcher.next('gap')
      t.ok(gapAfterMs < 2 * promptMs, `${gapAfterMs} ms`)
      const { error, tookMs } = await timed(store.read('key'))
      t.match(error, { name: 'StoreError', operation: 'read' })
      t.ok(tookMs < promptMs, `${tookMs} ms`)
      await t.rejects(store.watch(watcherOf()), { name: 'StoreError', operation: 'watch' })
      const resumed = watcher.next('resume')
      server.resume()
      await resumed
      t.same(watcher.heard, ['resume', 'gap', 'resume'])
      await until(() =>
        store.check().then(
          () => true,
          () => false,
        ),
      )
    },
  )

  t.test('a lost LISTEN connection: a gap at once, and notifications again after onResume', async (t) => {
    const { store } = await openStore(t, server)
    const watcher = watcherOf()
    await store.watch(watcher)
    const gap = watcher.next('gap')
    const resumed = watcher.next('resume')
    t.equal(await terminate(admin, 'LISTEN %'), 1)
    t.ok((await gap) < 500)
    await resumed
    await store.create('listened', 'value', 60_000)
    const change = watcher.next('change listened')
    await store.replace('listened', 1, 'changed', 60_000)
    await change
  })

  t.test(
    'a restart of the server: idle and listening connections end, no error escapes, nothing is lost',
    async (t) => {
      const { store } = await openStore(t, server)
      const watcher = watcherOf()
      await store.watch(watcher)
      await store.create('restarted', 'value', 60_000)
      const resumed = watcher.next('resume')
      await server.restart()
      await resumed
      await until(() =>
        store.check().then(
          () => true,
          () => false,
        ),
      )
      t.same(await store.read('restarted'), { value: 'value', version: 1 })
    },
  )

  t.test('close ends the LISTEN connection and leaves the pool to the app', async (t) => {
    const { store, pool } = await openStore(t, server)
    const listening = async () => {
      const { rows } =
        await admin.query(`SELECT count(*)::int AS n FROM pg_stat_activity WHERE application_name =
        'fastify-pkce' AND (query LIKE 'LISTEN %' OR query LIKE 'SELECT (extract%')`)
      return Number(rows[0].n)
    }
    const unwatch = await store.watch(watcherOf())
    t.equal(await listening(), 1)
    unwatch()
    await until(async () => (await listening()) === 0)
    await store.watch(watcherOf())
    t.equal(await listening(), 1, 'and a new watch opens it again')
    await store.close()
    await until(async () => (await listening()) === 0)
    t.same(await checkPostgres(pool), [])
  })

  t.test("now() is the server's clock, and follows when the answers do", async (t) => {
    const { store } = await openStore(t, server)
    await store.check()
    const { rows } = await admin.query('SELECT (extract(epoch FROM clock_timestamp()) * 1000)::float8 AS ms')
    t.ok(Math.abs(store.now() - rows[0].ms) < 50)
    t.ok(Number.isInteger(store.now()))
  })

  t.test('a standby is refused: reads there would be of the past (G-12)', async (t) => {
    const standby = await server.standby()
    t.teardown(() => standby.stop())
    const { store, pool } = await openStore(t, standby)
    await t.rejects(checkPostgres(pool), { name: 'StoreError', message: /read-only, a replica perhaps/ })
    await t.rejects(store.watch(watcherOf()), { name: 'StoreError', message: /connect to the primary/ })
  })
}
