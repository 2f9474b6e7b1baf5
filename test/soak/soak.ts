/** `npm run soak -- --minutes 10`: prints what happened, and exits with 1 if something happened that must not. */
import { parseArgs } from 'node:util'
import { noRedis } from '../support/redis-server.ts'
import { type Sample, soak, tooManyKeys } from './run.ts'

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, users: { type: 'string', default: '8' } },
})
const seconds = Number(values.minutes) * 60
const endings: (() => unknown)[] = []

if (noRedis) {
  console.error(noRedis)
  process.exit(1)
}
/** The heap may differ so much between the first minute and the last: the load is random. */
const TOLERANCE = 1.25

try {
  const report = await soak(
    { teardown: (end) => void endings.unshift(end as () => unknown) },
    { seconds, users: Number(values.users), faultEveryMs: 15_000, sampleEveryMs: 10_000, untilExpired: true },
  )
  console.log(JSON.stringify(report, null, 2))
  // The caches fill in the first minute.
  const settled = report.samples.filter(({ atSeconds }) => atSeconds > Math.min(60, seconds / 3))
  const [first, last] = [settled.slice(0, 6), settled.slice(-6)].map(medianHeap) as [number, number]
  console.log(`heap after collection: ${mib(first)} MiB at first, ${mib(last)} MiB at last`)
  const crowded = tooManyKeys(report.samples, Number(values.users))
  const problems = [
    ...report.violations,
    ...report.eternalKeys.map((key) => `a key that never expires: ${key}`),
    ...(last > first * TOLERANCE ? ['the heap grew'] : []),
    ...crowded.map(
      ({ atSeconds, keys }) => `${keys} keys after ${atSeconds} s: more than the logins of the last minute`,
    ),
    ...(report.keysLeft ? [`${report.keysLeft} keys are left`] : []),
  ]
  console.log(problems.length === 0 ? 'nothing that must not be' : problems.join('\n'))
  process.exitCode = problems.length === 0 ? 0 : 1
} finally {
  for (const end of endings) await end()
}

function medianHeap(samples: readonly Sample[]): number {
  const sorted = samples.map(({ heapBytes }) => heapBytes).sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1)
}
