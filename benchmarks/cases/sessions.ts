import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { nodeCommand, type Peer } from '../peers/peer.ts'
import type { Case, Contender } from '../plan/case.ts'
import { gatewayConfiguration } from '../servers/gateway.ts'
import { checkAnswers, smallTraffic } from './forward/forward.ts'

/** Users that send requests at the moment, whatever the number of those who are signed in. */
const ACTIVE = 1000

/**
 * For all of them alike, as the README says of many sessions in memory: the standard heap of a machine with little
 * memory would not hold a million, and each collection of young objects looks at every page of the old ones.
 */
const NODE_FLAGS = ['--max-old-space-size=8192', '--max-semi-space-size=64', '--expose-gc']

/** What `full-gateway.ts` leaves in its folder. */
export interface Filled {
  /** Access tokens of the active ones. */
  readonly tokens: readonly string[]
  readonly bytesPerSession: number
}

/** Where it leaves it. */
export function filledFile(folder: string): string {
  return join(folder, 'filled.json')
}

/** The cost of a forward as the store grows: so many sessions in memory, of which a thousand are active. */
export function sessions([first = 1000, ...others]: readonly number[]): Case {
  return {
    name: 'sessions',
    title: `GET with ${first.toLocaleString('en')} sessions in memory, and with more; ${ACTIVE.toLocaleString('en')} of them active`,
    metric: 'rate',
    mode: 'repeat',
    connections: 64,
    oursOnly: true,
    base: full(first),
    contenders: others.map(full),
    roundsAtMost: 3,
  }
}

function full(count: number): Contender {
  const peer: Peer = {
    name: `gateway-${count}`,
    title: `the gateway with ${count.toLocaleString('en')} sessions`,
    isNode: true,
    authenticates: true,
    commands: (place) => {
      const store = { type: 'memory', maxRecords: count + 1000 }
      const config = { ...gatewayConfiguration(place), store, log: { level: 'warn' } }
      const node = { ...place, nodeFlags: [...place.nodeFlags, ...NODE_FLAGS] }
      const argument = { config, count, active: ACTIVE, file: filledFile(place.folder) }
      return [nodeCommand(node, 'servers/full-gateway.js', argument)]
    },
    authorization: ({ folder }) => `Bearer ${readFilled(folder).tokens[0]}`,
  }
  return {
    peer,
    async prepare(place) {
      const { tokens } = readFilled(place.folder)
      for (const token of [tokens[0]!, tokens.at(-1)!]) await checkAnswers(peer, place, smallTraffic([token]))
      return smallTraffic(tokens)
    },
  }
}

/** @see Filled */
export function readFilled(folder: string): Filled {
  return JSON.parse(readFileSync(filledFile(folder), 'utf8')) as Filled
}
