import type { Case } from '../../plan/case.ts'
import { inMemory } from './planted.ts'

/** Users that send requests at the moment, whatever the number of those who are signed in. */
const ACTIVE = 1000

const common = {
  metric: 'rate',
  mode: 'repeat',
  connections: 64,
  oursOnly: true,
  roundsAtMost: 3,
} as const

/** The cost of a forward as the store grows: so many sessions in memory, of which a thousand are active. */
export function sessions([first = 1000, ...others]: readonly number[]): Case {
  return {
    ...common,
    name: 'sessions',
    title: `GET with ${number(first)} sessions in memory, and with more; ${number(ACTIVE)} of them active`,
    base: full(first),
    contenders: others.map(full),
  }
}

function full(count: number) {
  return inMemory({
    name: `gateway-${count}`,
    title: `the gateway with ${number(count)} sessions`,
    count,
    active: ACTIVE,
    before: ACTIVE,
  })
}

/** The cost of a forward as more of them are active: of `count` sessions in memory a thousand, and all, in turn. */
export function activeSessions(count: number): Case {
  const active = (many: number) =>
    inMemory({
      name: `gateway-active-${many}`,
      title: `the gateway, ${number(many)} of them active`,
      count,
      active: many,
      before: count,
    })
  return {
    ...common,
    name: 'active-sessions',
    title: `GET with ${number(count)} sessions in memory, one active session after another`,
    base: active(ACTIVE),
    contenders: [active(count)],
  }
}

function number(count: number): string {
  return count.toLocaleString('en')
}
