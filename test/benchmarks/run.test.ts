/** The benchmarks as their users run them: the command, the compiled servers, one tiny round. They must not rot. */
import { once } from 'node:events'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { join } from 'node:path'
import t from 'tap'
import { allCases } from '../../benchmarks/cases/index.ts'
import { Tunnel } from '../../benchmarks/load/ours/tunnel.ts'
import { readAllocation } from '../../benchmarks/measure/allocation.ts'
import { changed, rounds } from '../../benchmarks/measure/statistics.ts'
import { compare } from '../../benchmarks/report/compare.ts'
import type { Report } from '../../benchmarks/report/report.ts'
import { echo } from '../../benchmarks/servers/echo.ts'
import { EventReader, TEXT } from '../../benchmarks/servers/event-stream.ts'
import { makeKeys } from '../../benchmarks/servers/keys.ts'
import { serverFrame } from '../../benchmarks/servers/websocket.ts'
import { bench } from '../support/bench.ts'
import { noRedis } from '../support/redis-server.ts'

/** The same, whatever else ran on this machine: what was disturbed is not judged. */
function undisturbed(report: Report): Report {
  const summaries = report.summaries.map((summary) => ({
    ...summary,
    disturbed: 0,
    rows: summary.rows.map((row) => ({
      ...row,
      ...(row.slices && { slices: { ...row.slices, disturbed: 0 } }),
    })),
  }))
  return { ...report, summaries }
}

const smallest = [
  '--case',
  'forward-get',
  '--peer',
  'gateway',
  '--rounds',
  '1',
  '--seconds',
  '1',
  '--load',
  'ours',
]

t.test(
  'a forward with a DPoP proof is measured against one with a bearer token, in one run (O-04)',
  async (t) => {
    const out = t.testdir()
    const args = [
      '--case',
      'forward-dpop',
      '--peer',
      'gateway-dpop-es256',
      '--rounds',
      '1',
      '--seconds',
      '0.1',
    ]
    const { code, stderr } = await bench('--profile', 'smoke', ...args, '--out', out)
    t.equal(code, 0, stderr)
    const { summaries, raw } = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as Report
    const slices = raw['forward-dpop']?.slices ?? []
    t.same(
      slices.map(({ name }) => name),
      ['gateway', 'gateway-dpop-es256', 'gateway'],
    )
    t.ok(slices.every(({ errors, requests }) => errors === 0 && requests > 0))
    t.same(raw['forward-dpop']?.failures, {})
    t.ok(summaries[0]?.rows.find(({ name }) => name === 'gateway-dpop-es256')?.ratio)
  },
)

