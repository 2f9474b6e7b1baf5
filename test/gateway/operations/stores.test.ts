import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import pg from 'pg'
import t, { type Test } from 'tap'
import { runCommand } from '../../../gateway/command/command.ts'
import type { GatewayInput } from '../../../gateway/config/schemas/gateway.ts'
import { freePort, type PostgresServer, startPostgres } from '../../support/postgres-server.ts'
import { noRedis, startRedis } from '../../support/redis-server.ts'

// The command loads it when it is needed, which takes the loader of a test seconds: not in what is timed here.
await import('../../../gateway/start.ts')

const PASSWORD = 'hunter2-hunter2'
const FAILED_START = 1
const INVALID_CONFIGURATION = 78

type Settings = NonNullable<GatewayInput['store']>

interface Outcome {
  /** `started` if it runs: then it has been stopped again. */
  readonly status: number | 'started'
  readonly stdout: string
  readonly stderr: string
  /** What was logged as a warning. */
  readonly warnings: string[]
}

function configFile(t: Test, store: Settings): string {
  const path = join(t.testdir({}), 'gateway.yaml')
  const config: GatewayInput = {
    publicUrl: 'http://127.0.0.1:3000',
    listen: { port: 0 },
    admin: { port: 0 },
    provider: { issuer: 'http://127.0.0.1:1', clientId: 'gateway', clientSecret: 'gateway-secret' },
    clients: [
      { clientId: 'com.example.app', redirectUris: ['com.example.app:/callback'], interaction: 'none' },
    ],
    secrets: [randomBytes(32).toString('base64url')],
    store,
  }
  // JSON is YAML.
  writeFileSync(path, JSON.stringify(config))
  return path
}

/** Runs the command with this store, and checks that nothing it says holds the password. */
async function run(t: Test, store: Settings, ...args: string[]): Promise<Outcome> {
  const said = { stdout: '', stderr: '' }
  const stream = (name: keyof typeof said) => ({
    write(text: string) {
      said[name] += text
    },
  })
  const outcome = await runCommand(
    [...args, '--config', configFile(t, store)],
    {},
    {
      stdout: stream('stdout'),
      stderr: stream('stderr'),
    },
  )
  if (typeof outcome !== 'number') await outcome.stop()
  t.notMatch(said.stdout + said.stderr, new RegExp(PASSWORD), 'the password is not shown (G-16)')
  const lines = said.stdout.split('\n').filter((line) => line.startsWith('{"level":40'))
  return {
    status: typeof outcome === 'number' ? outcome : 'started',
    ...said,
    warnings: lines.map((line) => String(JSON.parse(line).msg)),
  }
}

/** A start that fails, with one line that says why. */
async function refused(t: Test, store: Settings, why: RegExp): Promise<void> {
  const startedAt = performance.now()
  const { status, stdout, stderr } = await run(t, store)
  t.equal(status, FAILED_START)
  t.match(stderr, why)
  t.equal(stderr.trimEnd().split('\n').length, 1, 'one line, no stack trace')
  t.notMatch(stdout, /gateway ready/)
  t.ok(performance.now() - startedAt < 8000, 'soon')
}

