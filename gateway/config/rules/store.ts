import { missingPackages, storeProblem } from '../../../plugin/api/internal.ts'
import type { ConfigProblem } from '../../../plugin/index.ts'
import type { DefaultedStore, StoreConfig } from '../schemas/config.ts'
import type { ReadStore } from '../secrets.ts'
import { completeTrustAt } from './upstream-trust.ts'

/** The store's part: what it is made of, or what is wrong with it. */
export interface CompletedStore {
  readonly config: StoreConfig | undefined
  readonly problems: readonly ConfigProblem[]
  readonly warnings: readonly string[]
}

/** Keys that only some kinds of store have, and which. */
const owners = {
  listenUrl: ['postgres'],
  listenUrlFile: ['postgres'],
  caFile: ['redis', 'postgres'],
  clientCertFile: ['redis', 'postgres'],
  clientKeyFile: ['redis', 'postgres'],
  sentinelUsername: ['redis'],
  sentinelPassword: ['redis'],
  sentinelPasswordFile: ['redis'],
} as const

/**
 * Judges which key belongs to which type, and whether such a store can be made at all. None is made.
 *
 * @param settings as the schema's defaults complete them. @param secrets of redis and postgres, wherever they were
 * configured. @param folderOf what a relative file name at a path is relative to.
 */
export function completeStore(
  settings: DefaultedStore,
  secrets: ReadStore,
  folderOf: (path: ConfigProblem['path']) => string,
): CompletedStore {
  const { type, maxRecords, dangerouslyAllowInProduction } = settings
  const { url } = secrets
  const problems: ConfigProblem[] = []
  const report = (key: string, problem: string) => problems.push({ path: ['store', key], problem })
  if (type === 'memory' && url !== undefined) report('url', 'must be absent: the memory store has none')
  // One that was named by a file and could not be read is reported there.
  if (type !== 'memory' && url === undefined && settings.urlFile === undefined) {
    report('url', `is required: type is ${type}`)
  }
  for (const [key, types] of Object.entries(owners)) {
    if (settings[key as keyof typeof owners] !== undefined && !types.some((one) => one === type)) {
      report(key, `must be absent: only ${types.join(' and ')} ${types.length > 1 ? 'have' : 'has'} one`)
    }
  }
  const { files, ...trust } = completeTrustAt(['store'], settings, folderOf)
  problems.push(...trust.problems)
  if (type === 'redis') problems.push(...redisProblems(settings, secrets))
  const config = storeConfig()
  const problem = config && (storeProblem(config) ?? missing())
  if (problem !== undefined) problems.push({ path: placeOfProblem(), problem })
  return { config: problems.length === 0 ? config : undefined, problems, warnings: trust.warnings }

  function storeConfig(): StoreConfig | undefined {
    if (type === 'memory') return { type, maxRecords, dangerouslyAllowInProduction }
    if (url === undefined) return undefined
    const { urlFile, listenUrl, listenUrlFile, sentinelPassword } = secrets
    const server = { url, ...(urlFile !== undefined && { urlFile }), ...(files && { trust: files }) }
    if (type === 'postgres') {
      return {
        type,
        ...server,
        ...(listenUrl !== undefined && { listenUrl }),
        ...(listenUrlFile !== undefined && { listenUrlFile }),
      }
    }
    const { sentinelUsername } = settings
    return {
      type,
      ...server,
      ...(sentinelUsername !== undefined && { sentinelUsername }),
      ...(sentinelPassword !== undefined && { sentinelPassword }),
    }
  }

  /** Of PostgreSQL it is a problem of the pool. */
  function missing(): string | undefined {
    return type === 'redis' ? missingPackages('ioredis', '@fastify/redis') : undefined
  }

  function placeOfProblem(): ConfigProblem['path'] {
    if (type === 'memory') return ['store']
    return ['store', settings.urlFile === undefined ? 'url' : 'urlFile']
  }
}

/** Keys that another form of the URL would ignore. */
function redisProblems(settings: DefaultedStore, { url }: ReadStore): ConfigProblem[] {
  if (url === undefined) return []
  const trust = (['caFile', 'clientCertFile', 'clientKeyFile'] as const).filter((key) => settings[key])
  const sentinel = (['sentinelUsername', 'sentinelPassword', 'sentinelPasswordFile'] as const).filter(
    (key) => settings[key],
  )
  return [
    ...(url.startsWith('rediss') ? [] : trust.map((key) => [key, 'needs TLS: url must begin with rediss'])),
    ...(/^rediss?\+sentinel:/.test(url)
      ? []
      : sentinel.map((key) => [
          key,
          'needs Sentinels: url must begin with redis+sentinel or rediss+sentinel',
        ])),
  ].map(([key = '', problem = '']) => ({ path: ['store', key], problem }))
}
