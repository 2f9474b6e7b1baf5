/** Logs that cannot be written, on real descriptors: the process goes on (requirements Q-02). */
import { type ChildProcess, type StdioOptions, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import t, { type Test } from 'tap'
import { compiledGateway } from '../../../support/compiled-gateway.ts'
import { configFile, publicHost, send, serve, values } from '../../../support/gateway-command.ts'
import { freePort } from '../../../support/gateway-stack.ts'
import { scrape } from '../../../support/metrics-scrape.ts'
import { noRedis, startRedis } from '../../../support/redis-server.ts'
import { until } from '../../../support/wait.ts'

t.setTimeout(120_000)

interface Setup {
  readonly stdio: StdioOptions
  /** Run in a shell, with the gateway as `"$@"`. */
  readonly shell?: string
  readonly workers?: { readonly count: number; readonly storeUrl: string }
}

/** A gateway as a process with a public route that answers and one whose upstream is gone, once it is ready. */
async function gateway(t: Test, { stdio, shell, workers }: Setup) {
  const origin = await serve(t, (_request, response) => response.end('ok'))
  const [port, adminPort] = [await freePort(), await freePort()]
  const open = { public: true, credentials: 'none' as const, methods: ['GET' as const] }
  const config = configFile(
    t,
    values({
      listen: { port },
      admin: { port: adminPort },
      upstreams: [
        { prefix: '/up', target: origin, ...open },
        { prefix: '/down', target: 'http://127.0.0.1:1', ...open },
      ],
      log: { requests: 'all' },
      ...(workers && {
        workers: workers.count,
        store: { type: 'redis', url: workers.storeUrl },
        secrets: ['c2VydmVyLXNlY3JldC1vZi0zMi1ieXRlcy1hdC1sZWFzdC4'],
      }),
    }),
  )
  const command = [process.execPath, await compiledGateway(), '--config', config]
  const [program, ...args] = shell === undefined ? command : ['/bin/sh', '-c', shell, 'sh', ...command]
  const child = spawn(program!, args, { stdio, env: { PATH: process.env.PATH }, detached: true })
  child.stdio[3]?.on('error', () => {})
  const exited = once(child, 'exit') as Promise<[number | null, string | null]>
  t.teardown(async () => {
    // With the shell's other processes, and the workers.
    try {
      process.kill(-child.pid!, 'SIGKILL')
    } catch {
      // They have all ended.
    }
  })
  await until(async () => {
    if (child.exitCode !== null) throw new Error(`exited with ${child.exitCode}`)
    const { status } = await send(`http://127.0.0.1:${port}/up`).catch(() => ({ status: 0 }))
    if (status !== 200 || workers === undefined) return status === 200
    // Its provider is absent; but all of the workers listen.
    const { body } = await send(`http://127.0.0.1:${adminPort}/readyz`)
    return JSON.parse(body).checks.workers === 'ok'
  })
  const ask = async (path: string) => (await send(`http://127.0.0.1:${port}${path}`)).status
  return { child, ask, exited, port, adminUrl: `http://127.0.0.1:${adminPort}` }
}

async function goesOn(t: Test, { child, ask, exited }: Awaited<ReturnType<typeof gateway>>): Promise<void> {
  for (let i = 0; i < 10; i++) {
    t.equal(await ask('/up/x'), 200)
    t.equal(await ask('/down/x'), 502)
    t.equal(await ask('/nowhere'), 404)
  }
  child.kill('SIGTERM')
  t.same(await exited, [0, null])
}

function linesOf(child: ChildProcess, name: 'stdout' | 'stderr'): string[] {
  const lines: string[] = []
  createInterface({ input: child[name]! }).on('line', (line) => lines.push(line))
  return lines
}

t.test(
  '/dev/full: the service goes on, and standard error and /metrics say what is lost (Q-02)',
  async (t) => {
    const full = openSync('/dev/full', 'w')
    const running = await gateway(t, { stdio: ['ignore', full, 'pipe'] })
    const stderr = linesOf(running.child, 'stderr')
    t.equal(await running.ask('/nowhere'), 404)
    await until(async () => (await scrape(running.adminUrl)).value('pkce_log_lines_dropped_total') > 0)
    await goesOn(t, running)
    t.match(stderr.join('\n'), /^pkce-gateway: \d+ log lines were lost .*ENOSPC$/m)
  },
)

t.test('/dev/full for standard error too (Q-02)', async (t) => {
  const full = openSync('/dev/full', 'w')
  await goesOn(t, await gateway(t, { stdio: ['ignore', full, full] }))
})

t.test('a pipe whose reader has gone, of both streams (pino #539, Q-02)', async (t) => {
  const running = await gateway(t, { stdio: ['ignore', 'pipe', 'pipe'] })
  running.child.stdout!.destroy()
  running.child.stderr!.destroy()
  await goesOn(t, running)
})

t.test('… | head -1: the service goes on (Q-02)', async (t) => {
  const shell = 'exec 3>&1; "$@" 2>&3 | head -1; echo the reader has gone; wait'
  const running = await gateway(t, { stdio: ['ignore', 'pipe', 'pipe'], shell })
  const stdout = linesOf(running.child, 'stdout')
  await until(() => stdout.length > 0)
  for (let i = 0; i < 20; i++) t.equal(await running.ask('/up/x'), 200)
  await until(() => stdout.some((line) => /pkce-gateway: \d+ log lines? w.* EPIPE/.test(line)))
})

t.test('a limit of the size of files (EFBIG, SIGXFSZ; Q-02)', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'pkce-log-'))
  t.teardown(() => rmSync(folder, { recursive: true }))
  const file = join(folder, 'log')
  const running = await gateway(t, {
    stdio: ['ignore', openSync(file, 'a'), 'pipe'],
    // What the test runner would have the process write at its end is a file as well.
    shell: 'unset NODE_OPTIONS; ulimit -f 1; exec "$@"',
  })
  const stderr = linesOf(running.child, 'stderr')
  await goesOn(t, running)
  t.match(stderr.join('\n'), /log lines were lost .*EFBIG/)
  t.ok(readFileSync(file).length <= 1024)
})

