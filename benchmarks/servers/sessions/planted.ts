import { execFile } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { createServices } from '../../../gateway/app.ts'
import { type GatewayInput, gatewayConfig } from '../../../gateway/index.ts'
import type { Store } from '../../../plugin/index.ts'
import type { Place } from '../../peers/peer.ts'
import { program } from '../../plan/project.ts'
import { gatewayConfiguration } from '../gateway.ts'
import { inRedis } from '../redis.ts'

/** A session as the store keeps it: a real sealed grant. */
export interface PlantedSession {
  readonly key: string
  readonly value: string
  readonly indexes: readonly string[]
  readonly member: string
  readonly ttlMs: number
}

/** What `plant.ts` is told. */
export interface PlantArgument {
  readonly config: GatewayInput
  readonly count: number
  /** A line for each session, and the access tokens, in the same order. */
  readonly sessionsFile: string
  readonly tokensFile: string
}

/** Writes under way at a store. */
const CONCURRENT = 64

/**
 * Fills a store with so many sessions. They are made once in a run, as sealing 200,000 takes a minute, and kept beside
 * the folders of the slices.
 *
 * @param folder of a slice. @param config of a gateway that is to serve them: its provider and its clients.
 */
export async function plant(
  store: Store,
  config: GatewayInput,
  count: number,
  folder: string,
): Promise<void> {
  const { sessionsFile } = await make(config, count, folder)
  const file = await open(sessionsFile)
  const lines = file.readLines()[Symbol.asyncIterator]()
  const work = async () => {
    for (let line = await lines.next(); !line.done; line = await lines.next()) {
      const { key, value, indexes, member, ttlMs } = JSON.parse(line.value) as PlantedSession
      await store.create(key, value, ttlMs)
      await store.addToIndex(indexes, member, ttlMs)
    }
  }
  await Promise.all(Array.from({ length: CONCURRENT }, work))
  await file.close()
}

/** @see plant: in the Redis of the gateway that listens. */
export async function plantInRedis(place: Place, count: number): Promise<void> {
  const config = gatewayConfiguration(place)
  const { store } = createServices(gatewayConfig({ ...config, ...inRedis(place) }))
  try {
    await store.prepare()
    await plant(store.store!, config, count, place.folder)
  } finally {
    await store.close()
  }
}

/** Of the sessions that were planted. */
export function plantedTokens(count: number, folder: string): readonly string[] {
  return JSON.parse(readFileSync(filesOf(count, folder).tokensFile, 'utf8')) as string[]
}

async function make(config: GatewayInput, count: number, folder: string) {
  const files = filesOf(count, folder)
  if (!existsSync(files.sessionsFile)) {
    const argument: PlantArgument = { config, count, ...files }
    await promisify(execFile)(process.execPath, [
      program('servers/sessions/plant.js'),
      JSON.stringify(argument),
    ])
  }
  return files
}

function filesOf(count: number, folder: string) {
  const name = join(dirname(folder), `sessions-${count}`)
  return { sessionsFile: `${name}.ndjson`, tokensFile: `${name}.json` }
}
