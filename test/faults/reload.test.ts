/** Ten reloads under load, good and bad, as signals to a process: nobody notices. */
import t from 'tap'
import { until } from '../support/wait.ts'
import { pause } from './load.ts'
import { startUnderLoad } from './reload-load.ts'

t.setTimeout(180_000)

const RELOADS = 10
/** Forwarded between two reloads, so that each meets some of them under way. */
const FORWARDS_EACH = 100

for (const workers of [1, 2]) {
  t.test(`${RELOADS} reloads under load with ${workers} processes lose nothing (Q-03, K-07)`, async (t) => {
    const running = await startUnderLoad(t, { store: 'redis', change: (config) => ({ ...config, workers }) })
    if (typeof running === 'string') return void t.pass('reload', { skip: running })
    const { instance, load, reload } = running
    const { pid } = instance
    for (let round = 1; round <= RELOADS; round++) {
      const isGood = round % 2 === 1
      const change: Parameters<typeof reload>[0] = (config) => ({
        ...config,
        limits: { ...config.limits, transactionsPerAddress: 100_000 + round },
        // Every second one has a part that is fine, and one that is not.
        routePrefix: isGood ? '/oauth2' : 'no path',
      })
      const forwarded = load.counts.forwards
      await reload(change, isGood)
      await pause(200)
      await until(() => load.counts.forwards > forwarded + FORWARDS_EACH)
    }
    const rate = await running.end()
    t.same(load.lost, [])
    t.equal(instance.pid, pid)
    t.ok(load.counts.logins > RELOADS && load.counts.events > RELOADS)
    t.comment(`${JSON.stringify(load.counts)}, ${rate} forwards a second`)
    await instance.end('SIGTERM')
  })
}
