import { inspect } from 'node:util'
import pg from 'pg'
import t from 'tap'
import {
  checkPostgres,
  createPostgresPool,
  migratePostgres,
  postgresDdl,
} from '../../../../plugin/stores/postgres/index.ts'
import { expiringTables, statements } from '../../../../plugin/stores/postgres/statements.ts'
import { postgresStore } from '../../../../plugin/stores/postgres/store.ts'
import type { PostgresServer } from '../../../support/postgres-server.ts'
import { openStore, timed, until, watcherOf, withPostgres } from '../../../support/postgres-store.ts'

await withPostgres(t, (server, admin) => {
  migrationTests(server, admin)
  startTests(server, admin)
  janitorTests(server, admin)
})

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
      [{ search: '?sslmode=verify-full&sslrootcert=/secret/ca.pem' }, /no such socket, certificate or key/],
      [{ search: '?sslmode=verify-full' }, /failed/],
    ]
    for (const [change, message] of bad) {
      const url = Object.assign(new URL(good), change)
      const { store, pool } = await openStore(t, server, { url: url.href })
      const { error } = await timed(store.watch(watcherOf()))
      t.match(error, { name: 'StoreError', statusCode: 503, message })
      const told = `${inspect(error, { depth: 9, showHidden: true })}${inspect(await timed(checkPostgres(pool, { timeoutMs: 500 })))}`
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
