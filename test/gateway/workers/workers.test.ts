/** `workers: N`: real processes on a real Redis, from the start to every kind of end. */
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { Agent, type IncomingMessage, request, type ServerResponse } from 'node:http'
import { connect, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import t, { type Test } from 'tap'
import type { GatewayInput } from '../../../gateway/config/schemas/gateway.ts'
import { selfSigned } from '../../support/certificate.ts'
import { compiledGateway } from '../../support/compiled-gateway.ts'
import {
  Command,
  type CommandAnswer,
  type CommandOptions,
  publicHost,
  send,
  serve,
  values,
} from '../../support/gateway-command.ts'
import { workerGateway as gateway, isAlive, secrets, trap, workersOf } from '../../support/gateway-workers.ts'
import { startInstances } from '../../support/instances.ts'
import { NativeApp } from '../../support/native-app.ts'
import { noRedis, type RedisServer, startRedis } from '../../support/redis-server.ts'
import { until } from '../../support/wait.ts'

t.setTimeout(300_000)

t.test('workers', { skip: noRedis }, async (t) => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  await sharedSessions(t)
  await startTests(t, redis)
  await stopTests(t, redis)
  await replacementTests(t, redis)
})

/** A folder besides the test's own, which holds the configuration. */
function scratch(t: Test): string {
  const folder = mkdtempSync(join(tmpdir(), 'pkce-workers-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  return folder
}

function tally(items: readonly unknown[]): Record<string, number> {
  const counts: Record<string, number> = {}
  for (const item of items) counts[String(item)] = (counts[String(item)] ?? 0) + 1
  return counts
}

/** So many at once, each on a connection of its own. */
function many<T>(count: number, ask: () => Promise<T>): Promise<T[]> {
  return Promise.all(Array.from({ length: count }, ask))
}

async function sharedSessions(t: Test): Promise<void> {
  await t.test('three workers share sessions and their ends, and the load (G-07, G-17)', async (t) => {
    const stack = await startInstances(t, {
      count: 1,
      store: 'redis',
      provider: 'stub',
      change: (config) => ({ ...config, workers: 3 }),
    })
    if (typeof stack === 'string') return void t.pass('workers', { skip: stack })
    const gateway = stack.instances[0]!
    const lines = () =>
      gateway
        .log()
        .split('\n')
        .filter((line) => line.startsWith('{'))
        .map((line) => JSON.parse(line))
    const app = new NativeApp(stack)
    const { host } = new URL(stack.publicUrl)
    const ask = (path: string, token: string) =>
      send(gateway.url + path, { headers: { host, authorization: `Bearer ${token}` } })

    const logins = await many(12, () => app.login())
    const activations = () => lines().filter(({ event }) => event === 'session.activated')
    await until(() => activations().length >= 12)
    const activated = activations()
    t.equal(activated.length, 12)
    t.equal(new Set(activated.map(({ pid }) => pid)).size, 3, 'on all of them')
    t.notOk(
      activated.some(({ pid }) => pid === gateway.pid),
      'and not on the primary',
    )

    const { access_token, refresh_token } = logins[0]!
    for (let turn = 0; turn < 12; turn++) {
      t.equal((await ask('/oauth2/userinfo', access_token)).status, 200)
    }
    const served = tally(
      lines()
        .filter(({ req }) => req?.path === '/oauth2/userinfo')
        .map(({ pid }) => pid),
    )
    t.equal(Object.keys(served).length, 3)
    t.ok(
      Object.values(served).every((count) => count >= 3),
      `evenly: ${Object.values(served)}`,
    )
    const forwards = await many(30, () => ask('/api/orders', access_token))
    t.same(tally(forwards.map(({ status }) => status)), { 200: 30 })

    t.equal((await app.revoke(refresh_token)).status, 200)
    const revokedAt = performance.now()
    let refused: CommandAnswer[]
    do refused = await many(12, () => ask('/api/orders', access_token))
    while (refused.some(({ status }) => status !== 401) && performance.now() - revokedAt < 5000)
    const lagMs = performance.now() - revokedAt
    t.same(tally(refused.map(({ status }) => status)), { 401: 12 })
    t.ok(lagMs < 1000, `within a second: ${Math.round(lagMs)} ms`)
    const denials = lines().filter(({ event }) => event === 'forward.denied')
    t.equal(new Set(denials.map(({ pid }) => pid)).size, 3, 'by all of them')
    t.equal((await ask('/api/orders', logins[1]!.access_token)).status, 200)
  })
}

async function startTests(t: Test, redis: RedisServer): Promise<void> {
  await t.test('a port in use: one message, exit 1, nobody left', async (t) => {
    const taken = Number(new URL(await serve(t, () => {})).port)
    const command = await gateway(t, redis, { workers: 3, listen: { port: taken } })
    // Workers share its output, which ends with the last of them.
    t.equal(await command.exited, 1)
    t.same(command.stderr, [
      `pkce-gateway: listen EADDRINUSE 127.0.0.1:${taken}: another process uses the port; change listen.port or stop it`,
    ])
    t.notMatch(command.stdout.join(), 'gateway ready')
  })

  await t.test(
    "wrong metadata of the provider, which workers find: exit 78 at the issuer's line",
    async (t) => {
      const issuer = await serve(t, (_request, response) => {
        response
          .setHeader('content-type', 'application/json')
          .end('{"issuer":"https://other.example","code_challenge_methods_supported":["plain"]}')
      })
      const provider = { issuer, clientId: 'gateway', clientSecret: 'gateway-secret' }
      const command = await gateway(t, redis, { provider })
      t.equal(await command.exited, 78)
      t.equal(command.stderr[0], 'pkce-gateway: invalid configuration')
      t.match(command.stderr[1], /gateway\.yaml:\d+:1 provider\.pkce: is own/)
      t.match(command.stderr[2], /gateway\.yaml:\d+:3 provider\.issuer: the metadata names another/)
      t.equal(command.stderr.filter((line) => line.includes('provider.pkce')).length, 1, 'told once')
    },
  )

  await t.test('a store that cannot be used: no worker is made for it, exit 1', async (t) => {
    const command = await gateway(t, redis, { store: { type: 'redis', url: 'redis://127.0.0.1:1' } })
    t.equal(await command.exited, 1)
    t.match(command.stderr, [/^pkce-gateway: store\.url: redis store: .*ECONNREFUSED/])
    t.equal(command.stderr.length, 1)
    t.same(command.stdout, [])
  })

  await t.test('a worker that ends before it listens ends the start: exit 1, nobody left', async (t) => {
    const broken = trap('import cluster from "node:cluster"; if (cluster.worker?.id === 2) process.exit(7)')
    const command = await gateway(t, redis, {}, { nodeArgs: [broken] })
    t.equal(await command.exited, 1)
    t.same(command.stderr, ['pkce-gateway: a worker ended before it listened: exit status 7'])
  })
}

async function stopTests(t: Test, redis: RedisServer): Promise<void> {
  for (const [how, whole] of [
    ['SIGTERM to the primary', false],
    ['Ctrl-C, which every process gets', true],
  ] as const) {
    await t.test(
      `${how}: not ready, requests in flight are answered, streams end, exit 0 (K-07)`,
      async (t) => {
        const { command, url, adminUrl, asked, held } = await busy(t, redis, {}, { detached: whole })
        const streams = [await openStream(`${url}/slow/events`), await openStream(`${url}/slow/events`)]
        process.kill(whole ? -command.pid : command.pid, whole ? 'SIGINT' : 'SIGTERM')
        await command.logged('closing')
        t.match(JSON.parse((await send(`${adminUrl}/readyz`)).body), {
          status: 'not ready',
          checks: { draining: true },
        })
        await Promise.all(streams.map(({ ended }) => ended))
        await until(() =>
          send(`${url}/slow`).then(
            () => false,
            ({ code }) => code === 'ECONNREFUSED',
          ),
        )
        for (const response of held) response.end('done')
        t.match(await asked, [
          { status: 200, body: 'done' },
          { status: 200, body: 'done' },
        ])
        t.equal(await command.exited, 0)
        await command.logged('closed')
        t.same(
          command.log().filter(({ level }) => Number(level) >= 60),
          [],
        )
      },
    )
  }

  await t.test('shutdown.delayMs: every worker serves on, one request to a connection (K-07)', async (t) => {
    const { command, url, adminUrl, asked, held } = await busy(t, redis, {
      shutdown: { delayMs: 1500, graceMs: 5000 },
    })
    const silent = [await KeptConnection.open(url), await KeptConnection.open(url)]
    process.kill(command.pid, 'SIGTERM')
    await command.logged('closing')
    t.equal((await send(`${adminUrl}/readyz`)).status, 503)
    const answers = await many(4, () => send(`${url}/nothing`))
    t.same(tally(answers.map(({ status, headers }) => `${status} ${headers.connection}`)), { '404 close': 4 })
    for (const response of held) response.end('done')
    t.match(await asked, [{ status: 200 }, { status: 200 }])
    t.equal(await command.exited, 0, 'and silent connections do not hold it')
    t.notOk(silent.some(({ isOpen }) => isOpen))
    t.notOk(command.log().some(({ msg }) => String(msg).startsWith('a worker')))
  })

  await t.test('shutdown.graceMs exceeded: exit 1 with a line that says so, nobody left', async (t) => {
    const { command, asked } = await busy(t, redis, { shutdown: { graceMs: 300 } })
    process.kill(command.pid, 'SIGTERM')
    t.equal(await command.exited, 1)
    await command.logged('requests were still in flight after shutdown.graceMs, exiting')
    await t.rejects(asked)
  })

  await t.test('a second signal ends everything at once, a worker that hangs too', async (t) => {
    const { command, asked } = await busy(t, redis)
    process.kill((await workersOf(command))[0]!, 'SIGSTOP')
    process.kill(command.pid, 'SIGTERM')
    await command.logged('closing')
    process.kill(command.pid, 'SIGTERM')
    t.equal(await command.exited, 1)
    await command.logged('second signal, exiting at once')
    await t.rejects(asked)
  })

  await t.test(
    'the primary is killed: the workers are gone within seconds, and the port is free',
    async (t) => {
      const { command, url, asked } = await busy(t, redis)
      process.kill(command.pid, 'SIGKILL')
      const killedAt = performance.now()
      await Promise.all([command.exited, t.rejects(asked)])
      t.ok(performance.now() - killedAt < 3000)
      await t.rejects(send(url), { code: 'ECONNREFUSED' })
    },
  )

  await t.test('SIGHUP with TLS: every worker reads the certificate again', async (t) => {
    const certificate = (pem = selfSigned('gateway.example')) => ({ 'tls.crt': pem.cert, 'tls.key': pem.key })
    const folder = scratch(t)
    const write = (files: Record<string, string>) => {
      for (const [name, pem] of Object.entries(files)) writeFileSync(join(folder, name), pem)
    }
    write(certificate())
    const tls = { certFile: join(folder, 'tls.crt'), keyFile: join(folder, 'tls.key') }
    const publicUrl = 'https://gateway.example'
    const command = await gateway(t, redis, { publicUrl, listen: { port: 0, tls } })
    const { url } = await command.ready()
    const renewed = certificate()
    write(renewed)
    command.child.kill('SIGHUP')
    t.equal(new Set((await command.loggedTimes(2, 'certificate reloaded')).map(({ pid }) => pid)).size, 2)
    for (let turn = 0; turn < 4; turn++) {
      const socket = connectTls({
        port: Number(new URL(url).port),
        host: '127.0.0.1',
        ca: renewed['tls.crt'],
      })
      await once(socket, 'secureConnect')
      socket.destroy()
    }
    command.child.kill('SIGTERM')
    t.equal(await command.exited, 0)
  })
}

async function replacementTests(t: Test, redis: RedisServer): Promise<void> {
  await t.test('a worker is killed: it is replaced, service goes on, the others are unharmed', async (t) => {
    const upstream = await serve(t, (_request, response) => void response.end('ok'))
    const upstreams = [{ prefix: '/api', target: upstream, public: true }]
    const command = await gateway(t, redis, { workers: 3, upstreams })
    const { url, adminUrl } = await command.ready()
    const lines = command.log()
    t.match(
      lines.filter(({ msg }) => msg === 'gateway ready'),
      [{ pid: command.pid, workers: 3, address: /^http:/, adminAddress: /^http:/ }],
      'the start is told once, by the primary',
    )
    t.equal(lines.filter(({ msg }) => String(msg).startsWith('redis: appendonly')).length, 1)
    const workers = await workersOf(command, 3)
    t.equal(workers.length, 3)
    t.notOk(workers.includes(command.pid))
    const { time: readyAt } = await command.logged('gateway ready')
    const listening = command.log().filter(({ msg }) => String(msg).startsWith('Server listening'))
    t.ok(
      listening.every(({ time }) => Number(time) <= Number(readyAt)),
      'it is told when all of them listen',
    )

    const connections: KeptConnection[] = []
    while (connections.length < 9) {
      const connection = await KeptConnection.open(url)
      t.match(await connection.get('/api'), /^HTTP\/1\.1 200 /)
      connections.push(connection)
    }

    const [victim, ...others] = workers as [number, ...number[]]
    process.kill(victim, 'SIGKILL')
    const line = await command.logged('a worker ended, starting another')
    t.match(line, {
      level: 60,
      pid: command.pid,
      worker: victim,
      signal: 'SIGKILL',
      code: null,
      left: 2,
      nextStartMs: 200,
    })
    const answers = await many(20, () => send(`${url}/api`))
    t.same(tally(answers.map(({ status }) => status)), { 200: 20 }, 'the others serve')
    t.equal((await workersOf(command, 4)).filter(isAlive).length, 3)
    t.ok(others.every(isAlive))
    const kept = connections.filter(({ isOpen }) => isOpen)
    t.equal(kept.length, 6)
    for (const one of kept) t.match(await one.get('/api'), /^HTTP\/1\.1 200 /)
    t.equal((await send(`${adminUrl}/healthz`)).status, 200)
    command.child.kill('SIGTERM')
    t.equal(await command.exited, 0)
  })

  await t.test(
    'a worker that replaces another has the configuration of the start, whatever has become of its files',
    async (t) => {
      const folder = scratch(t)
      const named = (name: string, content: string) => {
        writeFileSync(join(folder, name), content, { mode: 0o600 })
        return join(folder, name)
      }
      const upstream = await serve(t, (_request, response) => void response.end('ok'))
      const config = values({
        workers: 2,
        secretsFile: named('secrets', secrets[0]!),
        store: { type: 'redis', urlFile: named('url', redis.url) },
        upstreams: [{ prefix: '/api', target: upstream, public: true }],
      })
      const file = named('gateway.yaml', JSON.stringify(config))
      const command = new Command(t, ['--config', file], { program: [await compiledGateway()] })
      const { url } = await command.ready()
      for (const name of ['secrets', 'url']) rmSync(join(folder, name))
      writeFileSync(file, 'publicUrl: [')
      const [victim, other] = (await workersOf(command)) as [number, number]
      process.kill(victim, 'SIGKILL')
      const replacement = (await workersOf(command, 3))[2]!
      process.kill(other, 'SIGKILL')
      await workersOf(command, 4)
      t.ok(isAlive(replacement))
      const answers = await many(4, () => send(`${url}/api`))
      t.same(tally(answers.map(({ status }) => status)), { 200: 4 })
    },
  )

  await t.test(
    'a crash ends its worker only; those that end at once are started ever more slowly',
    async (t) => {
      const flag = join(scratch(t), 'broken')
      const crashes = trap('process.on("SIGUSR2", () => { throw new Error("boom") })')
      const ends = trap(
        `import cluster from 'node:cluster'; import { existsSync } from 'node:fs'; if (cluster.isWorker && existsSync('${flag}')) process.exit(7)`,
      )
      const command = await gateway(t, redis, {}, { nodeArgs: [crashes, ends] })
      const { url } = await command.ready()
      const [victim, other] = (await workersOf(command)) as [number, number]
      writeFileSync(flag, '')
      process.kill(victim, 'SIGUSR2')
      const own = await command.logged('uncaught error, exiting')
      t.match(own, { level: 60, pid: victim, err: { message: 'boom', stack: String } })
      const primarys = await command.logged('a worker ended, starting another')
      t.match(primarys, { level: 60, pid: command.pid, worker: victim, code: 1, signal: null })

      const failed = await command.loggedTimes(4, 'a worker could not start, trying again')
      const times = failed.map(({ time }) => Number(time))
      const pauses = times.slice(1).map((time, index) => time - times[index]!)
      t.ok(pauses[0]! >= 400 && pauses[1]! >= 800 && pauses[2]! >= 1600, `pauses: ${pauses}`)
      t.match(failed[0], {
        err: { message: 'a worker ended before it listened: exit status 7' },
        left: 1,
        nextStartMs: 400,
      })
      t.ok(isAlive(other))
      t.equal((await send(`${url}/nothing`)).status, 404)
      rmSync(flag)
      t.equal((await workersOf(command, 3)).length, 3)
    },
  )

  await t.test('readiness: what every worker says, and whether any listens (H-31)', async (t) => {
    const provider = await serve(t, (request, response) => {
      const issuer = `http://${request.headers.host}`
      response.setHeader('content-type', 'application/json').end(
        JSON.stringify({
          issuer,
          authorization_endpoint: `${issuer}/authorize`,
          token_endpoint: `${issuer}/token`,
          jwks_uri: `${issuer}/jwks`,
          response_types_supported: ['code'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: ['RS256'],
          code_challenge_methods_supported: ['S256'],
        }),
      )
    })
    const command = await gateway(t, redis, {
      provider: { issuer: provider, clientId: 'gateway', clientSecret: 'gateway-secret' },
    })
    const { adminUrl } = await command.ready()
    const readyz = async () => {
      const { status, body } = await send(`${adminUrl}/readyz`)
      return { code: status, ...JSON.parse(body) }
    }
    const ready = { code: 200, status: 'ready' }
    const notReady = { code: 503, status: 'not ready' }
    t.same(await readyz(), {
      ...ready,
      checks: { forwarding: 'ok', store: 'ok', provider: 'ok', workers: 'ok', draining: false },
    })
    const [first, second] = (await workersOf(command)) as [number, number]
    process.kill(first, 'SIGSTOP')
    t.match(await readyz(), { ...notReady, checks: { store: 'the check failed' } })
    process.kill(first, 'SIGCONT')
    t.match(await readyz(), ready)

    redis.pause()
    t.teardown(() => redis.resume())
    t.match(await readyz(), {
      ...notReady,
      checks: { forwarding: /^redis store: read: /, store: /^redis store: check: /, workers: 'ok' },
    })
    process.kill(first, 'SIGKILL')
    process.kill(second, 'SIGKILL')
    await command.loggedTimes(2, 'a worker ended, starting another')
    t.match(await readyz(), { ...notReady, checks: { workers: '0 of 2 listen' } })
    redis.resume()
    await until(async () => (await readyz()).status === 'ready')
  })
}

/** A gateway with requests on its workers that no upstream answers; `asked` are their answers. */
async function busy(t: Test, redis: RedisServer, more: Partial<GatewayInput> = {}, options?: CommandOptions) {
  const held: ServerResponse[] = []
  const slow = await serve(t, (request, response) => {
    if (request.url === '/events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: first\n\n')
    } else held.push(response)
  })
  const upstreams = [{ prefix: '/slow', target: slow, public: true }]
  const command = await gateway(t, redis, { ...more, upstreams }, options)
  const { url, adminUrl } = await command.ready()
  const answers: Promise<CommandAnswer>[] = []
  while (answers.length < 2) {
    answers.push(send(`${url}/slow`))
    // Connections that come one by one go round, so that each worker has one.
    await until(() => held.length === answers.length)
  }
  const asked = Promise.all(answers)
  asked.catch(() => {})
  return { command, url, adminUrl, asked, held }
}

/** An event stream whose first event has arrived; `ended` when it is over, in whichever way. */
async function openStream(url: string): Promise<{ ended: Promise<unknown> }> {
  const asking = request(url, { headers: { host: publicHost }, agent: new Agent() }).end()
  const [response] = (await once(asking, 'response')) as [IncomingMessage]
  await once(response, 'data')
  response.on('error', () => {})
  return { ended: once(response, 'close') }
}

/** One connection that is kept, for one request after the other. */
class KeptConnection {
  isOpen = true
  readonly #socket: Socket

  static async open(url: string): Promise<KeptConnection> {
    const socket = connect(Number(new URL(url).port), '127.0.0.1')
    await once(socket, 'connect')
    return new KeptConnection(socket)
  }

  constructor(socket: Socket) {
    this.#socket = socket
    socket
      .on('error', () => {})
      .on('close', () => {
        this.isOpen = false
      })
  }

  /** What comes first of the answer. */
  async get(path: string): Promise<string> {
    this.#socket.write(`GET ${path} HTTP/1.1\r\nhost: ${publicHost}\r\n\r\n`)
    return String((await once(this.#socket, 'data'))[0])
  }
}
