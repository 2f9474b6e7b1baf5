import { once } from 'node:events'
import { createServer } from 'node:net'
import { inspect } from 'node:util'
import { Redis } from 'ioredis'
import t from 'tap'
import { checkRedis } from '../../../../plugin/stores/redis/check.ts'
import { createRedisClient } from '../../../../plugin/stores/redis/client.ts'
import { StoreError } from '../../../../plugin/stores/store.ts'
import { noRedis } from '../../../support/redis-server.ts'
import { calls, failures, open, serverFor } from '../../../support/redis-store.ts'

t.test('the Redis store, on real servers', { skip: noRedis }, async (t) => {
  t.jobs = 4

  t.test(
    'errors hold no address, credential, key or value, in any depth (J-01, G-16)',
    { buffered: true },
    async (t) => {
      const server = await serverFor(t, ['--requirepass', 'right-password'])
      const secrets = [
        'wrong-password',
        'right-password',
        '127.0.0.1',
        String(server.port),
        'secret-',
        'grant-key',
      ]
      const told: unknown[] = []
      for (const url of [
        `redis://:wrong-password@127.0.0.1:${server.port}`,
        `redis://user:wrong-password@127.0.0.1:${server.port}`,
        `redis://127.0.0.1:${server.port}`,
        'redis://:wrong-password@127.0.0.1:1',
        'redis://:wrong-password@host.invalid:6379',
        'redis+sentinel://:wrong-password@127.0.0.1:1/main',
        'redis+cluster://:wrong-password@host.invalid:6379',
        `redis+sentinel://:wrong-password@127.0.0.1:${server.port}/main`,
        `redis+cluster://:wrong-password@127.0.0.1:${server.port}`,
        `redis+cluster://:right-password@127.0.0.1:${server.port}`,
      ]) {
        const client = createRedisClient({ url })
        const store = open(t, client)
        const failed = await failures({ ...calls(store, 'grant-key'), start: () => checkRedis(client, 1000) })
        for (const { name, error } of failed) t.ok(error instanceof StoreError, `${name} throws StoreError`)
        told.push(...failed.map(({ error }) => error))
      }
      const full = open(t, new Redis(server.port, '127.0.0.1', { password: 'right-password' }))
      const admin = new Redis(server.port, '127.0.0.1', { password: 'right-password' })
      t.teardown(() => admin.disconnect())
      await admin.config('SET', 'maxmemory', '1')
      told.push(
        ...(await failures({ create: calls(full, 'grant-key').create ?? (async () => {}) })).map(
          ({ error }) => error,
        ),
      )
      const text = told
        .map((error) => inspect(error, { depth: 10, showHidden: true }).replace(/\n +at .*/g, ''))
        .join('\n')
      for (const secret of secrets) t.notOk(text.includes(secret), `no ${secret}`)
      t.match(text, /redis store: start: the user name or password is wrong \(WRONGPASS\)/)
      t.match(text, /redis store: start: the server requires a password \(NOAUTH\)/)
      t.match(text, /redis store: start: the connection was refused \(ECONNREFUSED\)/)
      t.match(text, /redis store: start: the host name is unknown|could not be resolved/)
      t.match(text, /redis store: start: no Sentinel answers, or none knows the master/)
      t.match(text, /redis store: start: the server is not a node of a Cluster/)
      t.match(text, /redis store: create: the server has reached its memory limit \(OOM\)/)
    },
  )

  t.test('checkRedis, at start (G-09)', { buffered: true }, async (t) => {
    const server = await serverFor(t, ['--maxmemory-policy', 'allkeys-lru'])
    const client = createRedisClient({ url: server.url })
    t.teardown(() => client.disconnect())
    const warnings = await checkRedis(client)
    t.match(warnings.join('\n'), /maxmemory-policy is not noeviction/)
    t.match(warnings.join('\n'), /appendonly is off/)

    const durable = await serverFor(t, ['--appendonly', 'yes', '--maxmemory-policy', 'noeviction'])
    const good = createRedisClient({ url: durable.url })
    const careless = new Redis(durable.port, '127.0.0.1')
    t.teardown(() => {
      good.disconnect()
      careless.disconnect()
    })
    t.same(await checkRedis(good), [])
    t.match(await checkRedis(careless), [/no socketTimeout/])

    await careless.call('ACL', 'SETUSER', 'limited', 'on', '>password', '~*', '&*', '+@all', '-info')
    // Without INFO, ioredis must be told not to ask for it either.
    const limited = new Redis(durable.port, '127.0.0.1', {
      username: 'limited',
      password: 'password',
      enableReadyCheck: false,
      socketTimeout: 1000,
    })
    t.teardown(() => limited.disconnect())
    t.match(await checkRedis(limited), [/INFO is not permitted/])

    const detecting = new Redis(durable.port, '127.0.0.1', { failoverDetector: true, socketTimeout: 1000 })
    t.teardown(() => detecting.disconnect())
    t.match(await checkRedis(detecting), [/failoverDetector/])

    const replica = await serverFor(t, ['--replicaof', '127.0.0.1', String(server.port)])
    const onReplica = createRedisClient({ url: replica.url })
    t.teardown(() => onReplica.disconnect())
    await t.rejects(checkRedis(onReplica), { name: 'StoreError', message: /is a read replica/ })
    await t.rejects(open(t, onReplica).check(), {
      name: 'StoreError',
      message: /is a read replica; connect to its master \(READONLY\)/,
    })

    const node = await serverFor(t, ['--cluster-enabled', 'yes'])
    const single = createRedisClient({ url: node.url })
    t.teardown(() => single.disconnect())
    await t.rejects(checkRedis(single), {
      name: 'StoreError',
      message: /node of a Cluster; use a Cluster client/,
    })
  })
})

t.test('checkRedis refuses a server older than 6.2 (G-09)', async (t) => {
  const info = 'redis_version:6.0.16\r\nrole:master\r\n'
  const old = createServer((socket) => {
    socket.on('error', () => {})
    socket.on('data', (data) => {
      for (const command of data.toString().match(/hello|info|client/gi) ?? []) {
        if (/hello/i.test(command)) socket.write('-ERR unknown command `HELLO`\r\n')
        else if (/info/i.test(command) && !/setinfo/i.test(data.toString()))
          socket.write(`$${info.length}\r\n${info}\r\n`)
        else if (/client/i.test(command)) socket.write('-ERR unknown subcommand\r\n')
      }
    })
  })
  old.listen(0, '127.0.0.1')
  await once(old, 'listening')
  t.teardown(() => old.close())
  const address = old.address()
  const port = typeof address === 'object' ? address?.port : undefined
  const client = new Redis(port ?? 0, '127.0.0.1', { disableClientInfo: true, socketTimeout: 1000 })
  t.teardown(() => client.disconnect())
  await t.rejects(checkRedis(client), {
    name: 'StoreError',
    message: 'redis store: start: the server is Redis 6.0.16; 6.2 or newer is needed',
  })
})
