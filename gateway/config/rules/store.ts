import { storeProblem } from '../../../plugin/api/internal.ts'
import type { ConfigProblem } from '../../../plugin/index.ts'
import type { DefaultedStore, StoreConfig } from '../schemas/store.ts'

/** The store's part: what it is made of, or what is wrong with it. */
export interface CompletedStore {
  readonly config: StoreConfig | undefined
  readonly problems: readonly ConfigProblem[]
}

/**
 * Judges which key belongs to which type, and whether such a store can be made at all. None is made.
 *
 * @param url of redis and postgres, wherever it was configured. @param settings as the schema's defaults complete them.
 */
export function completeStore(settings: DefaultedStore, url: string | undefined): CompletedStore {
  const { type, maxRecords, dangerouslyAllowInProduction, listenUrl } = settings
  const problems: ConfigProblem[] = []
  const report = (key: string, problem: string) => problems.push({ path: ['store', key], problem })
  if (type === 'memory' && url !== undefined) report('url', 'must be absent: the memory store has none')
  // One that was named by a file and could not be read is reported there.
  if (type !== 'memory' && url === undefined && settings.urlFile === undefined) {
    report('url', `is required: type is ${type}`)
  }
  if (type !== 'postgres' && listenUrl !== undefined) {
    report('listenUrl', 'must be absent: only postgres has one')
  }
  const config = storeConfig()
  const problem = config && storeProblem(config)
  if (problem !== undefined) problems.push({ path: placeOfProblem(), problem })
  return { config: problems.length === 0 ? config : undefined, problems }

  function storeConfig(): StoreConfig | undefined {
    if (type === 'memory') return { type, maxRecords, dangerouslyAllowInProduction }
    if (url === undefined) return undefined
    if (type === 'redis') return { type, url }
    return { type, url, ...(listenUrl !== undefined && { listenUrl }) }
  }

  function placeOfProblem(): ConfigProblem['path'] {
    if (type === 'memory') return ['store']
    return ['store', settings.urlFile === undefined ? 'url' : 'urlFile']
  }
}
