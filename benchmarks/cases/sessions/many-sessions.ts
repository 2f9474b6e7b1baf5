import type { Case } from '../../plan/case.ts'
import { burstOrder } from './bursts.ts'
import { inARedis, inMemory } from './planted.ts'

const CALLS = 5
const BURST_SECONDS = 2
const SECONDS_BETWEEN = 60

/**
 * People at work: bursts of five calls, one a minute. They are replayed in the order of their times, as fast as they
 * are answered. 200,000 people make 16,667 calls per second: who answers as many sees them in real time. A server that
 * answers fewer sees the same order stretched, one that answers more sees it compressed, and whatever it remembers by
 * the clock it has forgotten sooner, or later.
 */
export function manySessions(count: number): Case {
  const many = count.toLocaleString('en')
  const one = { count, active: 1, before: count }
  const bursts = { count, active: count, before: count, order: remembered(() => orderOf(count)) }
  return {
    name: 'many-sessions',
    title: `GET of ${many} sessions, each with bursts of ${CALLS} calls within ${BURST_SECONDS} s, one a minute; of one alone`,
    metric: 'rate',
    mode: 'repeat',
    connections: 64,
    oursOnly: true,
    roundsAtMost: 3,
    base: inMemory({ name: 'gateway-one', title: `the gateway, ${many} in memory, one is used`, ...one }),
    contenders: [
      inMemory({ name: 'gateway-bursts', title: `the gateway, ${many} in memory, all in bursts`, ...bursts }),
      inARedis({ name: 'gateway-redis-one', title: `the gateway, ${many} in Redis, one is used`, ...one }),
      inARedis({
        name: 'gateway-redis-bursts',
        title: `the gateway, ${many} in Redis, all in bursts`,
        ...bursts,
      }),
    ],
  }
}

function orderOf(sessions: number): readonly number[] {
  return burstOrder({
    sessions,
    calls: CALLS,
    burstSeconds: BURST_SECONDS,
    secondsBetween: SECONDS_BETWEEN,
  })
}

function remembered<T>(make: () => T): () => T {
  let made: T | undefined
  return () => {
    made ??= make()
    return made
  }
}
