/** When this process is judged to have more to do than it can, by a clock of the test's own (requirements Q-12). */
import { mock } from 'node:test'
import t, { type Test } from 'tap'
import { Overload } from '../../../gateway/operations/overload.ts'

const LIMITS = { eventLoopDelayMs: 1000, requestsInFlight: 3 }

function setUp(t: Test, limits = LIMITS) {
  mock.timers.enable({ apis: ['setInterval'] })
  let now = 5000
  const lines: [fields: Record<string, unknown>, message: string][] = []
  const load = new Overload(limits, () => now)
  load.watch({ warn: (...line: unknown[]) => lines.push(line as (typeof lines)[0]) } as never)
  t.teardown(() => {
    load.close()
    mock.timers.reset()
  })
  /** A request, so long after the event loop has turned. */
  const asks = (afterMs = 0) => {
    now += afterMs
    const isAdmitted = load.admits(now)
    if (!isAdmitted) load.refused()
    now -= afterMs
    return isAdmitted
  }
  return {
    ...{ load, lines, asks },
    messages: () => lines.map(([, message]) => message),
    /** The event loop turns, each time so late. */
    turns(times: number, lateMs: number) {
      for (let i = 0; i < times; i++) {
        now += 100 + lateMs
        mock.timers.tick(100)
      }
    },
  }
}

const BEGUN = 'overloaded: requests are refused'
const OVER = 'no longer overloaded'

t.test('one long pause refuses nobody, however long it was (Q-12)', async (t) => {
  const { asks, turns, messages } = setUp(t)
  for (const lateMs of [1001, 60_000]) {
    turns(1, lateMs)
    t.ok(asks())
    turns(3, 0)
    t.ok(asks())
  }
  turns(50, 1000)
  t.ok(asks(), 'as late as it may be')
  t.same(messages(), [])
})

t.test(
  'late twice in a row: a turn takes what comes in half of the limit, with one line in the log (K-06, Q-12)',
  async (t) => {
    const { asks, turns, lines, load } = setUp(t)
    turns(1, 1001)
    load.inFlight = 2
    t.ok(asks())
    turns(1, 1234)
    for (let i = 0; i < 20; i++) {
      t.ok(asks(599), 'else clients who ask again at once could keep everybody out')
      t.notOk(asks(600))
      turns(1, 900)
    }
    turns(20, 900)
    t.equal(lines.length, 1, 'not over while it is late, if nobody asks either')
    t.match(lines[0], [
      {
        limit: 'listen.overload.eventLoopDelayMs',
        eventLoopDelayMs: 1234,
        requestsInFlight: 2,
        remedy: /add workers or instances/,
      },
      BEGUN,
    ])
  },
)

t.test(
  'in the midst of a second late turn as well: what comes after the limit is refused (Q-12)',
  async (t) => {
    const { asks, turns, lines } = setUp(t)
    t.ok(asks(5000), 'not in a first one')
    turns(1, 1001)
    t.ok(asks(1099))
    t.notOk(asks(1100))
    t.match(lines, [[{ eventLoopDelayMs: 1100 }, BEGUN]])
    turns(5, 0)
    t.notOk(asks(600), 'and so until it is calm')
  },
)

t.test('nothing is refused any more after a second at half of the limit, not at once (Q-12)', async (t) => {
  const { asks, turns } = setUp(t)
  turns(2, 1001)
  turns(20, 501)
  t.notOk(asks(600), 'late by more than half: not calm')
  turns(9, 0)
  t.notOk(asks(600))
  turns(1, 501)
  turns(9, 0)
  t.notOk(asks(600), 'the second begins anew')
  turns(1, 0)
  t.ok(asks(600))
  turns(1, 1001)
  t.ok(asks(600), 'and once is a pause again')
})

t.test(
  'waves of overload are one story in the log: it ends when nothing is refused for 5 s (Q-12)',
  async (t) => {
    const { asks, turns, messages, lines } = setUp(t)
    for (let i = 0; i < 3; i++) {
      turns(2, 1001)
      t.notOk(asks(1000))
      turns(20, 0)
      t.ok(asks(1000))
    }
    turns(39, 0)
    t.same(messages(), [BEGUN])
    turns(1, 0)
    t.same(messages(), [BEGUN, OVER])
    t.match(lines[1]?.[0], { refused: 3, durationMs: 14_404 })
    turns(2, 1001)
    t.same(messages(), [BEGUN, OVER, BEGUN])
  },
)

t.test(
  'requests in flight: full is refused, and each that ends makes room for one (K-06, Q-12)',
  async (t) => {
    const { load, asks, turns, lines, messages } = setUp(t)
    load.inFlight = 2
    t.ok(asks())
    load.inFlight = 3
    t.notOk(asks())
    t.notOk(asks())
    t.match(lines, [
      [
        {
          limit: 'listen.overload.requestsInFlight',
          eventLoopDelayMs: 0,
          requestsInFlight: 3,
          remedy: /slow upstream/,
        },
        BEGUN,
      ],
    ])
    load.inFlight = 2
    t.ok(asks(), 'at once')
    turns(49, 0)
    load.inFlight = 3
    t.notOk(asks())
    turns(49, 0)
    t.same(messages(), [BEGUN])
    turns(1, 0)
    t.same(lines[1], [{ refused: 3, durationMs: 9900 }, OVER])
  },
)

t.test('0: no limit (Q-12)', async (t) => {
  const { load, asks, turns } = setUp(t, { eventLoopDelayMs: 0, requestsInFlight: 0 })
  load.inFlight = 1e9
  turns(5, 1e6)
  t.ok(asks())
})
