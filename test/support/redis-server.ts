import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { connect as connectTo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import type { Test } from 'tap'
import { startTied, type TiedProcess } from './tied-process.ts'

const binary = process.env.REDIS_SERVER_BIN ?? 'redis-server'
/** Of a server, and of a Sentinel. */
const READY = /Ready to accept connections|\+monitor master/

/** Why the tests of this file must be skipped, or false. Give it to `t.test` as `skip`. */
export const noRedis: string | false =
  spawnSync(binary, ['--version']).status === 0
    ? false
    : 'SKIPPED: no redis-server found on PATH or by REDIS_SERVER_BIN; the Redis store is NOT tested'

/** A real server on 127.0.0.1, without persistence. Signals go to it by its process id. */
export interface RedisServer {
  readonly port: number
  readonly url: string
  /** SIGSTOP: connections stay open, and new ones are even accepted, but nothing answers. */
  pause(): void
  resume(): void
  /** SIGKILL. */
  kill(): Promise<void>
  /** On the same port, and empty. */
  restart(): Promise<void>
  /** Ends it and removes its folder. */
  stop(): Promise<void>
}

/** Starts redis-server with further arguments, e.g. `--requirepass`. Resolves when it accepts connections. */
export async function startRedis(args: string[] = []): Promise<RedisServer> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'pkce-redis-'))
  const options = [
    '--port',
    `${port}`,
    '--bind',
    '127.0.0.1',
    '--dir',
    folder,
    '--save',
    '',
    '--appendonly',
    'no',
  ]
  return server(port, folder, () => [...options, ...args])
}

/** Starts a Sentinel with further `lines`. It watches one master, called `main`, and fails over alone within about two seconds. */
export async function startSentinel(masterPort: number, lines: string[] = []): Promise<RedisServer> {
  const port = await freePort()
  const folder = mkdtempSync(join(tmpdir(), 'pkce-redis-'))
  const file = join(folder, 'sentinel.conf')
  writeFileSync(
    file,
    `port ${port}
bind 127.0.0.1
dir ${folder}
sentinel monitor main 127.0.0.1 ${masterPort} 1
sentinel down-after-milliseconds main 1000
sentinel failover-timeout main 4000
${lines.join('\n')}
`,
  )
  return server(port, folder, () => [file, '--sentinel'])
}

