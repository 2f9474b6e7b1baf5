/** Workers that die or hang while connections come in: no place stays empty, and no client waits for ever. */
import { once } from 'node:events'
import { connect } from 'node:net'
import t from 'tap'
import type { GatewayInput } from '../../../gateway/config/schemas/gateway.ts'
import { type CommandAnswer, publicHost, send, serve } from '../../support/gateway-command.ts'
import { freePort } from '../../support/gateway-stack.ts'
import { isAlive, trap, workerGateway, workersOf } from '../../support/gateway-workers.ts'
import { noRedis, type RedisServer, startRedis } from '../../support/redis-server.ts'
import { until } from '../../support/wait.ts'

t.setTimeout(240_000)

const ENDED = 'a worker ended, starting another'

t.test('workers that die or hang', { skip: noRedis }, async (t) => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())

  // Node never says `disconnect` of a process that dies with a connection on its way to it, for which the primary
  // waited: the place stayed empty for good, without a line, and the client of that connection waited for ever.
  await t.test('with a connection on its way: replaced, and its client is let go (K-07)', async (t) => {
    const { command, url, adminUrl } = await gateway(t, redis)
    const [victim, other] = (await workersOf(command)) as [number, number]
    process.kill(victim, 'SIGSTOP')
    const answers: (CommandAnswer | Error)[] = []
    for (let count = 0; count < 6; count++) {
      const connecting = send(`${url}/api`).catch((error: Error) => error)
      void connecting.then((answer) => answers.push(answer))
    }
    await until(() => answers.length === 5)
    t.ok(answers.every((answer) => 'status' in answer && answer.status === 200))
    process.kill(victim, 'SIGKILL')
    await until(() => answers.length === 6)
    t.match(answers[5], { code: 'ECONNRESET' })
    t.match(await command.logged(ENDED), { worker: victim, signal: 'SIGKILL', left: 1, nextStartMs: 200 })
    const [replacement] = (await workersOf(command, 3)).slice(2)
    t.ok([other, replacement!].every(isAlive))
    await until(async () => (await workersCheck(adminUrl)) === 'ok')
    command.child.kill('SIGTERM')
    t.equal(await command.exited, 0)
  })

  await t.test('both at once, again and again under load: all places are filled again', async (t) => {
    // Without any worker nobody holds the port, and the next one opens it again.
    const listen = { port: await freePort() }
    const { command, url, adminUrl } = await gateway(t, redis, { listen })
    let loading = true
    let served = 0
    t.teardown(() => {
      loading = false
    })
    const load = Array.from({ length: 8 }, async () => {
      while (loading) {
        const answer = await send(`${url}/api`).catch((error: NodeJS.ErrnoException) => error)
        if ('status' in answer) served++
        else await new Promise((resolve) => setTimeout(resolve, 5))
      }
    })
    for (let round = 1; round <= 3; round++) {
      const victims = (await workersOf(command, 2 * round)).slice(-2)
      await until(async () => (await workersCheck(adminUrl)) === 'ok')
      const before = served
      await until(() => served > before + 20)
      for (const victim of victims) process.kill(victim, 'SIGKILL')
    }
    const last = (await workersOf(command, 8)).slice(-2)
    await until(async () => (await workersCheck(adminUrl)) === 'ok')
    loading = false
    await Promise.all(load)
    t.ok(last.every(isAlive))
    t.equal((await command.loggedTimes(6, ENDED)).length, 6)
  })

  await t.test('one that hangs is ended and replaced, one that is busy is not (K-07)', async (t) => {
    const blocks = trap(
      `process.on('SIGUSR2', () => { for (;;); });
      process.on('SIGWINCH', () => { const from = Date.now(); while (Date.now() - from < 6000); });`,
    )
    const { command, url } = await gateway(t, redis, {}, { nodeArgs: [blocks] })
    const suspended = await gateway(t, redis, {}, { detached: true })
    const [victim, busy] = (await workersOf(command)) as [number, number]
    const asleep = await workersOf(suspended.command)
    process.kill(busy, 'SIGWINCH')
    process.kill(victim, 'SIGUSR2')
    process.kill(-suspended.command.pid, 'SIGSTOP')
    const waiting = send(`${url}/api`).catch((error: Error) => error)
    const line = await command.logged(ENDED)
    t.match(line, {
      worker: victim,
      signal: 'SIGKILL',
      reason: 'it hangs: no answer for 10 s',
      left: 1,
      nextStartMs: Number,
    })
    process.kill(-suspended.command.pid, 'SIGCONT')
    await waiting
    await workersOf(command, 3)
    t.ok(isAlive(busy))
    t.equal((await command.loggedTimes(1, ENDED)).length, 1)
    // The primary asks its workers again.
    await new Promise((resolve) => setTimeout(resolve, 2500))
    t.ok(asleep.every(isAlive), 'a machine that was suspended has no worker that hangs')
    t.equal((await send(`${suspended.url}/api`)).status, 200)
    t.notOk(suspended.command.log().some(({ msg }) => msg === ENDED))
  })

  await t.test('one that dies while the gateway stops is told of (K-07)', async (t) => {
    const { command, url, upstream } = await gateway(t, redis)
    const [victim] = (await workersOf(command)) as [number]
    const held = await Promise.all([openRequest(url), openRequest(url)])
    t.teardown(() => held.forEach((socket) => void socket.destroy()))
    await until(() => upstream.held === 2)
    command.child.kill('SIGTERM')
    await command.logged('closing')
    process.kill(victim, 'SIGKILL')
    const line = await command.logged('a worker ended before its requests')
    t.match(line, { level: 50, worker: victim, signal: 'SIGKILL', code: null })
    for (const socket of held) socket.destroy()
    t.equal(await command.exited, 0)
  })
})

/** On this Redis, with an upstream that answers at once, but for `/held`. */
async function gateway(
  t: Parameters<typeof workerGateway>[0],
  redis: RedisServer,
  more: Partial<GatewayInput> = {},
  options: Parameters<typeof workerGateway>[3] = {},
) {
  const upstream = { held: 0 }
  const target = await serve(t, (request, response) => {
    if (request.url === '/held') upstream.held++
    else response.end('ok')
  })
  const upstreams = [{ prefix: '/api', target, public: true }]
  const command = await workerGateway(t, redis, { upstreams, ...more }, options)
  return { command, upstream, ...(await command.ready()) }
}

/** A request that its upstream does not answer. */
async function openRequest(url: string) {
  const socket = connect(Number(new URL(url).port), '127.0.0.1').on('error', () => {})
  await once(socket, 'connect')
  socket.write(`GET /api/held HTTP/1.1\r\nhost: ${publicHost}\r\n\r\n`)
  return socket
}

async function workersCheck(adminUrl: string): Promise<unknown> {
  return JSON.parse((await send(`${adminUrl}/readyz`)).body).checks.workers
}
