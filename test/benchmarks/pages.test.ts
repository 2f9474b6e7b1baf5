/** The pages that the benchmarks write: the first line, every Node beside the others, what was run, the charts. */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import t from 'tap'
import { rounds } from '../../benchmarks/measure/statistics.ts'
import { describeCommand, readCommandLine, UsageError } from '../../benchmarks/plan/command-line.ts'
import { bars, caption, chart, PALETTES } from '../../benchmarks/report/chart.ts'
import { headline } from '../../benchmarks/report/headline.ts'
import { details, markdown } from '../../benchmarks/report/markdown.ts'
import { besideEachOther, type Report, readReport } from '../../benchmarks/report/report.ts'
import type { Summary } from '../../benchmarks/report/summary.ts'
import { writeReports, writeResults } from '../../benchmarks/report/write.ts'
import { report, row, summary } from '../support/benchmark-results.ts'

const whole = summary(
  [
    row('bare', [], { requestsPerSecond: rounds([20_000]), cpuMicroseconds: rounds([50]) }),
    row('gateway', [0.9, 0.95], { byCpu: true, requestsPerSecond: rounds([18_000, 19_000]) }),
    row('nginx', [3]),
    row('a server with a long name', [], { problem: 'it answers 502: <html>a|b' }),
  ],
  { disturbed: 2 },
)
const quiet = { ...whole, disturbed: 0 }
const noChart = () => undefined

/** A forward and an exchange, with these ratios of the gateway. */
function usual(forward: number, exchange: number, more: Partial<Summary> = {}): Summary[] {
  const jwt = [row('jwt-http-proxy-hs256', [0.5]), row('jwt-http-proxy-rs256-cached', [0.4])]
  const rows = [row('bare'), row('gateway', [forward]), row('http-proxy', [0.8]), ...jwt]
  const minimal = { name: 'token-exchange', base: 'minimal' }
  return [summary(rows, more), summary([row('minimal'), row('gateway', [exchange])], minimal)]
}

t.test('the first line says the result, and for which traffic it holds', async (t) => {
  const one = report(usual(1, 0.06))
  const said =
    'On Node 20, the gateway forwards 1.00 times the requests per second of a bare forwarder (node:http and undici), 1.25 times those of @fastify/http-proxy without authentication and 2.00 to 2.50 times those of @fastify/http-proxy with @fastify/jwt. That holds for a token that is in the cache, as it was used there a moment before; one that is not costs more. A token exchange has 0.06 times the rate of the least that can be called a login (`minimal`).'
  t.equal(headline([one]), said)
  for (const page of [markdown([one], noChart), details(one)]) t.equal(page.split('\n')[2], said)

  const cold = summary([row('bare')], { name: 'forward-session' })
  t.match(headline([report([...usual(1, 0.06), cold])]), 'one that is not costs more (`forward-session`).')
  t.equal(
    headline([report([summary([row('bare')])])]),
    'Neither forward-get nor token-exchange was measured.',
  )
  t.match(headline([report(usual(1, 0.06).slice(1))]), /^A token exchange has 0\.06 times/)
})

t.test('the first line has every Node, and says where something else ran', async (t) => {
  const on = (node: string, summaries: Summary[]) => report(summaries, { node })
  const [forward, exchange] = usual(0.8, 0.07)
  const both = [on('v20.1.0', usual(1, 0.06)), on('v24.1.0', [forward!])]
  t.match(
    headline(both),
    /^On Node 20 \/ 24, the gateway forwards 1\.00 \/ 0\.80 times the requests per second/,
  )
  t.match(headline(both), 'A token exchange has 0.06 / – times the rate of')

  const busy = [on('v20.1.0', usual(1, 0.06)), on('v24.1.0', [{ ...forward!, disturbed: 1 }, exchange!])]
  t.match(
    headline(busy),
    /^\*\*Something else was running on this machine \(Node 24\): these numbers are not to be quoted\.\*\* On/,
  )
  t.match(headline(busy), 'forwards 1.00 / 0.80 times the requests')
  t.match(headline([busy[1]!]), /^\*\*Something else was running on this machine: these numbers are not/)
  const beside = { ...forward!, slices: 100, disturbed: 1 }
  const rows = beside.rows.map((one) =>
    one.name === 'gateway' ? { ...one, slices: { slices: 9, disturbed: 1 } } : one,
  )
  t.match(
    headline([report([{ ...beside, rows }])]),
    /^On Node 20, the gateway forwards 0\.80 \(disturbed\) times/,
  )
})

