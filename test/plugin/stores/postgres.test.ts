import { inspect } from 'node:util'
import pg from 'pg'
import t, { type Test } from 'tap'
import { storeContract } from '../../../plugin/stores/contract/index.ts'
import { expiringTables, statements } from '../../../plugin/stores/postgres/statements.ts'
import {
  checkPostgres,
  createPostgresPool,
  migratePostgres,
  type PostgresPoolOptions,
  type PostgresStoreOptions,
  postgresDdl,
  postgresStore,
} from '../../../plugin/stores/postgres/store.ts'
import type { Store, StoreWatcher } from '../../../plugin/stores/store.ts'
import { startFaultProxy } from '../../support/fault-proxy.ts'
import { type PgBouncer, startPgBouncer } from '../../support/pgbouncer.ts'
import { type PostgresServer, startPostgres } from '../../support/postgres-server.ts'

// Real time passes: the store has no clock but the server's.
t.setTimeout(300_000)

/** An outage is answered within a second; 200 callers at once on a busy machine may take longer. */
const patientMs = 10_000
/** A second, and as much again for a busy machine. */
const promptMs = 2000

const server = await startPostgres().catch((error: Error) => error)
if (server instanceof Error) {
  console.error(`SKIPPED, all tests of postgresStore: ${server.message}`)
  t.pass('postgresStore', { skip: server.message })
} else {
  const admin = new pg.Pool({ connectionString: server.url(), max: 5 })
  admin.on('error', () => {})
  t.teardown(async () => {
    await admin.end()
    await server.stop()
  })
  await migratePostgres(admin)
  contractTests(server)
  migrationTests(server, admin)
  startTests(server, admin)
  faultTests(server, admin)
  janitorTests(server, admin)
  poolerTests(server)
}

type Options = Partial<PostgresStoreOptions> & { url?: string; pool?: never } & PostgresPoolOptions

/** A store of its own pool. Both end with the test, or before. */
async function storeFor(
  server: PostgresServer,
  { url = server.url(), max, pooler, ...options }: Options = {},
) {
  const pool = await createPostgresPool(url, { max: max ?? 5, pooler: pooler ?? false })
  const store = postgresStore({ janitor: false, ...options, pool })
  let ended: Promise<void> | undefined
  const close = async () => {
    await store.close()
    ended ??= pool.end()
    await ended
  }
  return { store, pool, close }
}

async function openStore(t: Test, server: PostgresServer, options: Options = {}) {
  const { store, pool, close } = await storeFor(server, options)
  t.teardown(close)
  return { store, pool }
}

/** A watcher whose events can be awaited, with the time they took. */
function watcherOf(): StoreWatcher & { next(event: string): Promise<number>; heard: string[] } {
  const heard: string[] = []
  const waiting = new Map<string, () => void>()
  const hear = (event: string) => {
    heard.push(event)
    waiting.get(event)?.()
  }
  return {
    heard,
    onChange: (key) => hear(`change ${key}`),
    onGap: () => hear('gap'),
    onResume: () => hear('resume'),
    async next(event) {
      const startedAt = performance.now()
      await new Promise<void>((resolve) => waiting.set(event, resolve))
      return performance.now() - startedAt
    },
  }
}

