/** What `check` finds that a look at the server alone does not, and rotated passwords. */
import { join } from 'node:path'
import type pg from 'pg'
import t from 'tap'
import { createPostgresPool, postgresDdl } from '../../../../plugin/stores/postgres/index.ts'
import { postgresUrlWithTls } from '../../../../plugin/stores/postgres/pool.ts'
import { expiringTables } from '../../../../plugin/stores/postgres/statements.ts'
import { postgresStore } from '../../../../plugin/stores/postgres/store.ts'
import { selfSigned } from '../../../support/certificate.ts'
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

await withPostgres(t, (server, admin) => {
  checkTests(server, admin)
  rotationTests(server, admin)
})

function checkTests(server: PostgresServer, admin: pg.Pool): void {
  for (const table of expiringTables) {
    t.test(`a lock on ${table} that keeps writers out is not ready; reads go on (Q-06)`, async (t) => {
      const { store } = await openStore(t, server)
      await store.check()
      const holder = await admin.connect()
      t.teardown(() => holder.release())
      await holder.query(`BEGIN; LOCK TABLE pkce.${table} IN SHARE MODE`)
      const { error, tookMs } = await timed(store.check())
      t.match(error, { name: 'StoreError', operation: 'check', message: /no answer within 800 ms/ })
      t.ok(tookMs < promptMs)
      t.equal(await store.read('absent'), null)
      await holder.query('ROLLBACK')
      await until(async () => (await timed(store.check())).error === undefined)
    })
  }

  t.test(
    'a permission that is missing is told by name, also one taken away later (Q-06, Q-08)',
    async (t) => {
      await admin.query(`CREATE ROLE limited LOGIN PASSWORD 'p'`)
      const grants = [...postgresDdl().matchAll(/GRANT .*;/g)]
        .map(String)
        .map((grant) => grant.replace('the_role', 'limited'))
      const { store } = await openStore(t, server, { url: server.url('limited', 'p') })
      await t.rejects(store.check(), { message: /the role lacks a permission .*: schema pkce \(42501\)/ })
      for (const grant of grants) await admin.query(grant)
      await store.watch(watcherOf())
      await admin.query('REVOKE DELETE ON pkce.records FROM limited')
      await admin.query('REVOKE INSERT ON pkce.index_members FROM limited')
      await t.rejects(store.check(), {
        message: /the role lacks a permission: DELETE on records, INSERT on index_members$/,
      })
      await t.rejects(store.watch(watcherOf()), { message: /the role lacks a permission: DELETE on records/ })
      await admin.query('REVOKE SELECT ON pkce.records FROM limited')
      await t.rejects(store.read('key'), { message: /: table records \(42501\)/ })
    },
  )

  t.test('a server that takes no writes is not ready, and can be read (Q-06)', async (t) => {
    await admin.query(`CREATE ROLE reader SUPERUSER LOGIN PASSWORD 'p'`)
    await admin.query('ALTER ROLE reader SET default_transaction_read_only = on')
    const { store } = await openStore(t, server, { url: server.url('reader', 'p') })
    await t.rejects(store.check(), { message: /the server is read-only, a replica perhaps/ })
    t.equal(await store.read('absent'), null)
  })
}

function rotationTests(server: PostgresServer, admin: pg.Pool): void {
  t.test('a rotated password is read again when the old one is refused (F-06)', async (t) => {
    await admin.query(`CREATE ROLE rotated SUPERUSER LOGIN PASSWORD 'first'`)
    let url = server.url('rotated', 'first')
    let reads = 0
    const pool = createPostgresPool(url, {
      max: 3,
      readUrl: async () => {
        reads += 1
        return url
      },
    })
    const store = postgresStore({ pool, janitor: false })
    t.teardown(async () => {
      await store.close()
      await pool.end()
    })
    const watcher = watcherOf()
    await store.watch(watcher)
    t.equal(reads, 0, 'it is not read while it is accepted')

    const endAll = () =>
      admin.query(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'rotated'`)
    await admin.query(`ALTER ROLE rotated PASSWORD 'second'`)
    const gap = watcher.next('gap')
    await endAll()
    await gap
    await until(async () =>
      /user name or password is wrong/.test((await timed(store.read('key'))).error?.message ?? ''),
    )
    url = 'nonsense'
    await t.rejects(
      store.read('key'),
      { message: /user name or password is wrong/ },
      'what is no URL is not taken',
    )
    const resumed = watcher.next('resume')
    url = server.url('rotated', 'second')
    await Promise.all(Array.from({ length: 6 }, () => store.read('key')))
    await resumed

    // The LISTEN connection alone is lost, while those of the pool stand.
    await admin.query(`ALTER ROLE rotated PASSWORD 'third'`)
    url = server.url('rotated', 'third')
    const again = watcher.next('resume')
    await terminate(admin, 'LISTEN %')
    await again
    await store.check()
  })

  t.test('a LISTEN connection of its own URL asks for it each time (F-06)', async (t) => {
    let asked = 0
    const listen = async () => {
      asked += 1
      return server.url()
    }
    const { store } = await openStore(t, server, { listen })
    const watcher = watcherOf()
    await store.watch(watcher)
    const resumed = watcher.next('resume')
    await terminate(admin, 'LISTEN %')
    await resumed
    t.equal(asked, 2)
  })

  t.test("an authority of one's own, and a client certificate, are files of the URL (Q-07)", async (t) => {
    const { cert } = selfSigned('postgres')
    const folder = t.testdir({ 'ca.pem': cert })
    const caFile = join(folder, 'ca.pem')
    t.equal(postgresUrlWithTls('postgres://u@h/db'), 'postgres://u@h/db')
    const full = { caFile: '/ca', clientCertFile: '/cert', clientKeyFile: '/key' }
    t.same(Object.fromEntries(new URL(postgresUrlWithTls('postgres://u@h/db', full)).searchParams), {
      sslmode: 'verify-full',
      sslrootcert: '/ca',
      sslcert: '/cert',
      sslkey: '/key',
    })
    t.match(postgresUrlWithTls('postgres://u@h/db?sslmode=no-verify', full), /sslmode=no-verify&sslrootcert/)
    const pool = createPostgresPool(server.url(), { tls: { caFile } })
    t.teardown(() => pool.end())
    const store = postgresStore({ pool, janitor: false })
    t.teardown(() => store.close())
    await t.rejects(store.check(), { name: 'StoreError' }, 'a server without TLS is not spoken to')
  })
}
