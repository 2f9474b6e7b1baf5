import t from 'tap'
import { noRedis } from '../support/redis-server.ts'
import { soak, tooManyKeys } from './run.ts'

const USERS = 6

t.test('three instances on Redis, with users and faults, for 20 seconds', { skip: noRedis }, async (t) => {
  const report = await soak(t, {
    seconds: 20,
    users: USERS,
    faultEveryMs: 4500,
    sampleEveryMs: 2000,
    untilExpired: false,
  })
  for (const [what, count] of Object.entries(report.outcomes)) t.comment(`${what}: ${count}`)
  t.same(report.violations, [], 'nothing doubled, and every error explained by a fault or by the protocol')
  t.same(report.eternalKeys, [])
  t.same(tooManyKeys(report.samples, USERS), [], 'one key for each login')
  t.ok(report.longestKeySeconds <= 61, 'every key expires within a minute')
  for (const what of ['token 200', 'forward 200', 'refresh 200', 'revoke 200', 'fault: redis killed']) {
    t.ok(report.outcomes[what], what)
  }
  const heaps = report.samples.map(({ heapBytes }) => heapBytes)
  t.ok(
    heaps.at(-1)! < heaps[1]! * 1.5,
    `flat: ${heaps.map((bytes) => Math.round(bytes / 2 ** 10)).join(', ')} KiB`,
  )
})