async function timed(work: Promise<unknown>): Promise<{ error: Error | undefined; tookMs: number }> {
  const startedAt = performance.now()
  const error = await work.then(
    () => undefined,
    (thrown: Error) => thrown,
  )
  return { error, tookMs: performance.now() - startedAt }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  const deadline = performance.now() + 10_000
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error('it did not come to pass within 10 s')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Ends the backends whose last statement is like `pattern`, and says how many. */
async function terminate(admin: pg.Pool, pattern: string): Promise<number> {
  const { rowCount } = await admin.query(
    'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE $1 AND pid <> pg_backend_pid()',
    [pattern],
  )
  return rowCount ?? 0
}

function contractTests(server: PostgresServer): void {
  const contract = (timeoutMs: number) =>
    storeContract({
      async create() {
        const [own, other] = await Promise.all([
          storeFor(server, { timeoutMs }),
          storeFor(server, { timeoutMs }),
        ])
        return {
          store: own.store,
          other: other.store,
          advance: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
          break: async () => server.pause(),
          heal: async () => server.resume(),
          async close() {
            await Promise.all([own.close(), other.close()])
          },
        }
      },
    })
  const outages = contract(800).filter(({ title }) => title.includes('outage'))
  const others = contract(patientMs).filter(({ title }) => !title.includes('outage'))
  t.equal(outages.length, 1)
  for (const { title, run } of [...others, ...outages]) t.test(`postgresStore, ${title}`, run)
}

function migrationTests(server: PostgresServer, admin: pg.Pool): void {
  t.test('migrate: several instances at once make the tables once, and again is no error', async (t) => {
    const pools = await Promise.all(Array.from({ length: 6 }, () => createPostgresPool(server.url())))
    t.teardown(() => Promise.all(pools.map((pool) => pool.end())))
    await Promise.all(pools.map((pool) => migratePostgres(pool, { schema: 'at_once' })))

    const { store } = await openStore(t, server, { schema: 'at_once' })
    await store.create('key', 'kept', 60_000)
    await migratePostgres(admin, { schema: 'at_once' })
    t.equal((await store.read('key'))?.value, 'kept')
  })

  t.test('schemas are deployments of their own: records, notifications, everything (G-14)', async (t) => {
    await migratePostgres(admin, { schema: 'one' })
    await migratePostgres(admin, { schema: 'two' })
    const [one, two] = await Promise.all(
      ['one', 'two'].map(async (schema) => (await openStore(t, server, { schema })).store),
    )
    if (!one || !two) return
    const watcher = watcherOf()
    await two.watch(watcher)
    for (const store of [one, two]) t.equal(await store.create('key', 'value', 60_000), true)
    await one.replace('key', 1, 'changed', 60_000)
    const change = watcher.next('change key')
    t.equal((await two.read('key'))?.value, 'value')
    await two.replace('key', 1, 'changed', 60_000)
    await change
    t.same(watcher.heard, ['resume', 'change key'], 'only its own replace was heard')
  })

  t.test('tables are logged, and a schema name is a name: anything else is refused (G-12)', async (t) => {
    const { rows } = await admin.query(
      `SELECT DISTINCT relpersistence FROM pg_class WHERE relnamespace = 'pkce'::regnamespace`,
    )
    t.same(rows, [{ relpersistence: 'p' }])
    for (const schema of ['', 'Upper', 'a"b', "a'b", 'a;b', 'pg_catalog', '1st', 'x'.repeat(41)]) {
      t.throws(() => postgresDdl({ schema }), { name: 'RangeError' })
      t.throws(() => postgresStore({ pool: admin, schema }), { name: 'RangeError' })
    }
  })

  t.test(
    'a role with the grants that the DDL names is enough, and one without is told so at start',
    async (t) => {
      const [, ...grants] = [
        ...postgresDdl({ schema: 'granted' }).matchAll(/^-- {3}(GRANT .*;)$/gm),
      ].entries()
      t.equal(grants.length, 1)
      await migratePostgres(admin, { schema: 'granted' })
      await admin.query(`CREATE ROLE the_role LOGIN PASSWORD 'role-password'`)
      const url = server.url('the_role', 'role-password')
      const { store, pool } = await openStore(t, server, { url, schema: 'granted' })
      const lacks = { name: 'StoreError', message: /the role lacks a permission/ }
      await t.rejects(store.watch(watcherOf()), lacks)
      await t.rejects(migratePostgres(pool, { schema: 'not_allowed' }), lacks)

      const [usage = '', tables = ''] = [...postgresDdl({ schema: 'granted' }).matchAll(/GRANT .*;/g)].map(
        String,
      )
      await admin.query(usage)
      await t.rejects(store.watch(watcherOf()), lacks)
      await admin.query(tables)
      await store.watch(watcherOf())
      t.equal(await store.create('key', 'value', 60_000), true)
    },
  )
}

function startTests(server: PostgresServer, admin: pg.Pool): void {
  t.test('missing, older and newer tables are each refused at start, with what to do', async (t) => {
    const { store, pool } = await openStore(t, server, { schema: 'versions' })
    const refused = async (message: RegExp) => {
      await t.rejects(checkPostgres(pool, { schema: 'versions' }), { name: 'StoreError', message })
      await t.rejects(store.watch(watcherOf()), { name: 'StoreError', message })
    }
    await refused(/the tables are missing: run `pkce-gateway migrate`/)
    await t.rejects(store.read('key'), { message: /the tables are missing/ })
    await migratePostgres(admin, { schema: 'versions' })
    await admin.query('UPDATE versions.schema_version SET version = 0')
    await refused(/older version: run `pkce-gateway migrate`/)
    await admin.query('UPDATE versions.schema_version SET version = 2')
    await refused(/newer version of fastify-pkce: upgrade/)
    await t.rejects(migratePostgres(admin, { schema: 'versions' }), { message: /newer version/ })
  })

  t.test('a good server gives no warning; what makes it less safe gives one each (G-12)', async (t) => {
    const pool = await createPostgresPool(server.url())
    t.teardown(() => pool.end())
    t.same(await checkPostgres(pool), [])

    await admin.query(`CREATE ROLE careless SUPERUSER LOGIN PASSWORD 'p'`)
    await admin.query('ALTER ROLE careless SET synchronous_commit = off')
    const careless = new pg.Pool({ connectionString: server.url('careless', 'p') })
    t.teardown(() => careless.end())
    const warnings = await checkPostgres(careless)
    t.match(warnings, [/synchronous_commit is off/, /statement_timeout is 0/, /connectionTimeoutMillis/])
  })

  t.test('wrong password, database, host, port and URL: StoreErrors that leak nothing (G-16)', async (t) => {
    const good = new URL(server.url())
    const bad: [Partial<URL>, RegExp][] = [
      [{ password: 'wrong-secret' }, /user name or password is wrong/],
      [{ username: 'nobody-secret' }, /user name or password is wrong/],
      [{ pathname: '/absent-secret' }, /database does not exist/],
      [{ port: '1' }, /connection was refused/],
      [{ search: '?sslmode=verify-full&sslrootcert=/secret/ca.pem' }, /failed/],
      [{ search: '?sslmode=verify-full' }, /failed/],
    ]
    for (const [change, message] of bad) {
      const url = Object.assign(new URL(good), change)
      const { store, pool } = await openStore(t, server, { url: url.href })
      const { error } = await timed(store.watch(watcherOf()))
      t.match(error, { name: 'StoreError', statusCode: 503, message })
      const told = `${inspect(error, { depth: 9, showHidden: true })}${inspect(await timed(checkPostgres(pool)))}`
      t.notMatch(told, /secret|127\.0\.0\.1/)
      t.notMatch(told, good.password)
    }
    const url = 'http://user:secret@[nowhere'
    const { error } = await timed((async () => createPostgresPool(url))())
    t.match(error, { name: 'StoreError', message: /must read postgres:/ })
    t.notMatch(inspect(error, { depth: 9, showHidden: true }), /secret|nowhere/)
  })

  t.test('an error of the server tells no key, member or value (J-01)', async (t) => {
    const { store } = await openStore(t, server)
    const secret = 'secret-\0'
    for (const call of [
      () => store.create(secret, secret, 60_000),
      () => store.reserve(secret, 60_000),
      () => store.addToIndex([secret], secret, 60_000),
      () => store.create('key', 'secret', Number.NaN),
      () => store.replace('key', Number.NaN, 'secret', 60_000),
    ]) {
      const { error } = await timed(call())
      t.match(error, { name: 'StoreError' })
      t.notMatch(inspect(error, { depth: 9, showHidden: true }), /secret/)
    }
    t.equal(await store.reserve(`after ${Math.random()}`, 1000), true)
  })

  t.test('a read-only role is refused at start, and not ready (G-12)', async (t) => {
    await admin.query(`CREATE ROLE reader SUPERUSER LOGIN PASSWORD 'p'`)
    await admin.query('ALTER ROLE reader SET default_transaction_read_only = on')
    const { store, pool } = await openStore(t, server, { url: server.url('reader', 'p') })
    const readOnly = { name: 'StoreError', message: /read-only, a replica perhaps: connect to the primary/ }
    await t.rejects(checkPostgres(pool), readOnly)
    await t.rejects(store.watch(watcherOf()), readOnly)
    await t.rejects(store.check(), readOnly)
    await t.rejects(store.create('key', 'value', 1000), readOnly)
  })
}

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

  t.test(
    'the first watch waits for a LISTEN connection that is slow to come, and not for ever',
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
      t.ok(tookMs > 2000 && tookMs < 2 * promptMs, `${tookMs} ms`)

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

function janitorTests(server: PostgresServer, admin: pg.Pool): void {
  async function fill(schema: string, rows: number, life: string) {
    await migratePostgres(admin, { schema })
    const series = `generate_series(1, ${rows}) AS n`
    const expiry = `now() + interval '${life}'`
    await admin.query(
      `INSERT INTO ${schema}.records SELECT '${life} ' || n, 'value', 1, ${expiry} FROM ${series}`,
    )
    await admin.query(`INSERT INTO ${schema}.reservations SELECT '${life} ' || n, ${expiry} FROM ${series}`)
    await admin.query(`INSERT INTO ${schema}.index_members SELECT '${life}', n, ${expiry} FROM ${series}`)
  }
  async function count(schema: string): Promise<number[]> {
    const counts = expiringTables.map((table) => admin.query(`SELECT count(*) FROM ${schema}.${table}`))
    return (await Promise.all(counts)).map(({ rows }) => Number(rows[0].count))
  }

  t.test('the janitor deletes what has expired and nothing else, and ends with the store', async (t) => {
    await fill('swept', 250, '-1 second')
    await fill('swept', 10, '1 hour')
    await openStore(t, server, { schema: 'swept', janitor: { intervalMs: 20, batchRows: 100 } })
    await until(async () => (await count('swept')).every((n) => n === 10))
  })

  t.test('a sweep deletes one batch, and none while another instance sweeps', async (t) => {
    await fill('batches', 250, '-1 second')
    const [sweep] = statements('batches').sweeps
    const [one, other] = await Promise.all([admin.connect(), admin.connect()])
    t.teardown(() => [one.release(), other.release()])
    if (sweep === undefined) return
    await one.query('BEGIN')
    t.equal((await one.query(sweep.text, [100])).rowCount, 100)
    t.equal((await other.query(sweep.text, [100])).rowCount, 0)
    await one.query('COMMIT')
    t.equal((await other.query(sweep.text, [100])).rowCount, 100)
    t.equal((await other.query(sweep.text, [100])).rowCount, 50)
  })

  t.test('what has expired is absent while no janitor runs (G-06)', async (t) => {
    await fill('frozen', 1, '-1 millisecond')
    const { store } = await openStore(t, server, { schema: 'frozen' })
    const key = '-1 millisecond 1'
    t.equal(await store.read(key), null)
    t.equal(await store.replace(key, 1, 'value', 1000), false)
    t.same(await store.readIndex('-1 millisecond'), [])
    t.same(await count('frozen'), [1, 1, 1])
    t.equal(await store.create(key, 'new', 60_000), true)
    t.equal(await store.reserve(key, 60_000), true)
  })
}

function poolerTests(server: PostgresServer): void {
  t.test('behind PgBouncer in transaction mode', async (t) => {
    const pooler = await startPgBouncer(server).catch((error: Error) => error)
    if (pooler instanceof Error) {
      console.error(`SKIPPED, postgresStore behind PgBouncer: ${pooler.message}`)
      t.pass('PgBouncer', { skip: pooler.message })
      return
    }
    t.teardown(() => pooler.stop())
    await contractBehind(t, server, pooler)

    t.test('a pool that sends it time limits is refused, and the message says what to do', async (t) => {
      const { pool } = await openStore(t, server, { url: pooler.url })
      await t.rejects(checkPostgres(pool), { name: 'StoreError', message: /PgBouncer needs `pooler: true`/ })
    })

    t.test('LISTEN through it is found out at start, and the message says what to do', async (t) => {
      const { store } = await openStore(t, server, { url: pooler.url, pooler: true })
      const { error, tookMs } = await timed(store.watch(watcherOf()))
      t.match(error, {
        name: 'StoreError',
        message: /PgBouncer\), `listen` must be the URL of the server itself/,
      })
      t.ok(tookMs < 2 * promptMs, `${tookMs} ms`)
    })
  })
}

async function contractBehind(t: Test, server: PostgresServer, pooler: PgBouncer): Promise<void> {
  const behind = () =>
    storeFor(server, { url: pooler.url, pooler: true, listen: server.url(), timeoutMs: patientMs })
  const contract = storeContract({
    async create() {
      const [own, other] = await Promise.all([behind(), behind()])
      return {
        store: own.store,
        other: other.store,
        advance: (ms) => new Promise((resolve) => setTimeout(resolve, ms)),
        async close() {
          await Promise.all([own.close(), other.close()])
        },
      }
    },
  })
  for (const { title, run } of contract) t.test(title, run)
}
