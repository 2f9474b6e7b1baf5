/** The benchmarks as their users run them: the command, the compiled servers, one tiny round. They must not rot. */
import { execFile, execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import t from 'tap'
import { readAllocation } from '../benchmarks/allocation.ts'
import { compare } from '../benchmarks/report/compare.ts'
import type { Report } from '../benchmarks/report/report.ts'
import { changed, rounds } from '../benchmarks/statistics.ts'

const root = fileURLToPath(new URL('..', import.meta.url))
const command = join(root, 'build/benchmarks/run.js')
if (!existsSync(command)) execFileSync('npm', ['run', 'build'], { cwd: root })

/** Runs the command to its end. */
async function bench(...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  try {
    const { stdout, stderr } = await promisify(execFile)(process.execPath, [command, ...args])
    return { code: 0, stdout, stderr }
  } catch (error) {
    const { code, stdout, stderr } = error as { code: number; stdout: string; stderr: string }
    return { code, stdout, stderr }
  }
}

const smallest = [
  '--case',
  'forward-get',
  '--peer',
  'gateway',
  '--rounds',
  '1',
  '--seconds',
  '0.2',
  '--load',
  'ours',
]

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
  t.match(compare(report, report), /same {2}forward-get: gateway .* \(0\.0 %\)/)
  t.match(readFileSync(join(out, 'results.md'), 'utf8'), /^## forward-get$/m)
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
