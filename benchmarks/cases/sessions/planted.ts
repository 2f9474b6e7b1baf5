import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { nodeCommand, type Peer, type Place } from '../../peers/peer.ts'
import type { Contender, Traffic } from '../../plan/case.ts'
import { gatewayConfiguration, gatewayPeer } from '../../servers/gateway.ts'
import { plantedTokens, plantInRedis } from '../../servers/sessions/planted.ts'
import { checkAnswers, smallTraffic } from '../forward/forward.ts'

/**
 * For all of them alike, as the README says of many sessions in memory: the standard heap of a machine with little
 * memory would not hold a million, and each collection of young objects looks at every page of the old ones.
 */
const NODE_FLAGS = ['--max-old-space-size=8192', '--max-semi-space-size=64', '--expose-gc']

/** A gateway with so many sessions, and whose calls come. */
interface Planted extends Pick<Peer, 'name' | 'title'> {
  readonly count: number
  /** So many of the sessions are used. */
  readonly active: number
  /** Calls before the timing: as many for each that is compared, so that as much is compiled. */
  readonly before: number
  /** The order of their calls, by the session's number; without it, one after another. */
  readonly order?: () => readonly number[]
}

/** With its sessions in memory. */
export function inMemory(planted: Planted): Contender {
  const { count, name, title } = planted
  const peer: Peer = {
    name,
    title,
    isNode: true,
    authenticates: true,
    commands: (place) => {
      const store = { type: 'memory', maxRecords: count + 1000 }
      const config = { ...gatewayConfiguration(place), store, log: { level: 'warn' } }
      const node = { ...place, nodeFlags: [...place.nodeFlags, ...NODE_FLAGS] }
      const argument = { config, count, folder: place.folder, bytesFile: bytesFile(place.folder) }
      return [nodeCommand(node, 'servers/sessions/full-gateway.js', argument)]
    },
    authorization: ({ folder }) => `Bearer ${plantedTokens(count, folder)[0]}`,
  }
  return { peer, prepare: (place) => prepare(peer, planted, place) }
}

/** With its sessions in a Redis. */
export function inARedis(planted: Planted): Contender {
  const { count, name, title } = planted
  const peer = gatewayPeer({ name, title, redis: true })
  return {
    peer,
    async prepare(place) {
      await plantInRedis(place, count)
      return prepare(peer, planted, place)
    },
  }
}

async function prepare(
  peer: Peer,
  { count, active, before, order }: Planted,
  place: Place,
): Promise<Traffic> {
  const tokens = plantedTokens(count, place.folder).slice(0, active)
  for (const token of [tokens[0]!, tokens.at(-1)!]) await checkAnswers(peer, place, smallTraffic([token]))
  return { ...smallTraffic(tokens), before, ...(order && { order: order() }) }
}

/** Of the gateway whose slice has this folder. */
export function bytesPerSession(folder: string): number {
  return JSON.parse(readFileSync(bytesFile(folder), 'utf8')) as number
}

function bytesFile(folder: string): string {
  return join(folder, 'bytes-per-session.json')
}
