/**
 * A managed failover: one name, a primary that becomes read-only and keeps its connections. Each of them failed once,
 * reads went on of the past, and the LISTEN connection heard nothing and said nothing.
 */
import { once } from 'node:events'
import { createServer } from 'node:net'
import pg from 'pg'
import t from 'tap'
import { checkPostgres } from '../../../../plugin/stores/postgres/index.ts'
import { startFaultProxy } from '../../../support/fault-proxy.ts'
import type { PostgresServer } from '../../../support/postgres-server.ts'
import { openStore, timed, until, watcherOf, withPostgres } from '../../../support/postgres-store.ts'

await withPostgres(t, (server, admin) => {
  movedTests(server, admin)
})

/** The URL of a name. */
function urlAt(server: PostgresServer, port: number): string {
  const url = new URL(server.url())
  url.port = String(port)
  return url.href
}

function movedTests(server: PostgresServer, admin: pg.Pool): void {
  t.test('a primary behind a name that becomes read-only is left by every connection (Q-08)', async (t) => {
    const name = await startFaultProxy(server.port)
    t.teardown(() => name.stop())
    const next = await server.standby()
    t.teardown(() => next.stop())
    const promoting = new pg.Client({ connectionString: next.url() })
    await promoting.connect()
    t.teardown(() => promoting.end())

    const url = urlAt(server, name.port)
    const [{ store: here }, { store: there }] = [
      await openStore(t, server, { url }),
      await openStore(t, server, { url, max: 4 }),
    ]
    const watcher = watcherOf()
    await there.watch(watcher)
    // All connections of the pool.
    await Promise.all(Array.from({ length: 8 }, () => there.read('kept')))
    await promoting.query('SELECT pg_promote()')
    await here.create('kept', 'on the old one', 60_000)

    const [gap, resumed] = [watcher.next('gap'), watcher.next('resume')]
    name.moveTo(next.port)
    await admin.query('ALTER SYSTEM SET default_transaction_read_only = on')
    await admin.query('SELECT pg_reload_conf()')
    t.teardown(async () => {
      await admin.query('ALTER SYSTEM RESET default_transaction_read_only')
      await admin.query('SELECT pg_reload_conf()')
    })
    await until(async () => (await timed(here.check())).error !== undefined)
    await until(async () => (await timed(here.check())).error === undefined)
    t.equal(await here.create('kept', 'on the new one', 60_000), true, 'one refusal was enough')
    t.ok((await gap) < 3000, 'the LISTEN connection asks what its server is')
    await resumed
    const change = watcher.next('change kept')
    t.equal(await here.replace('kept', 1, 'changed', 60_000), true)
    await change
    const read = await Promise.all(Array.from({ length: 8 }, () => there.read('kept')))
    t.same(
      read.map((record) => record?.value),
      Array(8).fill('changed'),
      'an instance that only reads has followed with all of its connections',
    )
  })

  t.test('a start waits five seconds for a server that comes, and no longer (Q-08)', async (t) => {
    const name = await startFaultProxy(server.port)
    t.teardown(() => name.stop())
    const { pool, store } = await openStore(t, server, { url: urlAt(server, name.port) })
    name.cut()
    setTimeout(name.heal, 1500)
    t.same(await checkPostgres(pool), [])
    name.cut()
    setTimeout(name.heal, 1500)
    await store.watch(watcherOf())

    name.blackHole()
    setTimeout(name.heal, 2500)
    const slow = await openStore(t, server, { url: urlAt(server, name.port) })
    t.same(await checkPostgres(slow.pool), [], 'nor does it give up after the second that a connection has')

    const refusing = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1')
    await once(refusing, 'listening')
    t.teardown(() => refusing.close())
    const address = refusing.address()
    const port = typeof address === 'object' ? address!.port : 0
    const nowhere = await openStore(t, server, { url: urlAt(server, port) })
    for (const start of [checkPostgres(nowhere.pool), nowhere.store.watch(watcherOf())]) {
      const { error, tookMs } = await timed(start)
      t.match(error, { name: 'StoreError' })
      t.ok(tookMs < 7000, `${Math.round(tookMs)} ms`)
    }
  })
}
