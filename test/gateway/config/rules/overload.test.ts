import t from 'tap'
import { printConfig } from '../../../../gateway/config/print.ts'
import { file, load, matchAll, minimal, problemsOf } from '../../../support/gateway-config.ts'

const given = (listen: object) => file(t, { ...minimal(), listen })

t.test('a limit that an idle gateway can reach is refused, with its place (Q-12)', async (t) => {
  const problems = (overload: unknown) => problemsOf(given({ overload }))
  matchAll(t, problems({ eventLoopDelayMs: 49 }), [
    /file:\d+:\d+ listen\.overload\.eventLoopDelayMs: must be 0 or at least 50: /,
  ])
  matchAll(t, problems({ eventLoopDelayMs: -1 }), [/listen\.overload\.eventLoopDelayMs/])
  matchAll(t, problems({ requestsInFlight: '5' }), [/listen\.overload\.requestsInFlight/])
  matchAll(t, problems({ maxEventLoopDelay: 5 }), [/listen\.overload\.maxEventLoopDelay/])
  matchAll(t, problems(true), [/listen\.overload/])
  t.same(problems({ eventLoopDelayMs: 0, requestsInFlight: 0 }), [])
  t.same(problems({ eventLoopDelayMs: 50 }), [])
})

t.test('requests in flight: by default as many as there may be connections (Q-12)', async (t) => {
  const overload = (listen: object) => load(given(listen)).config.listen.overload
  t.same(overload({ maxConnections: 77 }), { eventLoopDelayMs: 1000, requestsInFlight: 77 })
  t.same(overload({ maxConnections: 77, overload: { requestsInFlight: 0 } }).requestsInFlight, 0)
  t.match(printConfig(load(given({ maxConnections: 77 })).effective), /requestsInFlight: 77/)
})
