import { Redis } from 'ioredis'
import t from 'tap'
import { createRedisClient } from '../../../../plugin/stores/redis/client.ts'
import { crc16 } from '../../../../plugin/stores/redis/names.ts'
import { StoreError } from '../../../../plugin/stores/store.ts'
import { noRedis, startCluster, startSentinel } from '../../../support/redis-server.ts'
import {
  contract,
  eventually,
  failures,
  longMs,
  notes,
  open,
  promptMs,
  serverFor,
} from '../../../support/redis-store.ts'

t.test('the Redis store, on real servers', { skip: noRedis }, async (t) => {
  t.jobs = 4

  t.test(
    'a Sentinel pair: the contract, then a failover that heals by itself (G-09)',
    { buffered: true },
    async (t) => {
      const master = await serverFor(t)
      const replica = await serverFor(t, [
        '--replicaof',
        '127.0.0.1',
        String(master.port),
        '--repl-diskless-sync-delay',
        '0',
      ])
      const sentinel = await startSentinel(master.port)
      t.teardown(() => sentinel.stop())
      const connect = () => createRedisClient({ url: `redis+sentinel://127.0.0.1:${sentinel.port}/main` })
      await t.test('contract', async (t) => {
        t.jobs = 4
        contract(t, 'redisStore by Sentinel', connect)
      })

      const [here, there] = [open(t, connect()), open(t, connect())]
      const { told, watcher, until } = notes()
      await there.watch(watcher)
      const direct = new Redis(replica.port, '127.0.0.1')
      t.teardown(() => direct.disconnect())
      await eventually(async () => {
        const linked = await direct.info('replication')
        if (!linked.includes('master_link_status:up')) throw new Error('the replica has no link yet')
      })
      const observer = new Redis(sentinel.port, '127.0.0.1')
      t.teardown(() => observer.disconnect())
      await eventually(async () => {
        const replicas = await observer.call('SENTINEL', 'replicas', 'main')
        if (!String(replicas).includes(String(replica.port)))
          throw new Error('Sentinel has not seen the replica yet')
      })
      await here.create('grant', 'before', longMs)
      const onMaster = new Redis(master.port, '127.0.0.1')
      await onMaster.set('last', '1')
      t.equal(await onMaster.wait(1, 5000), 1, 'the replica has everything')
      onMaster.disconnect()

      await master.kill()
      await until('gap')
      const [failure] = await failures({ read: () => here.read('grant') })
      t.ok(failure?.error instanceof StoreError, 'an outage is never "absent"')
      t.ok((failure?.afterMs ?? 9999) < promptMs)

      const record = await eventually(async () => {
        await here.check()
        return here.read('grant')
      }, 20_000)
      t.same(record, { value: 'before', version: 1 })
      await until('resume', 2)
      t.ok(await here.replace('grant', 1, 'after', longMs))
      await until('change grant')
      t.same(told, ['resume', 'gap', 'resume', 'change grant'])
      t.match(await direct.info('replication'), /role:master/, 'the replica is the master now')
    },
  )

  t.test(
    'Cluster: a master that hangs, a slot that moves (G-08, G-10, G-17)',
    { buffered: true },
    async (t) => {
      const cluster = await startCluster()
      t.teardown(() => cluster.stop())
      const hosts = cluster.servers.map(({ port }) => `127.0.0.1:${port}`).join(',')
      const url = `redis+cluster://${hosts}`
      const [here, there] = [open(t, createRedisClient({ url })), open(t, createRedisClient({ url }))]
      const { watcher, until } = notes()
      await there.watch(watcher)
      const keys = Array.from({ length: 30 }, (_, n) => `grant-${n}`)
      for (const key of keys) t.ok(await here.create(key, 'v', longMs))

      // The slot of one record's tag, with the record, to another master: as `redis-cli --cluster reshard` does.
      const moved = keys[0] ?? ''
      const slot = crc16(String(crc16(moved) % 256)) % 16_384
      const from = Math.floor(slot / Math.ceil(16_384 / 3))
      const to = (from + 1) % 3
      const nodes = cluster.servers.map(({ port }) => new Redis(port, '127.0.0.1'))
      t.teardown(() => {
        for (const node of nodes) node.disconnect()
      })
      const ids = await Promise.all(nodes.map(async (node) => String(await node.call('CLUSTER', 'MYID'))))
      const [source, target] = [nodes[from], nodes[to]]
      const [sourceId = '', targetId = ''] = [ids[from], ids[to]]
      await target?.call('CLUSTER', 'SETSLOT', String(slot), 'IMPORTING', sourceId)
      await source?.call('CLUSTER', 'SETSLOT', String(slot), 'MIGRATING', targetId)
      const held = (await source?.call('CLUSTER', 'GETKEYSINSLOT', String(slot), '1000')) as string[]
      const targetPort = String(cluster.servers[to]?.port)
      await source?.call('MIGRATE', '127.0.0.1', targetPort, '', '0', '1000', 'KEYS', ...held)
      t.equal((await here.read(moved))?.value, 'v', 'read where it has gone, while the slot is moving')
      for (const node of [target, source])
        await node?.call('CLUSTER', 'SETSLOT', String(slot), 'NODE', targetId)
      await until('gap')
      await until('resume', 2)
      t.ok(await here.replace(moved, 1, 'moved', longMs))
      await until(`change ${moved}`)

      const hanging = cluster.servers[from]
      t.teardown(() => hanging?.resume())
      hanging?.pause()
      const gap = until('gap', 2, 2 * promptMs)
      const reads = await failures(Object.fromEntries(keys.map((key) => [key, () => here.read(key)])))
      t.ok(
        reads.some(({ error }) => error instanceof StoreError),
        'the records of this master cannot be read',
      )
      t.ok(reads.every(({ error }) => error === undefined || error instanceof StoreError))
      t.ok(reads.every(({ afterMs }) => afterMs < promptMs))
      await gap
      hanging?.resume()
      await until('resume', 3, 20_000)
      for (const key of keys) {
        await eventually(async () => {
          const version = (await here.read(key))?.version ?? 0
          if (!(await here.replace(key, version, 'healed', longMs))) throw new Error('lost')
        })
      }
      await until(`change ${keys[29]}`)
    },
  )
})
