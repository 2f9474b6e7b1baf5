import { Cluster, Redis } from 'ioredis'
import t from 'tap'
import { createRedisClient } from '../../../../plugin/stores/redis/client.ts'
import { noRedis, startCluster } from '../../../support/redis-server.ts'
import { contract, redisUrl, serverFor } from '../../../support/redis-store.ts'

t.test('the Redis store, on real servers', { skip: noRedis }, async (t) => {
  t.jobs = 4

  t.test(
    'the store contract on a single server (G-06, G-07, G-08, G-14, G-17)',
    { buffered: true },
    async (t) => {
      t.jobs = 4
      const server = await serverFor(t)
      contract(t, 'redisStore', (port) => createRedisClient({ url: redisUrl(port) }), server.port)
    },
  )

  t.test("the store contract on an app's own client, with unusual options", { buffered: true }, async (t) => {
    t.jobs = 4
    const server = await serverFor(t)
    const options = {
      keyPrefix: 'app:',
      protocol: 2 as const,
      stringNumbers: true,
      enableAutoPipelining: true,
      retryStrategy: () => 100,
    }
    contract(t, 'redisStore', (port = 0) => new Redis(port, '127.0.0.1', options), server.port)
  })

  t.test('the store contract on a Cluster of three masters (G-10)', { buffered: true }, async (t) => {
    t.jobs = 4
    const cluster = await startCluster()
    t.teardown(() => cluster.stop())
    const hosts = cluster.servers.map(({ port }) => `127.0.0.1:${port}`).join(',')
    contract(t, 'redisStore on a Cluster', () => createRedisClient({ url: `redis+cluster://${hosts}` }))
    contract(
      t,
      "redisStore on an app's own Cluster client",
      () =>
        new Cluster(
          cluster.servers.map(({ port }) => ({ host: '127.0.0.1', port })),
          { keyPrefix: 'app:' },
        ),
    )
  })
})
