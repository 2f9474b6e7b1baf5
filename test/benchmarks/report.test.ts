/** What the benchmarks make of their slices: ratios, verdicts, comparisons. Of the pages: pages.test.ts. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { hostname } from 'node:os'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { describeMachine } from '../../benchmarks/measure/machine.ts'
import type { CaseResult, Measured } from '../../benchmarks/measure/rounds.ts'
import { rounds } from '../../benchmarks/measure/statistics.ts'
import type { Case } from '../../benchmarks/plan/case.ts'
import { root } from '../../benchmarks/plan/project.ts'
import { betterElsewhere } from '../../benchmarks/report/better.ts'
import { compare } from '../../benchmarks/report/compare.ts'
import { verdictText } from '../../benchmarks/report/format.ts'
import { isDisturbed, type Row, type Summary, summarize } from '../../benchmarks/report/summary.ts'
import { judge } from '../../benchmarks/report/targets.ts'
import { terminalTable, terminalVerdicts } from '../../benchmarks/report/terminal.ts'
import { report, row, summary } from '../support/benchmark-results.ts'

/** A slice of one second on a core that is used up, unless `more` says otherwise. */
function slice(
  name: string,
  round: number,
  place: number,
  requests: number,
  more: Partial<Measured> = {},
): Measured {
  return {
    name,
    round,
    place,
    requests,
    seconds: 1,
    errors: 0,
    errorTexts: [],
    cpuNanoseconds: 1e9,
    latency: { p50: 1e6, p90: 2e6, p99: 3e6, p999: 4e6, max: 5e6 },
    memory: { idle: 50e6, warm: 60e6, peak: 70e6 },
    ...more,
  }
}

/** A case of the base and others, in summary. */
function summarized(slices: readonly Measured[], more: Partial<Case> = {}): Summary {
  const peer = (name: string) =>
    ({ peer: { name, title: name, authenticates: name !== 'bare' } }) as unknown as Case['base']
  const one: Case = {
    name: 'a-case',
    title: 'A case',
    metric: 'rate',
    mode: 'repeat',
    connections: 1,
    base: peer('bare'),
    contenders: [peer('gateway'), peer('nginx')],
    ...more,
  }
  const result: CaseResult = { slices, failures: {}, allocations: {}, bytesPerSession: {} }
  return summarize(one, result, 'wrk')
}

/** The line of the gateway. */
function measured(slices: readonly Measured[], more: Partial<Case> = {}): Row | undefined {
  return summarized(slices, more).rows.find(({ name }) => name === 'gateway')
}

t.test('a ratio is to the bases right before and after, in the same round', async (t) => {
  const drifting = measured([
    slice('bare', 0, 0, 1000),
    slice('gateway', 0, 1, 900),
    slice('bare', 0, 2, 2000),
    slice('bare', 0, 4, 9000),
    slice('bare', 1, 0, 500),
    slice('gateway', 1, 1, 500),
    slice('bare', 1, 2, 500),
  ])
  t.same(drifting?.ratio?.raw, [0.6, 1])
  t.equal(drifting?.ratio?.median, 0.8)
  t.equal(drifting?.byCpu, false)
})

t.test(
  'of a server that did not use its core, the ratio is of requests per second of CPU time',
  async (t) => {
    const slices = [
      slice('bare', 0, 0, 1000),
      slice('gateway', 0, 1, 1000, { cpuNanoseconds: 0.25e9 }),
      slice('bare', 0, 2, 1000),
    ]
    const byCpu = measured(slices)
    t.equal(byCpu?.ratio?.median, 4)
    t.equal(byCpu?.byCpu, true)
    t.equal(byCpu?.cpuMicroseconds?.median, 250)
    const unknown = measured(slices.map(({ cpuNanoseconds: _, ...rest }) => rest))
    t.equal(unknown?.ratio?.median, 1, 'where the kernel does not tell, of requests per second')
  },
)