t.test('the page has the facts, what is better elsewhere, the targets, and each case', async (t) => {
  const text = markdown([report([whole])], (name) => `benchmarks/${name}`)
  t.match(text, /^- kernel: Linux 6$/m)
  t.match(
    text,
    '| Node 20 | `npm run bench -- --profile full` | all | 0123456789ab | 2026-01-05T08:00:00.000Z |',
  )
  t.match(text, /^## What is better elsewhere$/m)
  t.match(text, '| title of nginx | 3.24 times |')
  t.match(text, '| forward-get: gateway / bare, at least 0.9 | 0.93, not judged: disturbed |')
  t.match(text, 'srcset="./benchmarks/forward-get-dark.svg"')
  t.match(text, '<img alt="a title" src="./benchmarks/forward-get-light.svg">')
  t.match(text, 'a title. Ratio of requests per second to the base; more is better.')
  t.match(
    text,
    '| server | Node 20 |\n|---|---:|\n| title of bare | 1 (base) |\n| title of gateway | 0.93 c |',
  )
  t.match(text, '| it answers 502: &lt;html>a\\|b |', 'what a server answered is no markup')
  t.match(text, /^- 2 of 3 slices were disturbed/m)
  t.match(text, /^- The gateway's figures hold for a token that is in the cache\.$/m)
  t.match(text, '[Node 20](benchmarks/node-20.md#forward-get)')
  t.match(text, /\*\*Something else was running.*not to be quoted/)
  t.notMatch(markdown([report([quiet])], noChart), 'not to be quoted')
  t.match(markdown([report([quiet])], noChart), '| 0.93, met |')
  t.notMatch(markdown([report([whole])], noChart), '<picture>')
})

t.test('the page of one Node has its rounds, rates and verdicts', async (t) => {
  const text = details(report([whole]))
  t.match(text, /^# Benchmarks on Node 20$/m)
  t.match(text, /^- commit: 0123456789ab$/m)
  t.match(text, /^- forward-get: gateway \/ bare 0\.93, at least 0\.9: not judged: disturbed$/m)
  t.match(text, '| title of bare | 1 (base) |  | 20,000 | 50.0 |')
  t.match(text, '| title of gateway | 0.93 c | 0.90 0.95 | 18,500 |')
  t.match(text, '| title of a server with a long name | it answers 502: &lt;html>a\\|b |')
})

t.test('the Nodes stand beside each other, and a case that one did not measure says so', async (t) => {
  const on = (node: string, gateway: number, names: readonly string[]) =>
    report(
      names.map((name) => summary([row('bare'), row('gateway', [gateway])], { name })),
      { node, kernel: node === 'v22.1.0' ? 'Linux 7' : 'Linux 6' },
    )
  const reports = [
    on('v20.1.0', 0.97, ['forward-get', 'latency']),
    on('v22.1.0', 0.96, ['forward-get', 'connections-1']),
    on('v24.1.0', 0.82, ['forward-get', 'connections-1']),
  ]
  const text = markdown(reports, noChart)
  const [, get, latency, connections] = text.split(/^## (?=forward-get|latency|connections-1)/m)
  t.match(get, '| server | Node 20 | Node 22 | Node 24 |\n|---|---:|---:|---:|\n')
  t.match(get, '| title of gateway | 0.97 | 0.96 | 0.82 |')
  t.notMatch(get, 'only')
  t.match(latency, /\| server \| Node 20 \|\n[\s\S]*^- Measured on Node 20 only\.$/m)
  t.match(connections, /^- Measured on Node 22 and Node 24 only\.$/m)
  t.match(text, '| forward-get: gateway / bare, at least 0.9 | 0.97, met | 0.96, met | 0.82, missed |')
  t.match(text, '| latency: gateway / bare, at most 1.5 | 0.97, met | not measured | not measured |')
  t.match(text, '- kernel: Linux 6 (Node 20) · Linux 7 (Node 22) · Linux 6 (Node 24)\n')
  t.match(text, '- CPU: a CPU, 2 cores, 8 GB\n')
})

t.test('results stand beside each other if they are of one machine, each of another Node', async (t) => {
  const on = (node: string, change = {}) => report([whole], { node, ...change })
  const sorted = besideEachOther([on('v24.1.0'), on('v8.1.0'), on('v20.1.0')])
  t.same(
    sorted.map(({ machine }) => machine.node),
    ['v8.1.0', 'v20.1.0', 'v24.1.0'],
  )
  t.throws(() => besideEachOther([on('v20.1.0'), on('v20.2.0')]), UsageError)
  t.throws(
    () => besideEachOther([on('v20.1.0'), on('v22.1.0', { cpu: 'another' })]),
    /another machine: Node 20/,
  )
  t.throws(() => besideEachOther([on('v20.1.0'), on('v22.1.0', { cores: 4 })]), UsageError)
})

t.test('of a measurement in parts, each part has its command', async (t) => {
  const one = report([whole, { ...whole, name: 'latency' }])
  const parts = [
    { date: '2026-01-04', commit: 'aaa', cases: ['forward-get'] },
    {
      command: 'npm run bench -- --continue results.json',
      date: '2026-01-05',
      commit: 'bbb',
      cases: ['latency'],
    },
  ]
  const text = markdown([{ ...one, parts }], noChart)
  t.match(text, '| Node 20 | not kept by that version | forward-get | aaa | 2026-01-04 |')
  t.match(text, '| Node 20 | `npm run bench -- --continue results.json` | latency | bbb | 2026-01-05 |')
})

t.test('a command is shown as it was typed, without the folders of the machine', async (t) => {
  const shown = (args: string[], environment = {}) => describeCommand(args, environment)
  t.equal(
    shown(['--node', '/home/someone/node-22/bin/node', '--out=../there/out', '--rounds', '2']),
    'node build/benchmarks/run.js --node node --out=out --rounds 2',
  )
  t.equal(shown(['--docs'], { npm_lifecycle_event: 'bench' }), 'npm run bench -- --docs')
  t.equal(shown(['--out', "C:\\some where\\it's"]), "node build/benchmarks/run.js --out 'it'\\''s'")
  t.match(shown([], { BENCHMARK_AGAINST: '/home/someone/build' }), /^BENCHMARK_AGAINST=build node /)
})

t.test('where results are named nothing is measured, so nothing else can be asked', async (t) => {
  const { results, docs, out } = readCommandLine(['--docs', 'a.json', '--out', 'there', 'b.json'])
  t.same([results, docs, out], [['a.json', 'b.json'], true, 'there'])
  for (const flag of [['--case', 'latency'], ['--continue', 'c.json'], ['--rounds=2'], ['--node', 'node']])
    t.throws(() => readCommandLine(['a.json', ...flag]), UsageError)
})

t.test('results are read as they were written, and those of before are completed', async (t) => {
  const folder = t.testdir()
  const file = join(folder, 'results.json')
  const one = report([quiet])
  writeResults(one, folder)
  t.same(readReport(file), one)
  const { parts: _, ...before } = one
  const titles = ['bare', 'gateway', 'http-proxy', 'jwt-http-proxy-rs256', 'another']
  const rows = titles.map((name) => ({ name, title: name, ratio: rounds([0.95]) }))
  const summaries = [{ ...quiet, rows }]
  writeFileSync(file, JSON.stringify({ ...before, summaries, verdicts: [{ met: true }] }))
  const completed = readReport(file)
  t.same(completed.parts, [{ date: one.machine.date, commit: '0123456789ab', cases: ['forward-get'] }])
  t.same(
    completed.summaries[0]?.rows.map(({ authenticates }) => authenticates),
    [false, true, false, true, false],
  )
  t.equal(completed.verdicts[0]?.outcome, 'met')
  writeFileSync(file, '{"format":2}')
  t.throws(() => readReport(file), /no results\.json of this version/)
})

t.test(
  'a chart has a bar for every server that was measured, the best first, in three colours',
  async (t) => {
    const rows = [...quiet.rows, row('caddy', [0.5]), row('jwt', [0.4], { authenticates: true })]
    t.same(
      bars({ ...quiet, rows }).map(({ server, ratio, kind }) => [server, ratio, kind]),
      [
        ['title of nginx', 3, 'open'],
        ['title of bare', 1, 'open'],
        ['title of gateway', rounds([0.9, 0.95]).median, 'gateway'],
        ['title of caddy', 0.5, 'open'],
        ['title of jwt', 0.4, 'authenticates'],
      ],
    )
    const latency = summary([row('bare'), row('gateway', [2]), row('nginx', [0.5])], { metric: 'p99' })
    t.same(
      bars(latency).map(({ ratio }) => ratio),
      [0.5, 1, 2],
    )
    for (const { gateway, authenticates, open } of Object.values(PALETTES))
      t.equal(new Set([gateway, authenticates, open]).size, 3)
  },
)

t.test('its caption says what, in which unit, which way is better, on which Node and when', async (t) => {
  const { machine } = report([])
  t.same(caption(quiet, machine), [
    'requests per second, ratio to title of bare; more is better',
    'Node v20.20.2, 2026-01-05, for a token that is in the cache',
  ])
  t.same(caption({ ...quiet, name: 'another', metric: 'memory' }, machine), [
    'growth of memory, ratio to title of bare; less is better',
    'Node v20.20.2, 2026-01-05',
  ])
})

const isInstalled = existsSync(new URL('../../benchmarks/node_modules/vega-lite', import.meta.url))
const noVega = !isInstalled && 'vega is not installed'
t.test(
  'a chart is an SVG with a legend, for a light page and for a dark one',
  { skip: noVega },
  async (t) => {
    const { machine } = report([])
    const rows = [...quiet.rows, row('jwt', [0.4], { authenticates: true })]
    for (const palette of Object.values(PALETTES)) {
      const svg = await chart({ ...quiet, rows }, machine, palette)
      t.match(svg, /^<svg /)
      for (const text of ['a title', 'title of nginx', '3.00', 'more is better', 'Node v20.20.2, 2026-01-05'])
        t.match(svg, text)
      for (const text of ['the gateway', 'authenticates', 'no authentication']) t.match(svg, `>${text}<`)
      for (const colour of [palette.gateway, palette.authenticates, palette.open]) t.match(svg, colour)
      t.notMatch(svg, 'fill="white"', 'the background is the page')
      t.notMatch(svg, 'NaN')
    }
    const alone = await chart(
      summary([row('gateway'), row('gateway-more', [1])], { base: 'gateway' }),
      machine,
      PALETTES.light,
    )
    t.notMatch(alone, 'no authentication', 'what is not there is not explained')
  },
)

t.test('a report is written of results of several Nodes', async (t) => {
  const folder = t.testdir()
  const on = (node: string): Report => report([quiet], { node })
  const problems = await writeReports([on('v20.1.0'), on('v24.1.0')], folder, false)
  t.same(readdirSync(folder), ['benchmarks', 'results.md'])
  const pages = ['node-20.md', 'node-24.md']
  const charts = ['forward-get-dark.svg', 'forward-get-light.svg']
  t.same(readdirSync(join(folder, 'benchmarks')).sort(), isInstalled ? [...charts, ...pages] : pages)
  t.equal(problems.length, isInstalled ? 0 : 1)
  t.match(readFileSync(join(folder, 'results.md'), 'utf8'), '| title of gateway | 0.93 c | 0.93 c |')
  if (isInstalled) t.match(readFileSync(join(folder, 'benchmarks', charts[0]!), 'utf8'), 'Node v24.1.0')
})
