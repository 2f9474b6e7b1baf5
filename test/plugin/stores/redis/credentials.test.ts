/** A password that is rotated, trust of one's own, and Sentinels that want a password, too. */
import { join } from 'node:path'
import { Redis } from 'ioredis'
import t from 'tap'
import { createRedisClient } from '../../../../plugin/stores/redis/client.ts'
import { checkRedis } from '../../../../plugin/stores/redis/index.ts'
import { selfSigned } from '../../../support/certificate.ts'
import { noRedis, startCluster, startSentinel } from '../../../support/redis-server.ts'
import { eventually, longMs, notes, open, serverFor } from '../../../support/redis-store.ts'

/** Changes the password of the default user, and ends the connections that had the old one. */
async function rotate(ports: readonly number[], from: string | undefined, to: string): Promise<void> {
  for (const port of ports) {
    const admin = new Redis({ port, host: '127.0.0.1', ...(from !== undefined && { password: from }) })
    await admin.config('SET', 'requirepass', to)
    await admin.call('CLIENT', 'KILL', 'TYPE', 'pubsub')
    await admin.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
    admin.disconnect()
  }
}

t.test('the credentials of the Redis store', { skip: noRedis }, async (t) => {
  t.jobs = 4

  for (const [order, fileFirst] of [
    ['the server first', false],
    ['the file first', true],
  ] as const) {
    t.test(
      `a rotated password is read again when the old one is refused: ${order} (F-06)`,
      { buffered: true },
      async (t) => {
        const server = await serverFor(t, ['--requirepass', 'first'])
        const urlWith = (password: string) => `redis://:${password}@127.0.0.1:${server.port}`
        let url = urlWith('first')
        let reads = 0
        const client = createRedisClient({
          url,
          readUrl: async () => {
            reads += 1
            return url
          },
        })
        const store = open(t, client)
        const { watcher, until } = notes()
        await store.watch(watcher)
        await store.create('key', 'v', longMs)
        t.equal(reads, 0, 'it is not read while it is accepted')

        if (fileFirst) url = urlWith('second')
        await rotate([server.port], 'first', 'second')
        await until('gap')
        if (!fileFirst) {
          await t.rejects(
            eventually(() => store.read('key'), 500),
            { name: 'StoreError' },
          )
          url = urlWith('second')
        }
        t.same(await eventually(() => store.read('key'), 3000), { value: 'v', version: 1 })
        await until('resume', 2)
        t.ok(await store.replace('key', 1, 'w', longMs))
        await until('change key')
      },
    )
  }

  t.test(
    'what cannot be used of what is read is not: the old URL stays (F-06)',
    { buffered: true },
    async (t) => {
      const server = await serverFor(t, ['--requirepass', 'first'])
      let url: () => string = () => 'redis+cluster://:second@127.0.0.1:1'
      const client = createRedisClient({
        url: `redis://:first@127.0.0.1:${server.port}`,
        readUrl: async () => url(),
      })
      const store = open(t, client)
      await store.check()
      await rotate([server.port], 'first', 'second')
      const refused = () =>
        t.rejects(
          eventually(() => store.check(), 300),
          { name: 'StoreError' },
        )
      await refused()
      url = () => 'nonsense'
      await refused()
      url = () => {
        throw new Error('no such file')
      }
      await refused()
      await rotate([server.port], 'second', 'first')
      await eventually(() => store.check(), 3000)
    },
  )

  t.test('on a Cluster, too (F-06)', { buffered: true }, async (t) => {
    const cluster = await startCluster()
    t.teardown(() => cluster.stop())
    const ports = cluster.servers.map(({ port }) => port)
    const urlWith = (password: string) =>
      `redis+cluster://:${password}@${ports.map((port) => `127.0.0.1:${port}`).join(',')}`
    await rotate(ports, undefined, 'first')
    const store = open(
      t,
      createRedisClient({ url: urlWith('first'), readUrl: async () => urlWith('second') }),
    )
    const { watcher, until } = notes()
    await store.watch(watcher)
    await store.create('key', 'v', longMs)
    await rotate(ports, 'first', 'second')
    t.same(await eventually(() => store.read('key')), { value: 'v', version: 1 })
    await until('resume', 2, 20_000)
  })

  t.test(
    "a certificate of an authority of one's own, and a client certificate (Q-07)",
    { buffered: true },
    async (t) => {
      const [server, app, other] = [selfSigned('localhost'), selfSigned('app'), selfSigned('localhost')]
      const folder = t.testdir({ 'server.pem': server.cert, 'server.key': server.key, 'app.pem': app.cert })
      const tls = (...more: string[]) => [
        '--tls-cert-file',
        join(folder, 'server.pem'),
        '--tls-key-file',
        join(folder, 'server.key'),
        '--tls-ca-cert-file',
        join(folder, 'app.pem'),
        ...more,
      ]
      const { port } = await serverFor(t, [...tls('--tls-auth-clients', 'yes'), '--tls-port', '0'])
      const plain = new Redis(port, '127.0.0.1')
      t.teardown(() => plain.disconnect())
      const tlsPort = port + 1
      await plain.config('SET', 'tls-port', String(tlsPort))
      const url = `rediss://127.0.0.1:${tlsPort}`
      const connect = (settings: { ca?: string; cert?: string; key?: string }) => {
        const client = createRedisClient({ url, ...settings })
        t.teardown(() => client.disconnect())
        return client
      }
      const good = connect({ ca: server.cert, ...app })
      await checkRedis(good)
      const { watcher, until } = notes()
      await open(t, good).watch(watcher)
      await until('resume')
      const untrusted = { name: 'StoreError', message: /its certificate is not trusted/ }
      await t.rejects(checkRedis(connect(app)), untrusted, 'nobody vouches for it')
      await t.rejects(checkRedis(connect({ ca: other.cert, ...app })), untrusted, 'the wrong one does')
      await t.rejects(
        checkRedis(connect({ ca: server.cert }), 1000),
        { name: 'StoreError' },
        'without a client certificate',
      )
    },
  )

  t.test("the Sentinels' own user and password (Q-07)", { buffered: true }, async (t) => {
    const master = await serverFor(t, ['--requirepass', 'of-redis'])
    const sentinel = await startSentinel(master.port, [
      'sentinel auth-pass main of-redis',
      'user default off',
      'user watcher on >of-sentinel allchannels +@all',
    ])
    t.teardown(() => sentinel.stop())
    const url = `redis+sentinel://:of-redis@127.0.0.1:${sentinel.port}/main`
    const connect = (settings: { sentinelUsername?: string; sentinelPassword?: string }) => {
      const client = createRedisClient({ url, ...settings })
      t.teardown(() => client.disconnect())
      return client
    }
    await checkRedis(connect({ sentinelUsername: 'watcher', sentinelPassword: 'of-sentinel' }))
    await t.rejects(checkRedis(connect({}), 1000), { name: 'StoreError' })
    await t.rejects(checkRedis(connect({ sentinelUsername: 'watcher', sentinelPassword: 'wrong' }), 1000), {
      name: 'StoreError',
    })
  })
})