t.test('a smoke run gives a whole report without an error', async (t) => {
  const out = t.testdir()
  const { code, stdout, stderr } = await bench('--profile', 'smoke', ...smallest, '--out', out)
  t.equal(code, 0, stderr)
  const report = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as Report

  const { machine, summaries, raw } = report
  for (const fact of [machine.cpu, machine.kernel, machine.node, machine.commit, machine.date]) t.ok(fact)
  t.ok(machine.packages.fastify && machine.packages.undici, 'the versions of what is measured')
  const slices = raw['forward-get']?.slices ?? []
  t.same(
    slices.map(({ name }) => name),
    ['bare', 'gateway', 'bare'],
    'the base before and after',
  )
  t.ok(slices.every(({ errors, requests }) => errors === 0 && requests > 0))
  t.same(raw['forward-get']?.failures, {})
  const row = summaries[0]?.rows.find(({ name }) => name === 'gateway')
  t.ok(row?.ratio && row.ratio.median > 0 && row.ratio.raw.length === 1)
  t.ok(row?.p99 && row.p99.median > 0 && row.p50 && row.p50.median <= row.p99.median)
  if (existsSync('/proc/self/schedstat')) t.ok(row?.cpuMicroseconds && row.cpuMicroseconds.median > 0)
  t.match(stdout, /the gateway, default options/)
  t.match(compare(undisturbed(report), undisturbed(report)), /same {2}forward-get: gateway .* \(0\.0 %\)/)
  t.match(readFileSync(join(out, 'results.md'), 'utf8'), /^## forward-get$/m)

  const whole = join(out, 'whole')
  const file = join(out, 'results.json')
  const next = ['--case', 'connections-1', ...smallest, '--continue', file, '--out', whole]
  const continued = await bench('--profile', 'full', ...next)
  t.equal(continued.code, 0, continued.stderr)
  const both = JSON.parse(readFileSync(join(whole, 'results.json'), 'utf8')) as Report
  t.same(Object.keys(both.raw), ['forward-get', 'connections-1'])
  t.same(both.raw['forward-get'], raw['forward-get'], 'taken over, not measured again')
  const text = readFileSync(join(whole, 'results.md'), 'utf8')
  for (const name of ['forward-get', 'connections-1']) t.match(text, new RegExp(`^## ${name}$`, 'm'))

  const [first, second] = both.parts
  t.same([first?.cases, second?.cases], [['forward-get'], ['connections-1']])
  t.match(first?.command, / --profile smoke --case forward-get /)
  t.match(second?.command, / --profile full --case connections-1 .* --continue results\.json --out whole$/)

  const other = join(out, 'other.json')
  writeFileSync(other, JSON.stringify({ ...report, machine: { ...machine, node: 'v99.0.0' } }))
  const beside = join(out, 'beside')
  const written = await bench(other, join(whole, 'results.json'), '--out', beside)
  t.equal(written.code, 0, written.stderr)
  const page = readFileSync(join(beside, 'results.md'), 'utf8')
  t.match(page, /^\| server \| Node \d+ \| Node 99 \|$/m)
  t.match(page, /^- Measured on Node \d+ only\.$/m)
  t.notOk(existsSync(join(beside, 'results.json')), 'nothing was measured')
  const twice = await bench(other, other)
  t.equal(twice.code, 2)
  t.match(twice.stderr, /two results of Node 99/)

  const elsewhere = join(whole, 'elsewhere.json')
  writeFileSync(elsewhere, JSON.stringify({ ...report, machine: { ...machine, cpu: 'another' } }))
  const refused = await bench('--continue', elsewhere)
  t.equal(refused.code, 2)
  t.match(refused.stderr, /--continue: .* another/)
})

t.test('event streams and WebSockets are measured without an error', async (t) => {
  const out = t.testdir()
  const cases = ['--case', 'event-streams', '--case', 'websocket-echo', '--peer', 'gateway']
  const { code, stderr } = await bench(...cases, '--rounds', '1', '--seconds', '0.2', '--out', out)
  t.equal(code, 0, stderr)
  const { raw } = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as Report
  for (const name of ['event-streams', 'websocket-echo']) {
    const slices = raw[name]?.slices ?? []
    t.equal(slices.length, 3, name)
    t.ok(slices.every(({ errors, requests, latency }) => errors === 0 && requests > 0 && latency.p50 > 0))
  }
})

t.test('where a session is to be read from Redis, each token is used once', { skip: noRedis }, async (t) => {
  const out = t.testdir()
  const only = ['--case', 'forward-session', '--peer', 'gateway-redis-cold']
  const { code, stderr } = await bench(...only, '--rounds', '1', '--seconds', '0.2', '--out', out)
  t.equal(code, 0, stderr)
  const { raw } = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as Report
  const cold = raw['forward-session']?.slices.find(({ name }) => name === 'gateway-redis-cold')
  t.equal(cold?.errors, 0)
  // 3,000 tokens, each used once; the first third is the warm-up.
  t.equal(cold?.requests, 2000)
})

t.test('an event that is missing, doubled or changed is an error', async (t) => {
  const event = (id: number, text = TEXT) => `id: ${id}\ndata: ${process.hrtime.bigint()} ${text}\n\n`
  const reader = () => new EventReader()
  const inPieces = reader()
  const both = event(1) + event(2)
  t.same(inPieces.read(both.slice(0, 100)), [], 'not yet complete')
  t.equal(inPieces.read(both.slice(100)).length, 2)
  t.throws(() => reader().read(event(2)), /event 1 is not as sent/)
  t.throws(() => reader().read(event(1) + event(1)), /event 2 is not as sent/)
  t.throws(() => reader().read(event(1, TEXT.replace('coffee', 'coffin'))), /event 1 is not as sent/)
})

t.test('an echo that is not what was sent is an error', async (t) => {
  const request = { method: 'GET', path: '/echo', headers: {} } as const
  const outcome = async (accept: (socket: Socket, head: string) => void) => {
    const server = createServer((socket) => {
      socket.once('data', (head) => accept(socket, head.toString('latin1')))
    }).listen(0, '127.0.0.1')
    await once(server, 'listening')
    t.teardown(() => server.close())
    const { port } = server.address() as AddressInfo
    return new Promise<string>((resolve) => {
      const tunnel = new Tunnel(port, request, 'a message', {
        opened: (opened) => opened.send(),
        echoed: () => resolve('echoed'),
        failed: (_, why) => resolve(why),
      })
      t.teardown(() => tunnel.close())
    })
  }
  t.equal(await outcome(echo), 'echoed')
  const another = (socket: Socket) => socket.write(serverFrame(Buffer.from('b message')))
  t.equal(
    await outcome((socket, head) => {
      echo(socket, head)
      socket.removeAllListeners('data').on('data', () => another(socket))
    }),
    'an echo is not what was sent',
  )
  t.equal(
    await outcome((socket) => socket.end('HTTP/1.1 401 Unauthorized\r\n\r\n')),
    'HTTP/1.1 401 Unauthorized',
  )
})

t.test('what is not there is refused, with what there is; exit status 2', async (t) => {
  const unknownCase = await bench('--case', 'forward-gte')
  t.equal(unknownCase.code, 2)
  t.match(unknownCase.stderr, /no case forward-gte; there are forward-get/)
  const noReport = await bench('--compare', join(t.testdir(), 'absent.json'))
  t.equal(noReport.code, 2)
  t.match(noReport.stderr, /--compare .*absent\.json/)
})

t.test('a change counts if it is over 5 % and the rounds do not overlap', async (t) => {
  const before = rounds([1, 1.01, 0.99])
  t.equal(before.median, 1)
  t.equal(rounds([4, 1, 3, 2]).median, 2.5)
  t.equal(changed(before, rounds([1.2, 1.1, 1.15])), 'faster')
  t.equal(changed(before, rounds([0.8, 0.9, 0.85])), 'slower')
  t.equal(changed(before, rounds([1.2, 1.005, 1.3])), 'same', 'they overlap')
  t.equal(changed(before, rounds([1.02, 1.03, 1.04])), 'same', 'less than 5 %')
})

t.test(
  'allocation is what lies between one collection and the next, in the measured time alone',
  async (t) => {
    const line = (at: number, before: number, after: number) =>
      `[7:0x55]    ${at} ms: Scavenge ${before}.0 (30.0) -> ${after}.0 (31.0) MB, 1.0 / 0.0 ms  (average mu = 1.0)`
    const early = line(10, 900, 100)
    const measured = [1000, 1100, 1200, 1300, 1400, 1500].map((at) => line(at, 20, 10))
    // 10 MiB in each 100 ms, of one second with 1,000 requests.
    const allocation = readAllocation([early, '{"level":30}', ...measured].join('\n'), 1000, 1)
    t.equal(allocation?.bytesPerRequest, (100 * 1024 * 1024) / 1000)
    t.equal(allocation?.collections, 5)
    t.equal(allocation?.gcShare, 0.01)
    t.equal(readAllocation('nothing', 1000, 1), undefined)
  },
)

t.test('every program of ours that a case starts is there', async (t) => {
  const keys = await makeKeys('http://127.0.0.1:1')
  const place = { port: 1, helperPort: 2, upstream: 3, provider: 4, redis: 5, folder: t.testdir(), keys }
  const peers = allCases(true).flatMap(({ base, contenders }) =>
    [base, ...contenders].map(({ peer }) => peer),
  )
  const programs = peers
    .filter(({ isNode }) => isNode)
    .flatMap((peer) => peer.commands({ ...place, node: process.execPath, nodeFlags: [] }))
    .flatMap(({ args }) => args.filter((arg) => arg.endsWith('.js')))
  t.ok(programs.some((program) => program.endsWith('full-gateway.js')))
  const missing = programs.filter((program) => !existsSync(program.replace(/js$/, 'ts')))
  t.same(missing, [])
})
