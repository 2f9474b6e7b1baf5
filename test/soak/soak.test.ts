import t, { type Test } from 'tap'
import { KEY_MS } from './lifetimes.ts'
import { type SoakOptions, soak } from './run.ts'

const USERS = 12

/** K-05, and the promise behind D-05, D-09 to D-11, D-14: no session ends but for a reason that it has. */
async function soakFor20Seconds(t: Test, store: SoakOptions['store']): Promise<void> {
  const report = await soak(t, {
    store,
    seconds: 20,
    users: USERS,
    faultEveryMs: 3000,
    sampleEveryMs: 2000,
    untilExpired: false,
  })
  if (typeof report === 'string') {
    t.pass(report, { skip: report })
    return
  }
  const { unexplained, ...figures } = report.sessions
  t.comment(JSON.stringify(figures))
  for (const [what, count] of Object.entries(report.outcomes)) t.comment(`${what}: ${count}`)
  t.same(unexplained, [], 'every session that has ended has a reason: logout, expiry, reuse, or the provider')
  t.same(report.violations, [], 'nothing doubled, and every error explained by a fault or by the protocol')
  t.same(report.eternalKeys, [])
  t.same(
    report.crowded,
    [],
    'one key for each login, one index by its correlation id, and a mark for each channel',
  )
  t.ok(report.longestKeySeconds * 1000 <= KEY_MS, 'every key expires within a minute')
  for (const what of ['token 200', 'forward 200', 'refresh 200', 'refresh 400', 'store: killed']) {
    t.ok(report.outcomes[what], what)
  }
  t.ok(figures.ended["the provider's refusal"], "the provider's refusal")
  const heaps = report.samples.map(({ heapBytes }) => heapBytes)
  t.ok(
    heaps.at(-1)! < heaps[1]! * 1.5,
    `flat: ${heaps.map((bytes) => Math.round(bytes / 2 ** 10)).join(', ')} KiB`,
  )
}

for (const store of ['redis', 'postgres'] as const) {
  t.test(`three instances on ${store}, with users, a bad provider and faults, for 20 seconds (K-05)`, (t) =>
    soakFor20Seconds(t, store),
  )
}
