/** The cases of logins and of many sessions: they are measured without an error, and the traffic is what they say. */
import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import t, { type Test } from 'tap'
import { burstOrder } from '../../benchmarks/cases/sessions/bursts.ts'
import { runOurs } from '../../benchmarks/load/ours/load.ts'
import type { Measured } from '../../benchmarks/measure/rounds.ts'
import type { Report } from '../../benchmarks/report/report.ts'
import { bench } from '../support/bench.ts'
import { noRedis } from '../support/redis-server.ts'

const TINY = ['--rounds', '1', '--seconds', '0.1']
const redis = (name: string) => (noRedis ? [] : [name])

/** What was measured of a case in its smallest form: the base first. */
async function smallest(t: Test, name: string, ...peers: readonly string[]): Promise<readonly Measured[]> {
  const out = t.testdir()
  const wanted = peers.flatMap((peer) => ['--peer', peer])
  const { code, stderr } = await bench('--case', name, ...wanted, ...TINY, '--out', out)
  t.equal(code, 0, stderr)
  const { raw } = JSON.parse(readFileSync(join(out, 'results.json'), 'utf8')) as Report
  const slices = raw[name]?.slices ?? []
  t.ok(slices.every(({ errors, requests }) => errors === 0 && requests > 0))
  return slices
}

function namesOf(slices: readonly Measured[]): readonly string[] {
  return [...new Set(slices.map(({ name }) => name))]
}

t.test(
  'an exchange is measured against the least that can be called one, beside other servers',
  async (t) => {
    const slices = await smallest(t, 'token-exchange', 'node-oauth', 'oidc-provider')
    t.same(namesOf(slices), ['minimal', 'node-oauth', 'oidc-provider'])
    // 150 codes, each used once; the first third is the warm-up.
    t.ok(slices.every(({ requests }) => requests === 100))
  },
)

t.test('a callback is asked with the state and the cookies of a login, each once', async (t) => {
  const slices = await smallest(t, 'callback', 'gateway')
  t.same(namesOf(slices), ['minimal', 'gateway', ...redis('gateway-redis')])
  t.ok(slices.every(({ requests }) => requests === 100))
})

t.test('sessions that were planted are served, in memory and in Redis', async (t) => {
  const slices = await smallest(t, 'many-sessions', 'gateway-bursts', 'gateway-redis-bursts')
  t.same(namesOf(slices), ['gateway-one', 'gateway-bursts', ...redis('gateway-redis-bursts')])
})

t.test('the first use of a token is of one that was not used before', async (t) => {
  const slices = await smallest(t, 'forward-first-use', 'gateway-first')
  t.same(namesOf(slices), ['gateway', 'gateway-first'])
  // 600 tokens, each used once; the first third is the warm-up.
  t.equal(slices.find(({ name }) => name === 'gateway-first')?.requests, 400)
})

t.test(
  'bursts are of calls that are close together, of sessions that call about once in a minute',
  async (t) => {
    const habit = { sessions: 1000, calls: 5, burstSeconds: 2, secondsBetween: 60 }
    const order = burstOrder(habit)
    t.same(order, burstOrder(habit), 'the same for every server')
    t.equal(order.length, 5000)
    const seen = new Map<number, number>()
    let close = 0
    for (const [at, session] of [...order, ...order].entries()) {
      // As many calls come in two seconds, and a few more or less.
      if (at >= order.length && at - seen.get(session)! < order.length / 25) close += 1
      seen.set(session, at)
    }
    t.ok(seen.size > 590 && seen.size < 680, `${seen.size} have called: all but one in e`)
    t.ok(close > 0.79 * order.length && close < 0.86 * order.length, `${close} follow another of their burst`)
  },
)

t.test('requests are sent once each, and then in the order that the plan has', async (t) => {
  const paths: string[] = []
  const server = createServer((socket) => {
    socket.on('data', (bytes) => {
      paths.push(bytes.toString('latin1').split(' ')[1]!)
      socket.write('HTTP/1.1 204 No Content\r\n\r\n')
    })
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => server.close())
  const { errors } = await runOurs({
    ...{ generator: 'ours', mode: 'repeat', connections: 1, warmUpSeconds: 0, seconds: 0.1 },
    ...{ uploadBytes: 0, status: 204, processes: [], core: null },
    port: (server.address() as AddressInfo).port,
    requests: ['/a', '/b'].map((path) => ({ method: 'GET', path, headers: {} })),
    ...{ before: 2, order: [1, 0, 1] },
  })
  t.equal(errors, 0)
  t.same(paths.slice(0, 8), ['/a', '/b', '/b', '/a', '/b', '/b', '/a', '/b'])
})
