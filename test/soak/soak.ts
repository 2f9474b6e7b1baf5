/** `npm run soak -- --store postgres --minutes 10`: prints what happened; 1 if something happened that must not. */
import { parseArgs } from 'node:util'
import { type Sample, type SoakReport, soak } from './run.ts'

const { values } = parseArgs({
  options: {
    store: { type: 'string', default: 'redis' },
    minutes: { type: 'string', default: '10' },
    users: { type: 'string', default: '16' },
    /** Does not wait in the end until every key has expired. */
    quick: { type: 'boolean', default: false },
  },
})
const { store } = values
const seconds = Number(values.minutes) * 60
const users = Number(values.users)
const endings: (() => unknown)[] = []
/** The heap may differ so much between the first minute and the last: the load is random. */
const TOLERANCE = 1.25

try {
  if (store !== 'redis' && store !== 'postgres') throw new Error('--store is redis or postgres')
  const report = await soak(
    { teardown: (end) => void endings.unshift(end as () => unknown) },
    { store, seconds, users, faultEveryMs: 10_000, sampleEveryMs: 10_000, untilExpired: !values.quick },
  )
  process.exitCode = typeof report === 'string' ? 1 : tell(report)
} finally {
  for (const end of endings) await end()
}

/** @returns the exit status. */
function tell(report: SoakReport): 0 | 1 {
  const { unexplained, ...figures } = report.sessions
  console.log(JSON.stringify({ ...report, sessions: figures }, null, 2))
  // The caches fill in the first minute.
  const settled = report.samples.filter(({ atSeconds }) => atSeconds > Math.min(60, seconds / 3))
  const [first, last] = [settled.slice(0, 6), settled.slice(-6)].map(medianHeap) as [number, number]
  console.log(`heap after collection: ${mib(first)} MiB at first, ${mib(last)} MiB at last`)
  for (const story of unexplained) console.log(`\nUNEXPLAINED: ${story.join('\n  ')}`)
  console.log(`\n${figures.begun} sessions on ${store}, ${unexplained.length} of them ended without a reason`)
  const problems = [
    ...(unexplained.length > 0 ? [`${unexplained.length} sessions ended without a reason`] : []),
    ...report.violations,
    ...report.eternalKeys.map((key) => `a key that never expires: ${key}`),
    ...(last > first * TOLERANCE ? ['the heap grew'] : []),
    ...report.crowded.map(
      ({ atSeconds, keys, marks }) =>
        `${keys} keys and ${marks} marks after ${atSeconds} s: more than the logins and channels of that time`,
    ),
    ...(report.keysLeft ? [`${report.keysLeft} keys are left`] : []),
  ]
  console.log(problems.length === 0 ? 'nothing that must not be' : problems.join('\n'))
  return problems.length === 0 ? 0 : 1
}

function medianHeap(samples: readonly Sample[]): number {
  const sorted = samples.map(({ heapBytes }) => heapBytes).sort((a, b) => a - b)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}

function mib(bytes: number): string {
  return (bytes / 2 ** 20).toFixed(1)
}
