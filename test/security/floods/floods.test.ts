/** Each flood for some seconds, and a client beside it that loses nothing (H-22, H-34, K-05, A-20). The long run: `npm run floods`. */
import t from 'tap'
import { flood, problemsOf } from './run.ts'

t.setTimeout(180_000)

/** Of the heap: what was compiled, cached and remembered meanwhile. */
const HEAP_TOLERANCE = 1.5

t.test(
  'floods of all kinds, some seconds each: a client beside them loses nothing (H-22, H-34, K-05)',
  async (t) => {
    const report = await flood(t, { attackSeconds: 3, calmSeconds: 1 })
    if (typeof report === 'string') return void t.pass('floods', { skip: report })
    t.same(problemsOf(report), [])
    for (const { name, tally, during } of report.results) {
      t.ok(during.requests > 0, `the client was served during ${name}`)
      t.ok(
        Object.values(tally).some((count) => count > 0),
        `${name} took place`,
      )
      t.comment(`${name}: p99 of calls ${during.calls.p99.toFixed(1)} ms; ${JSON.stringify(tally)}`)
    }
    const { start, end } = report
    t.ok(
      end.heapBytes < start.heapBytes * HEAP_TOLERANCE,
      `${start.heapBytes} bytes of heap, then ${end.heapBytes}`,
    )
  },
)
