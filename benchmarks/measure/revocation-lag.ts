/**
 * How long a session that was revoked on one of three gateway processes is still served by the other two:
 * `node --import=ts-blank-space/register benchmarks/measure/revocation-lag.ts [rounds]`, one line for each store.
 */
import { startInstances } from '../../test/support/instances.ts'
import { measureRevocationLag } from '../../test/support/revocation-lag.ts'

const rounds = Number(process.argv[2] ?? 1000)

for (const store of ['redis', 'postgres'] as const) {
  const endings: (() => unknown)[] = []
  const stack = await startInstances(
    { teardown: (ending: () => unknown) => endings.unshift(ending) },
    { store, provider: 'stub', change: (config) => ({ ...config, log: { level: 'warn' } }) },
  )
  if (typeof stack !== 'string') {
    const { medianMs, p99Ms, maxMs } = await measureRevocationLag(stack, rounds)
    console.log(
      `${store}: median ${medianMs} ms, p99 ${p99Ms} ms, max ${maxMs} ms over ${rounds} revocations`,
    )
  }
  for (const end of endings) await end()
}
