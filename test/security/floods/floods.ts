/** `npm run floods -- --minutes 10`, or with `--attack 'slow heads'` of one alone: prints what happened, as Markdown; 1 if something happened that must not. */
import { parseArgs } from 'node:util'
import type { Latency } from './client.ts'
import { ATTACKS, type FloodReport, flood, problemsOf } from './run.ts'

const { values } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    attack: { type: 'string', multiple: true, default: [...ATTACKS] },
  },
})
const names = ATTACKS.filter((name) => values.attack.includes(name))
if (names.length === 0) throw new Error(`--attack is one of ${ATTACKS.join(', ')}`)
const COUNT = names.length
/** Calm between two attacks is half as long as an attack; there are two such times before the first. */
const attackSeconds = Math.round((Number(values.minutes) * 60) / (COUNT + (COUNT + 2) / 2))
const endings: (() => unknown)[] = []

try {
  const report = await flood(
    { teardown: (end) => void endings.unshift(end as () => unknown) },
    { attackSeconds, calmSeconds: attackSeconds / 2, names },
  )
  process.exitCode = typeof report === 'string' ? 1 : tell(report)
} finally {
  for (const end of endings) await end()
}

/** @returns the exit status. */
function tell(report: FloodReport): 0 | 1 {
  const { results, minutes, start, end } = report
  console.log(`${attackSeconds} s each. Calls of the client: p50 / p99 / max in ms; requests that failed.

| attack | before | during | after | logins during | failed |
|---|---:|---:|---:|---:|---:|`)
  for (const { name, before, during, after } of results) {
    const failures = [before, during, after].map((one) => one.failures.length).join(' / ')
    const cells = [before.calls, during.calls, after.calls, during.logins].map(latency)
    console.log(`| ${name} | ${cells.join(' | ')} | ${failures} of ${during.requests} |`)
  }
  console.log()
  for (const { name, tally } of results) {
    const facts = Object.entries(tally).map(([what, number]) => `${number.toLocaleString('en')} ${what}`)
    console.log(`- ${name}: ${facts.join(', ')}`)
  }
  console.log(`
| minute | MB resident, at most | descriptors, at most |
|---|---:|---:|`)
  for (const { minute, residentBytes, descriptors } of minutes) {
    console.log(`| ${minute} | ${mib(residentBytes)} | ${descriptors} |`)
  }
  for (const [name, one] of Object.entries({ start, end })) {
    const { residentBytes, heapBytes, descriptors } = one
    console.log(
      `\n${name}: ${mib(residentBytes)} MB resident, ${mib(heapBytes)} MB of heap after collection, ${descriptors} descriptors`,
    )
  }
  const problems = problemsOf(report)
  console.log(`\n${problems.length === 0 ? 'nothing that must not be' : problems.join('\n')}`)
  return problems.length === 0 ? 0 : 1
}

function latency(of: Latency | null): string {
  return of === null ? '' : [of.p50, of.p99, of.max].map((ms) => ms.toFixed(1)).join(' / ')
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(0)
}