t.test('Redis that cannot be used stops the start, and says why (G-09, G-16)', async (t) => {
  const redis = (host: string): Settings => ({ type: 'redis', url: `redis://:${PASSWORD}@${host}` })

  t.test('a port where nobody listens', async (t) =>
    refused(
      t,
      redis(`127.0.0.1:${await freePort()}`),
      /^pkce-gateway: store\.url: redis store: .*refused \(ECONNREFUSED\)/,
    ),
  )

  t.test('a host that nobody knows', (t) =>
    refused(
      t,
      redis('redis.invalid'),
      /^pkce-gateway: store\.url: redis store: .*host name .*(ENOTFOUND|EAI_AGAIN)/,
    ),
  )

  t.test('a URL of another form, with its line and column', async (t) => {
    const { status, stderr } = await run(t, { type: 'redis', url: `http://:${PASSWORD}@127.0.0.1` })
    t.equal(status, INVALID_CONFIGURATION)
    t.match(stderr, /gateway\.yaml:\d+:\d+ store\.url: the Redis URL must be redis:\/\//)
  })

  t.test('a server that does not speak', async (t) => {
    const silent = createServer(() => {}).listen(0, '127.0.0.1')
    await once(silent, 'listening')
    t.teardown(() => silent.close())
    const { port } = silent.address() as AddressInfo
    await refused(
      t,
      redis(`127.0.0.1:${port}`),
      /^pkce-gateway: store\.url: redis store: start: no answer in time/,
    )
  })

  t.test('a server older than 6.2', async (t) => {
    const port = await oldRedis(t)
    const url = `redis://127.0.0.1:${port}`
    await refused(t, { type: 'redis', url }, /the server is Redis 6\.0\.16; 6\.2 or newer is needed/)
  })

  t.test('on real servers', { skip: noRedis }, async (t) => {
    const server = await startRedis(['--requirepass', PASSWORD, '--appendonly', 'yes'])
    t.teardown(() => server.stop())
    const at = `127.0.0.1:${server.port}`

    t.test('without the password', (t) =>
      refused(t, { type: 'redis', url: `redis://${at}` }, /the server requires a password \(NOAUTH\)/),
    )
    t.test('with a wrong one', (t) =>
      refused(
        t,
        { type: 'redis', url: `redis://:${PASSWORD}-wrong@${at}` },
        /the user name or password is wrong \(WRONGPASS\)/,
      ),
    )
    t.test('with the right one it starts, and has nothing to warn of', async (t) => {
      const { status, warnings } = await run(t, redis(at))
      t.equal(status, 'started')
      t.same(
        warnings.filter((warning) => /redis/i.test(warning)),
        [],
      )
    })
    t.test('maxmemory-policy other than noeviction: it starts, with a warning', async (t) => {
      const admin = new Redis(server.port, '127.0.0.1', { password: PASSWORD })
      t.teardown(() => admin.disconnect())
      await admin.config('SET', 'maxmemory-policy', 'allkeys-lru')
      const { status, warnings } = await run(t, redis(at))
      t.equal(status, 'started')
      t.match(
        warnings.filter((warning) => /redis/i.test(warning)),
        [/maxmemory-policy is not noeviction/],
      )
    })
    t.test('a read replica', async (t) => {
      const replica = await startRedis(['--replicaof', '127.0.0.1', String(server.port)])
      t.teardown(() => replica.stop())
      const url = `redis://127.0.0.1:${replica.port}`
      await refused(t, { type: 'redis', url }, /the server is a read replica; connect to its master/)
    })
    t.test('the process ends with the same status, and ioredis adds nothing to it', async (t) => {
      const url = `redis://:${PASSWORD}-wrong@${at}`
      const child = spawn(
        process.execPath,
        [
          '--import=ts-blank-space/register',
          'gateway/main.ts',
          '--config',
          configFile(t, { type: 'redis', url }),
        ],
        { stdio: ['ignore', 'pipe', 'pipe'] },
      )
      let said = ''
      for (const output of [child.stdout, child.stderr]) output.on('data', (data) => (said += data))
      const [status] = await once(child, 'close')
      t.equal(status, FAILED_START)
      t.match(said, /^pkce-gateway: store\.url: redis store: [^\n]*WRONGPASS[^\n]*\n$/)
      t.notMatch(said, new RegExp(PASSWORD))
    })
  })
})

/** Answers what a client asks at first, as a Redis of before 2021 does. */
async function oldRedis(t: Test): Promise<number> {
  const info = 'redis_version:6.0.16\r\nrole:master\r\n'
  const server = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (data) => {
      for (const command of data.toString().match(/\$\d+\r\n(hello|info|client)\r\n/gi) ?? []) {
        if (/info/i.test(command)) socket.write(`$${info.length}\r\n${info}\r\n`)
        else if (/hello/i.test(command)) socket.write('-ERR unknown command `HELLO`\r\n')
        else socket.write('-ERR unknown subcommand\r\n')
      }
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  return (server.address() as AddressInfo).port
}

t.test('PostgreSQL that cannot be used stops the start, and says why (G-12, G-16)', async (t) => {
  let server: PostgresServer
  try {
    server = await startPostgres()
  } catch (error) {
    t.skip(`SKIPPED: ${(error as Error).message}`, () => {})
    return
  }
  t.teardown(() => server.stop())
  const good: Settings = { type: 'postgres', url: server.url() }
  const admin = new pg.Pool({ connectionString: server.url(), max: 1 })
  // A restart, for the standby, ends its connection.
  admin.on('error', () => {})
  t.teardown(() => admin.end())

  await t.test('a port where nobody listens', async (t) => {
    const url = `postgres://postgres:${PASSWORD}@127.0.0.1:${await freePort()}/postgres`
    await refused(
      t,
      { type: 'postgres', url },
      /^pkce-gateway: store\.url: postgres store: .*refused \(ECONNREFUSED\)/,
    )
  })
  await t.test('a wrong password', (t) =>
    refused(
      t,
      { type: 'postgres', url: server.url('postgres', PASSWORD) },
      /the user name or password is wrong \(28P01\)/,
    ),
  )
  await t.test('a database that does not exist', (t) =>
    refused(
      t,
      { type: 'postgres', url: server.url().replace(/postgres$/, 'elsewhere') },
      /the database does not exist \(3D000\)/,
    ),
  )
  await t.test('another kind of URL, with its line and column', async (t) => {
    const { status, stderr } = await run(t, {
      type: 'postgres',
      url: `mysql://root:${PASSWORD}@127.0.0.1/db`,
    })
    t.equal(status, INVALID_CONFIGURATION)
    t.match(stderr, /gateway\.yaml:\d+:\d+ store\.url: .*must read postgres:\/\//)
  })
  await t.test('missing tables', (t) =>
    refused(t, good, /the tables are missing: run `pkce-gateway migrate`/),
  )

  await t.test('migrate: on several instances at once, and again', async (t) => {
    const outcomes = await Promise.all([
      run(t, good, 'migrate'),
      run(t, good, 'migrate'),
      run(t, good, 'migrate'),
    ])
    outcomes.push(await run(t, good, 'migrate'))
    for (const { status, stdout, stderr } of outcomes) {
      t.same({ status, stdout, stderr }, { status: 0, stdout: 'ok\n', stderr: '' })
    }
    t.equal((await run(t, good)).status, 'started')
  })
  await t.test('migrate --sql prints what migrate does, and asks nobody', async (t) => {
    const nobody: Settings = { type: 'postgres', url: `postgres://postgres:${PASSWORD}@127.0.0.1:1/postgres` }
    const { status, stdout } = await run(t, nobody, 'migrate', '--sql')
    t.equal(status, 0)
    const client = await admin.connect()
    try {
      await client.query('DROP SCHEMA pkce CASCADE')
      await client.query(stdout)
    } finally {
      client.release()
    }
    t.equal((await run(t, good)).status, 'started', 'run by hand, it makes the tables')
  })
  await t.test('migrate on a store without tables says so', async (t) => {
    const { status, stderr } = await run(t, { type: 'memory' }, 'migrate')
    t.equal(status, FAILED_START)
    t.match(stderr, /^pkce-gateway: migrate: the memory store has no tables\n$/)
  })
  await t.test('migrate with a wrong password', async (t) => {
    const wrong: Settings = { type: 'postgres', url: server.url('postgres', PASSWORD) }
    const { status, stderr } = await run(t, wrong, 'migrate')
    t.equal(status, FAILED_START)
    t.match(stderr, /^pkce-gateway: postgres store: migrate: the user name or password is wrong \(28P01\)/)
  })

  await t.test('a read replica', async (t) => {
    const standby = await server.standby()
    t.teardown(() => standby.stop())
    await refused(t, { type: 'postgres', url: standby.url() }, /the server is read-only, a replica perhaps/)
  })
  await t.test('tables of an older version', async (t) => {
    await admin.query('UPDATE pkce.schema_version SET version = 0')
    await refused(t, good, /the tables are of an older version: run `pkce-gateway migrate`/)
  })
  await t.test('tables of a newer version, which migrate does not touch', async (t) => {
    await admin.query('UPDATE pkce.schema_version SET version = 999')
    await refused(t, good, /the tables are of a newer version of fastify-pkce: upgrade this instance/)
    const { status, stderr } = await run(t, good, 'migrate')
    t.equal(status, FAILED_START)
    t.match(stderr, /the tables are of a newer version of fastify-pkce/)
  })
})
