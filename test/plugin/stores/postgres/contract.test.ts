import t, { type Test } from 'tap'
import { storeContract } from '../../../../plugin/stores/contract/index.ts'
import { checkPostgres } from '../../../../plugin/stores/postgres/index.ts'
import { type PgBouncer, startPgBouncer } from '../../../support/pgbouncer.ts'
import type { PostgresServer } from '../../../support/postgres-server.ts'
import {
  openStore,
  patientMs,
  promptMs,
  storeFor,
  timed,
  watcherOf,
  withPostgres,
} from '../../../support/postgres-store.ts'

await withPostgres(t, (server) => {
  contractTests(server)
  poolerTests(server)
})

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
