/** What the benchmarks make of their slices: ratios, verdicts, comparisons, Markdown and charts. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { hostname } from 'node:os'
import { fileURLToPath } from 'node:url'
import t from 'tap'
import { describeMachine, type Machine } from '../../benchmarks/measure/machine.ts'
import type { CaseResult, Measured } from '../../benchmarks/measure/rounds.ts'
import { rounds } from '../../benchmarks/measure/statistics.ts'
import type { Case } from '../../benchmarks/plan/case.ts'
import { root } from '../../benchmarks/plan/project.ts'
import { betterElsewhere } from '../../benchmarks/report/better.ts'
import { bars, chart } from '../../benchmarks/report/chart.ts'
import { compare } from '../../benchmarks/report/compare.ts'
import { verdictText } from '../../benchmarks/report/format.ts'
import { markdown } from '../../benchmarks/report/markdown.ts'
import type { Report } from '../../benchmarks/report/report.ts'
import { type Row, type Summary, summarize } from '../../benchmarks/report/summary.ts'
import { judge } from '../../benchmarks/report/targets.ts'
import { terminalTable } from '../../benchmarks/report/terminal.ts'

const machine: Machine = {
  date: '2026-01-05T08:00:00.000Z',
  cpu: 'a CPU',
  cores: 2,
  memoryBytes: 8e9,
  kernel: 'Linux 6',
  node: 'v20.20.2',
  packages: { fastify: '5.12.8' },
  servers: { nginx: '1.22.1' },
  commit: '0123456789ab',
  pinning: { server: '0', load: '1' },
  loadAverage: 0.1,
}

/** A line with its ratios; without any, the base. */
function row(name: string, raw: readonly number[] = [], more: Partial<Row> = {}): Row {
  return { name, title: `title of ${name}`, ...(raw.length > 0 && { ratio: rounds(raw) }), ...more }
}

function summary(rows: readonly Row[], more: Partial<Summary> = {}): Summary {
  const fixed = { title: 'a title', metric: 'rate', generator: 'wrk', slices: 3, disturbed: 0 } as const
  return { name: 'forward-get', base: 'bare', ...fixed, rows, ...more }
}

function report(summaries: readonly Summary[], change: Partial<Machine> = {}): Report {
  return {
    format: 1,
    profile: 'full',
    machine: { ...machine, ...change },
    timings: {},
    summaries,
    verdicts: judge(summaries),
    raw: {},
  }
}

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

/** A case of the base and one other, and the line of the other. */
function measured(slices: readonly Measured[], more: Partial<Case> = {}): Row | undefined {
  const peer = (name: string) => ({ peer: { name, title: name } }) as unknown as Case['base']
  const one: Case = {
    name: 'a-case',
    title: 'A case',
    metric: 'rate',
    mode: 'repeat',
    connections: 1,
    base: peer('bare'),
    contenders: [peer('gateway')],
    ...more,
  }
  const result: CaseResult = { slices, failures: {}, allocations: {}, bytesPerSession: {} }
  return summarize(one, result, 'wrk').rows.find(({ name }) => name === 'gateway')
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
    betterElsewhere([rate]),
    `**forward-get**, requests per second in relation to the gateway's:

- title of bare: 1.11 times
- title of nginx: 4.00 times

**forward-get**, MB resident at the peak (the gateway: 100):

- title of nginx: 14`,
  )
  const rows = [row('bare'), row('gateway', [2]), row('http-proxy', [3]), row('nginx', [0.5])]
  t.equal(
    betterElsewhere([summary(rows, { name: 'latency', metric: 'p99' })]),
    `**latency**, 99th percentile of the latency in relation to the gateway's:

- title of bare: 0.50 times
- title of nginx: 0.25 times`,
  )
  const exchange = summary([row('hello'), row('gateway', [0.2])], { name: 'token-exchange', base: 'hello' })
  t.equal(betterElsewhere([exchange]), 'Nothing that was measured in this run.')
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

t.test(
  'the Markdown has the facts, what is better elsewhere, the targets, and a table for each case',
  async (t) => {
    const text = markdown(report([whole]), (name) => `benchmarks/${name}.svg`)
    t.match(text, /^- commit: 0123456789ab$/m)
    t.match(text, /^## What is better elsewhere$/m)
    t.match(text, /^- title of nginx: 3\.24 times$/m)
    t.match(text, /^- forward-get: gateway \/ bare 0\.93, at least 0\.9: met$/m)
    t.match(text, '![a title](benchmarks/forward-get.svg)')
    t.match(text, '| title of bare | 1 (base) |  | 20,000 | 50.0 |')
    t.match(text, '| title of gateway | 0.93 c | 0.90 0.95 | 18,500 |')
    t.match(
      text,
      '| title of a server with a long name | it answers 502: &lt;html>a\\|b |',
      'what a server answered is no markup',
    )
    t.match(text, /^- 2 of 3 slices were disturbed/m)
    t.match(text, /\*\*Something else was running.*not to be quoted/)
    const quiet = report([{ ...whole, disturbed: 0 }])
    t.notMatch(
      markdown(quiet, () => undefined),
      'not to be quoted',
    )
    t.notMatch(
      markdown(report([whole]), () => undefined),
      '![',
    )
  },
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

t.test('a chart has a bar for every server that was measured, the best first', async (t) => {
  t.same(
    bars(whole).map(({ server, ratio, kind }) => [server, ratio, kind]),
    [
      ['title of nginx', 3, 'other'],
      ['title of bare', 1, 'base'],
      ['title of gateway', rounds([0.9, 0.95]).median, 'gateway'],
    ],
  )
  const latency = summary([row('bare'), row('gateway', [2]), row('nginx', [0.5])], { metric: 'p99' })
  t.same(
    bars(latency).map(({ ratio }) => ratio),
    [0.5, 1, 2],
  )
})

const isInstalled = existsSync(new URL('../../benchmarks/node_modules/vega-lite', import.meta.url))
t.test('a chart is an SVG', { skip: !isInstalled && 'vega is not installed' }, async (t) => {
  const svg = await chart(whole)
  t.match(svg, /^<svg /)
  for (const text of ['a title', 'title of nginx', '3.00', 'more is better']) t.match(svg, text)
  t.notMatch(svg, 'NaN')
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