for (const kind of ['a pipe', 'a socket'] as const) {
  t.test(`${kind} that nobody reads: no request waits, and what is read later is whole (Q-02)`, async (t) => {
    const shell = kind === 'a pipe' ? '"$@" | (read -r go <&3; cat)' : 'exec "$@"'
    const running = await gateway(t, { stdio: ['ignore', 'pipe', 'pipe', 'pipe'], shell })
    const { child, port } = running
    const stderr = linesOf(child, 'stderr')
    // Each makes a line of a kilobyte or so; together more than what may wait and a pipe or a socket holds.
    const path = `/nowhere/${'a-long-name/'.repeat(20)}`
    let slowest = 0
    for (let round = 0; round < 100; round++) {
      const from = performance.now()
      const statuses = await Promise.all(
        Array.from({ length: 60 }, () => send(`http://127.0.0.1:${port}${path}`)),
      )
      t.equal(new Set(statuses.map(({ status }) => status)).size, 1)
      slowest = Math.max(slowest, performance.now() - from)
    }
    t.ok(slowest < 5000, `${Math.round(slowest)} ms for 60 requests`)
    await until(() => stderr.some((line) => /log lines? w.*its reader does not read/.test(line)))
    const stdout = linesOf(child, 'stdout')
    ;(child.stdio[3] as NodeJS.WritableStream).write('go\n')
    await until(() => stdout.length > 2000)
    await send(`http://127.0.0.1:${port}/after`, { headers: { host: publicHost } })
    await until(() => stdout.some((line) => line.includes('"path":"/after"')))
    for (const line of stdout) if (!isJson(line)) t.fail(`not whole: ${line.slice(0, 200)}`)
  })
}

t.test('workers, whose standard output is inherited (Q-02)', { skip: noRedis }, async (t) => {
  const redis = await startRedis()
  t.teardown(() => redis.stop())
  const full = openSync('/dev/full', 'w')
  const running = await gateway(t, {
    stdio: ['ignore', full, 'pipe'],
    workers: { count: 2, storeUrl: redis.url },
  })
  const stderr = linesOf(running.child, 'stderr')
  await goesOn(t, running)
  const processes = new Set(stderr.map((line) => /lost \(process (\d+)\).*ENOSPC/.exec(line)?.[1]))
  t.ok(processes.size >= 3, 'each tells of its own')
})

function isJson(line: string): boolean {
  try {
    JSON.parse(line)
    return true
  } catch {
    return false
  }
}