t.test(
  'what is compared is the 99th percentile, or the growth of memory, where the case says so',
  async (t) => {
    const slices = [
      slice('bare', 0, 0, 1000),
      slice('gateway', 0, 1, 1000, {
        latency: { p50: 1, p90: 2, p99: 6e6, p999: 7e6, max: 8e6 },
        memory: { idle: 100e6, warm: 100e6, peak: 110e6 },
      }),
    ]
    t.equal(measured(slices, { metric: 'p99' })?.ratio?.median, 2)
    t.equal(measured(slices, { metric: 'memory' })?.ratio?.median, 0.5)
  },
)

t.test('every server that did better is named, and none that did not or did other work', async (t) => {
  const rate = summary([
    row('bare'),
    row('gateway', [0.9], { peakMegabytes: 100 }),
    row('bare-again', [1.2]),
    row('gateway-redis', [1.1]),
    row('nginx', [2.7, 3.6, 3.6], { peakMegabytes: 14.4 }),
    row('caddy', [0.5], { peakMegabytes: 99 }),
    row('http-proxy', [0.92]),
    row('apache', [], { problem: 'not installed' }),
  ])
  t.equal(
    betterElsewhere([report([rate])]),
    `**forward-get**, requests per second in relation to the gateway's:

| server | Node 20 |
|---|---:|
| title of bare | 1.11 times |
| title of nginx | 4.00 times |

**forward-get**, MB resident at the peak:

| server | Node 20 |
|---|---:|
| title of nginx | 14 (the gateway: 100) |`,
  )
  const rows = [row('bare'), row('gateway', [2]), row('http-proxy', [3]), row('nginx', [0.5])]
  t.equal(
    betterElsewhere([report([summary(rows, { name: 'latency', metric: 'p99' })])]),
    `**latency**, 99th percentile of the latency in relation to the gateway's:

| server | Node 20 |
|---|---:|
| title of bare | 0.50 times |
| title of nginx | 0.25 times |`,
  )
  const introspect = summary([row('hello'), row('gateway', [0.2])], { name: 'introspect', base: 'hello' })
  t.equal(betterElsewhere([report([introspect])]), 'Nothing that was measured in this run.')
  const logins = [
    row('minimal'),
    row('gateway', [0.4]),
    row('node-oauth', [0.5]),
    row('oidc-provider', [0.3]),
  ]
  t.equal(
    betterElsewhere([report([summary(logins, { name: 'token-exchange', base: 'minimal' })])]),
    `**token-exchange**, requests per second in relation to the gateway's:

| server | Node 20 |
|---|---:|
| title of node-oauth | 1.25 times |`,
  )
})

t.test('a server that did better on one Node is named, with what it did on the others', async (t) => {
  const on = (node: string, nginx: number, name = 'forward-get') =>
    report([summary([row('bare'), row('gateway', [1]), row('nginx', [nginx])], { name })], { node })
  t.equal(
    betterElsewhere([on('v20.1.0', 0.9), on('v22.1.0', 1.5), on('v24.1.0', 2, 'connections-1')]),
    `**forward-get**, requests per second in relation to the gateway's:

| server | Node 20 | Node 22 | Node 24 |
|---|---:|---:|---:|
| title of nginx | 0.90 times | 1.50 times |  |

**connections-1**, requests per second in relation to the gateway's:

| server | Node 20 | Node 22 | Node 24 |
|---|---:|---:|---:|
| title of nginx |  |  | 2.00 times |`,
  )
})

t.test('a target is judged if both of its sides were measured', async (t) => {
  const verdicts = judge([
    summary([
      row('bare'),
      row('gateway', [0.9]),
      row('nginx', [4.5]),
      row('caddy', [0.5]),
      row('http-proxy', [], { problem: 'void' }),
    ]),
    summary([row('bare'), row('gateway', [1.6])], { name: 'latency', metric: 'p99' }),
    summary([row('bare'), row('gateway', [1], { idleMegabytes: 100, peakMegabytes: 141 })], {
      name: 'slow-readers',
      metric: 'memory',
    }),
  ])
  t.same(verdicts.map(verdictText), [
    'forward-get: gateway / bare 0.90, at least 0.9: met',
    'forward-get: gateway / caddy 1.80, at least 1.5: met',
    'forward-get: gateway / nginx 0.20, at least 0.25: missed',
    'slow-readers: gateway, MB over idle 41.00, at most 40: missed',
    'latency: gateway / bare 1.60, at most 1.5: missed',
  ])
})

