import { type ConfigProblem, memoryStore, type Store } from '../../plugin/index.ts'
import type { GatewayInput } from './schema.ts'

/** Makes the configured store, or says why there can be none. The one place that knows the kinds of stores. */
export function createStore(settings: NonNullable<GatewayInput['store']>): Store | ConfigProblem {
  const { type = 'memory', url, ...memory } = settings
  if (type !== 'memory')
    return { path: ['store', 'type'], problem: `${type} is not available in this version` }
  if (url !== undefined)
    return { path: ['store', 'url'], problem: 'must be absent: the memory store has none' }
  try {
    return memoryStore(memory)
  } catch (error) {
    // A cluster worker, or production: the store itself knows what it must not be used for.
    return { path: ['store'], problem: (error as Error).message }
  }
}
