/** How often each step of the walk asks the store, counted where the store is: on the wire. */
import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import t, { type Test } from 'tap'
import type { Store } from '../../plugin/index.ts'
import { createPostgresPool } from '../../plugin/stores/postgres/index.ts'
import { postgresStore } from '../../plugin/stores/postgres/store.ts'
import { type PluginApp, startPluginApp } from '../support/plugin-app.ts'
import { startRelay } from '../support/redis-server.ts'
import { type SharedStore, startSharedStore } from '../support/shared-store.ts'
import { until } from '../support/wait.ts'

/** A store, and how many round trips to its server a piece of work takes. */
interface CountedStore {
  readonly store: Store
  count(work: () => Promise<unknown>): Promise<number>
}

/** MONITOR shows every command that a client has sent; none of ours sends two at once on this walk. */
async function countedRedis(t: Test, shared: SharedStore): Promise<CountedStore> {
  const [{ port }] = shared.redis as [SharedStore['redis'][number]]
  const client = new Redis({ port, host: '127.0.0.1' })
  const monitor = await client.monitor()
  t.teardown(() => {
    monitor.disconnect()
    client.disconnect()
  })
  const commands: string[] = []
  monitor.on('monitor', (_time, args: string[], source: string) => {
    // What a script does is done at the server; the beat of the channel belongs to no request.
    if (source !== 'lua' && !args.some((arg) => arg.includes('beat:'))) commands.push(args.join(' '))
  })
  const settle = async () => {
    const marker = randomBytes(8).toString('hex')
    await client.echo(marker)
    await until(() => commands.some((command) => command.includes(marker)))
  }
  return {
    store: shared.open(t),
    async count(work) {
      await settle()
      commands.length = 0
      await work()
      await settle()
      return commands.length - 1
    },
  }
}

/** A relay that sees only the pool's connections: the LISTEN connection goes past it. */
async function countedPostgres(t: Test, { postgres }: SharedStore): Promise<CountedStore> {
  const relay = await startRelay(postgres.port)
  const url = new URL(postgres.url())
  url.port = String(relay.port)
  const pool = createPostgresPool(url.href)
  const store = postgresStore({ pool, listen: postgres.url(), janitor: false })
  t.teardown(async () => {
    await store.close()
    await pool.end()
    await relay.stop()
  })
  return {
    store,
    async count(work) {
      const before = relay.turns()
      await work()
      return relay.turns() - before
    },
  }
}

/**
 * Of a token exchange: the last three calls go at once (E-11). They are three commands to Redis; PostgreSQL has a
 * connection for each, and what comes together counts as one turn.
 */
const EXCHANGE = { redis: [6], postgres: [4, 5, 6] }

for (const kind of ['redis', 'postgres'] as const) {
  t.test(`round trips to ${kind} of each step (G-09)`, async (t) => {
    const shared = await startSharedStore(t, kind)
    if (typeof shared === 'string') return void t.pass(kind, { skip: shared })
    const counted = await (kind === 'redis' ? countedRedis : countedPostgres)(t, shared)
    const { store } = counted
    const secrets = [Buffer.alloc(32, 3).toString('base64url')]
    const app = await startPluginApp(t, { store, secrets, provider: { scope: 'openid' } })
    // The first time brings the scripts, or the connection.
    app.provider.claims = { sid: 'a session at the provider' }
    const { access_token } = await app.login()
    await app.refresh((await app.login()).refresh_token)
    await app.post('revoke', { client_id: 'app', token: access_token })
    await walk(t, app, { ...counted, turns: EXCHANGE[kind] })
  })
}

async function walk(
  t: Test,
  app: PluginApp,
  { count, turns }: CountedStore & { turns: readonly number[] },
): Promise<void> {
  let authorized!: Awaited<ReturnType<PluginApp['authorize']>>
  t.equal(await count(async () => (authorized = await app.authorize())), 1, 'authorize')
  let code = ''
  const callback = count(async () => {
    const { headers } = await app.callback(authorized)
    code = new URL(String(headers.location)).searchParams.get('code')!
  })
  t.equal(await callback, 2, 'callback')
  let answer!: Awaited<ReturnType<PluginApp['redeem']>>
  const exchange = await count(async () => (answer = await app.redeem(code)))
  t.ok(turns.includes(exchange), `token exchange: ${exchange}`)
  const { access_token, refresh_token } = answer.json()
  const forward = async () => t.equal((await app.call(access_token)).statusCode, 200)
  // Notice of the activation may still be on its way, and would empty the cache between the two.
  await sleep(200)
  t.equal(await count(forward), 1, 'forward, cold')
  t.equal(await count(forward), 0, 'forward, warm')
  const refresh = async () => t.equal((await app.refresh(refresh_token)).statusCode, 200)
  t.equal(await count(refresh), 2, 'refresh, the provider not asked')
  t.equal(await count(() => app.post('revoke', { client_id: 'app', token: access_token })), 3, 'revoke')
  t.equal(await count(async () => t.equal((await app.call(access_token)).statusCode, 401)), 1, 'refusal')
}