t.test('a target is not judged if something else ran beside one of its sides', async (t) => {
  const quiet = { slices: { slices: 18, disturbed: 1 } }
  const busy = { slices: { slices: 18, disturbed: 2 } }
  const rows = [
    row('bare'),
    row('gateway', [0.9], quiet),
    row('nginx', [4.5], quiet),
    row('caddy', [0.5], busy),
    row('http-proxy', [0.8], busy),
  ]
  const verdicts = judge([summary(rows, { slices: 100, disturbed: 5 })])
  t.same(verdicts.map(verdictText), [
    'forward-get: gateway / bare 0.90, at least 0.9: met',
    'forward-get: gateway / http-proxy 1.13, at least 1.3: not judged: disturbed',
    'forward-get: gateway / caddy 1.80, at least 1.5: not judged: disturbed',
    'forward-get: gateway / nginx 0.20, at least 0.25: missed',
  ])
  t.match(terminalVerdicts(verdicts), /caddy 1\.80, at least 1\.5: not judged: disturbed$/m)
  const [before] = judge([summary([row('bare'), row('gateway', [0.9])], { slices: 100, disturbed: 11 })])
  t.equal(before?.outcome, 'disturbed', 'results that tell of the case alone')
})

t.test('of a server, its own slices count and those of the base beside them', async (t) => {
  const disturbed = { foreignShare: 0.06 }
  const slices = [
    slice('bare', 0, 0, 1000, disturbed),
    slice('gateway', 0, 1, 900),
    slice('bare', 0, 2, 1000),
    slice('nginx', 0, 3, 3000, { foreignShare: 0.04 }),
    slice('bare', 0, 4, 1000),
  ]
  const one = summarized(slices)
  t.same(
    one.rows.map(({ name, slices, authenticates }) => [name, slices, authenticates]),
    [
      ['bare', undefined, false],
      ['gateway', { slices: 3, disturbed: 1 }, true],
      ['nginx', { slices: 3, disturbed: 0 }, true],
    ],
  )
  t.same([one.slices, one.disturbed], [5, 1])
  t.equal(isDisturbed(one, ['bare', 'gateway']), true)
  t.equal(isDisturbed(one, ['bare', 'nginx']), false)
  t.equal(isDisturbed(one, ['gateway', 'nginx']), true)
})
t.test(
  'an exchange is judged by the Node that the servers ran on, and on Redis against memory',
  async (t) => {
    const rows = [
      row('minimal'),
      row('gateway', [0.48]),
      row('gateway-redis', [0.36]),
      row('node-oauth', [0.5]),
    ]
    const exchange = [summary(rows, { name: 'token-exchange', base: 'minimal' })]
    const others = [
      'token-exchange: gateway / node-oauth 0.96, at least 0.9: met',
      'token-exchange: gateway-redis / gateway 0.75, at least 0.65: met',
    ]
    t.same(judge(exchange, 'v20.20.2').map(verdictText), [
      'token-exchange: gateway / minimal 0.48, at least 0.45: met',
      ...others,
    ])
    t.same(judge(exchange, 'v24.3.0').map(verdictText), [
      'token-exchange: gateway / minimal 0.48, at least 0.5: missed',
      ...others,
    ])
  },
)

