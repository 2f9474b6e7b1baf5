/** `npm run soak -- --minutes 10`: prints what happened, and exits with 1 if something happened that must not. */
import { parseArgs } from 'node:util'
import { noRedis } from '../support/redis-server.ts'
import { type Sample, soak } from './run.ts'

const { values } = parseArgs({
  options: { minutes: { type: 'string', default: '10' }, users: { type: 'string', default: '8' } },
})
const seconds = Number(values.minutes) * 60
const endings: (() => unknown)[] = []

if (noRedis) {
  console.error(noRedis)
  process.exit(1)
}
/** Heap and keys may differ so much between the first minute and the last: the load is random. */
const TOLERANCE = 1.25

try {
  const report = await soak(
    { teardown: (end) => void endings.unshift(end as () => unknown) },
    { seconds, users: Number(values.users), faultEveryMs: 15_000, sampleEveryMs: 10_000 },
  )
  console.log(JSON.stringify(report, null, 2))
  // The caches fill, and the first keys have not expired, in the first minute and a half.
  const settled = report.samples.filter(({ atSeconds }) => atSeconds > 90)
  const [first, last] = [settled.slice(0, 6), settled.slice(-6)]
  const grew = (name: 'heapBytes' | 'keys') => median(last, name) / median(first, name)
  console.log(
    `heap after collection: ${mib(median(first, 'heapBytes'))} MiB at first, ${mib(median(last, 'heapBytes'))} MiB at last`,
  )
  console.log(`keys: ${median(first, 'keys')} at first, ${median(last, 'keys')} at last`)
  const problems = [
    ...report.violations,
    ...report.eternalKeys.map((key) => `a key that never expires: ${key}`),
    ...(['heapBytes', 'keys'] as const)
      .filter((name) => grew(name) > TOLERANCE)
      .map((name) => `${name} grew`),
  ]
  console.log(problems.length === 0 ? 'nothing that must not be' : problems.join('\n'))
  process.exitCode = problems.length === 0 ? 0 : 1
} finally {
  for (const end of endings) await end()
}

function median(samples: readonly Sample[], name: 'heapBytes' | 'keys'): number {
  const sorted = samples.map((sample) => sample[name]).sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1)
}