async function server(port: number, folder: string, args: () => string[]): Promise<RedisServer> {
  const start = () => startTied([binary, ...args()], READY, {}, { lastSignal: 'KILL' })
  let child: TiedProcess | undefined = await start()
  const kill = async () => {
    await child?.end('SIGKILL')
    child = undefined
  }
  const signal = (name: NodeJS.Signals) => child && process.kill(child.pid, name)
  return {
    port,
    url: `redis://127.0.0.1:${port}`,
    pause: () => signal('SIGSTOP'),
    resume: () => signal('SIGCONT'),
    kill,
    async restart() {
      await kill()
      child = await start()
    },
    async stop() {
      await kill()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Three masters that share the slots, each with the data of its part only. */
export async function startCluster(): Promise<{ servers: RedisServer[]; stop(): Promise<void> }> {
  const servers = await Promise.all(
    Array.from({ length: 3 }, () =>
      startRedis(['--cluster-enabled', 'yes', '--cluster-node-timeout', '2000']),
    ),
  )
  const clients = servers.map(({ port }) => new Redis({ port, host: '127.0.0.1', enableReadyCheck: false }))
  const slotsEach = Math.ceil(16_384 / servers.length)
  for (const [n, client] of clients.entries()) {
    const last = Math.min((n + 1) * slotsEach, 16_384) - 1
    await client.call('CLUSTER', 'SET-CONFIG-EPOCH', String(n + 1))
    await client.call('CLUSTER', 'ADDSLOTSRANGE', String(n * slotsEach), String(last))
    await client.call('CLUSTER', 'MEET', '127.0.0.1', String(servers[0]?.port))
  }
  await Promise.all(clients.map(isWhole))
  for (const client of clients) client.disconnect()
  return {
    servers,
    async stop() {
      await Promise.all(servers.map((server) => server.stop()))
    },
  }
}

async function isWhole(client: Redis): Promise<void> {
  for (;;) {
    const state = String(await client.call('CLUSTER', 'INFO'))
    if (state.includes('cluster_state:ok') && state.includes('cluster_known_nodes:3')) return
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}

/** A primary and its replica behind one name, as a managed Redis is sold. */
export async function startManagedRedis(t: Pick<Test, 'teardown'>) {
  const atOnce = ['--repl-diskless-sync-delay', '0']
  const servers = await Promise.all([startRedis(atOnce), startRedis(atOnce)])
  t.teardown(() => Promise.all(servers.map((server) => server.stop())))
  const admins = servers.map(({ port }) => new Redis(port, '127.0.0.1'))
  t.teardown(() => {
    for (const admin of admins) admin.disconnect()
  })
  const name = await startRelay(servers[0].port)
  t.teardown(() => name.stop())
  let primary = 0
  const replicaFollows = async () => {
    const replica = admins[1 - primary]!
    await replica.replicaof('127.0.0.1', servers[primary]!.port)
    while (!(await replica.info('replication')).includes('master_link_status:up')) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  // WAIT knows of the writes of its own connection alone.
  const replicaHasAll = async () => {
    const offsetOf = async (admin: Redis, name: string) =>
      Number(new RegExp(`${name}:(\\d+)`).exec(await admin.info('replication'))?.[1])
    const written = await offsetOf(admins[primary]!, 'master_repl_offset')
    while ((await offsetOf(admins[1 - primary]!, 'slave_repl_offset')) < written) {
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
  }
  await replicaFollows()
  return {
    url: `redis://127.0.0.1:${name.port}`,
    name,
    /** By port. */
    primaryPort: () => servers[primary]!.port,
    /** The replica takes over once it has everything; the old primary follows it, and keeps its connections. */
    async failOver() {
      await replicaHasAll()
      primary = 1 - primary
      await admins[primary]!.replicaof('NO', 'ONE')
      name.moveTo(servers[primary]!.port)
      await replicaFollows()
    },
  }
}

/** A port on which nothing listens, nor on the one of a Cluster's bus, which is 10,000 above. */
async function freePort(): Promise<number> {
  for (;;) {
    const port = 10_000 + Math.floor(Math.random() * 12_000)
    if ((await isFree(port)) && (await isFree(port + 10_000))) return port
  }
}

async function isFree(port: number): Promise<boolean> {
  const probe = createServer()
  return new Promise<boolean>((resolve) => {
    probe.once('error', () => resolve(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)))
  })
}

/**
 * A TCP relay to a server that can cut its connections, and refuse new ones, without the server noticing more. It is
 * also a name that moves: its open connections stay where they are.
 */
export async function startRelay(serverPort: number) {
  let target = serverPort
  const sockets = new Set<Socket>()
  const subscribers = new Set<Socket>()
  let isCut = false
  let isDeaf: 'cut' | 'hole' | undefined
  let losesAnswer = false
  let turns = 0
  let isServersTurn = false
  const relay = createServer((near) => {
    if (isCut) {
      near.destroy()
      return
    }
    const far = connectTo(target, '127.0.0.1')
    near.prependListener('data', (chunk) => {
      if (!isServersTurn) turns++
      isServersTurn = true
      if (!/subscribe/i.test(String(chunk))) return
      subscribers.add(far)
      if (isDeaf === 'cut') near.destroy()
      if (isDeaf === 'hole') far.unpipe(near)
    })
    far.prependListener('data', () => {
      isServersTurn = false
      if (!losesAnswer) return
      losesAnswer = false
      far.unpipe(near)
      near.destroy()
    })
    for (const [one, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(one)
      one.on('error', () => {})
      one.on('close', () => {
        sockets.delete(one)
        subscribers.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  })
  relay.listen(0, '127.0.0.1')
  await once(relay, 'listening')
  const address = relay.address()
  if (address === null || typeof address === 'string') throw new Error('the relay has no port')
  const cut = () => {
    isCut = true
    for (const socket of sockets) socket.destroy()
  }
  return {
    port: address.port,
    cut,
    /** New connections lead there. */
    moveTo(port: number) {
      target = port
    },
    heal() {
      isCut = false
      isDeaf = undefined
    },
    /** Only the connections that subscribe: `cut`, or with a `hole` in which everything vanishes. */
    deafen(how: 'cut' | 'hole') {
      isDeaf = how
      for (const far of subscribers) {
        if (how === 'cut') far.destroy()
        else far.unpipe()
      }
    },
    /** Breaks the connection when the server's next answer comes, and before the client has it. */
    loseNextAnswer() {
      losesAnswer = true
    },
    /** How often the client has spoken and waited: round trips, of one connection. */
    turns: () => turns,
    async stop() {
      cut()
      relay.close()
      await once(relay, 'close')
    },
  }
}