t.test('a comparison tells what is better, worse, the same and gone', async (t) => {
  const before = [
    row('bare'),
    row('gateway', [0.9, 0.91]),
    row('nginx', [3, 3.1]),
    row('caddy', [0.5]),
    row('apache', [1]),
  ]
  const after = [
    row('bare'),
    row('gateway', [0.7, 0.72]),
    row('nginx', [3.05, 4]),
    row('caddy', [0.6], { byCpu: true }),
    row('apache', [], { problem: 'void: 1 errors' }),
    row('haproxy', [3]),
  ]
  t.equal(
    compare(report([summary(before)]), report([summary(after)])),
    `
compared with 0123456789ab, node v20.20.2, 2026-01-05T08:00:00.000Z
  WORSE  forward-get: gateway 0.91 → 0.71 (-21.5 %)
  same  forward-get: nginx 3.05 → 3.52 (15.6 %)
  BETTER  forward-get: caddy 0.50 → 0.60 (20.0 %, only one of them of CPU time)
  GONE  forward-get: apache: void: 1 errors
`,
  )
  const busy = summary([row('bare'), row('gateway', [0.5], { slices: { slices: 6, disturbed: 1 } })])
  for (const [one, other] of [
    [busy, summary(before)],
    [summary(before), busy],
  ] as const)
    t.match(compare(report([one]), report([other])), /NOT JUDGED {2}forward-get: gateway .* %, disturbed\)/)
  const latency = (ratio: number) =>
    summary([row('bare'), row('gateway', [ratio])], { name: 'latency', metric: 'p99' })
  t.match(compare(report([latency(1)]), report([latency(1.2)])), 'WORSE  latency: gateway')
  t.match(compare(report([latency(1)]), report([latency(0.8)])), 'BETTER  latency: gateway')
  t.match(
    compare(report([latency(1)], { cpu: 'another' }), report([summary(after)])),
    /another CPU: .*\n {2}nothing in common/,
  )
})

const whole = summary(
  [
    row('bare', [], { requestsPerSecond: rounds([20_000]), cpuMicroseconds: rounds([50]) }),
    row('gateway', [0.9, 0.95], { byCpu: true, requestsPerSecond: rounds([18_000, 19_000]) }),
    row('nginx', [3]),
    row('a server with a long name', [], { problem: 'it answers 502: <html>a|b' }),
  ],
  { disturbed: 2 },
)

t.test('the terminal shows the same lines, aligned', async (t) => {
  const [, title, head, ...lines] = terminalTable(whole).split('\n')
  t.equal(title, 'forward-get: a title')
  const end = head!.indexOf('ratio') + 'ratio'.length
  t.match(lines[1], '  0.93 c  0.90 0.95  ')
  t.equal(lines[1]!.indexOf(' c') + 2, end, 'numbers end where their column ends')
  t.match(lines[3], /^title of a server with a long name {2}it answers 502/)
})

t.test('neither the folder nor the name of the machine is in the facts', async (t) => {
  const described = describeMachine(process.execPath)
  t.match(described.node, process.version)
  for (const version of Object.values(described.servers)) t.match(version, /^\d+\.\d\S*$/)
  const text = JSON.stringify(described)
  t.notMatch(text, root)
  t.notOk(new RegExp(`\\b${hostname()}\\b`).test(text), 'no host name')
})

t.test('what a run has started ends with it, children included', async (t) => {
  const module = fileURLToPath(new URL('../../benchmarks/measure/process.ts', import.meta.url))
  const output = `${t.testdir()}/output`
  // As of nginx and Apache, whose workers are processes of their own.
  const script = `
    import { Started } from ${JSON.stringify(module)}
    const args = ['-c', 'sleep 300 & echo $!; wait']
    const started = new Started({ file: 'sh', args }, null, ${JSON.stringify(output)})
    while (started.output() === '') await new Promise((resolve) => setTimeout(resolve, 10))
    process.stdout.write(started.output(), () => process.exit(1))
  `
  const loader = ['--import=ts-blank-space/register', '--input-type=module', '--eval', script]
  const run = spawn(process.execPath, loader, { stdio: ['ignore', 'pipe', 'inherit'] })
  let pid = ''
  run.stdout.on('data', (text) => {
    pid += text
  })
  await once(run, 'close')
  t.match(pid, /^\d+\n$/)
  const signal = (name: 0 | 'SIGKILL') => {
    try {
      return process.kill(Number(pid), name)
    } catch {
      return false
    }
  }
  const isAlive = () => signal(0)
  t.teardown(() => signal('SIGKILL'))
  for (let tries = 0; isAlive() && tries < 500; tries += 1) await new Promise((go) => setTimeout(go, 10))
  t.notOk(isAlive())
})
