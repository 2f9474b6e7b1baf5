import { dirname, resolve } from 'node:path'
import { ConfigError, type ConfigProblem } from '../../../plugin/index.ts'
import { type ConfigFile, readConfigFile } from '../file.ts'
import { isWritten, type MergedConfig } from '../merge.ts'

type Path = ConfigProblem['path']

/** All clients in one list, and what of `clientsFile` cannot be read. */
export interface ListedClients extends MergedConfig {
  /** Those in the file itself have their places. */
  readonly problems: readonly ConfigProblem[]
}

const PATH = ['clientsFile']

/**
 * Puts the clients that stand in a file of their own behind those of the configuration, as if all had been written in
 * one place. What breaks the schema stays as it is, for the schema to refuse. Source: requirements Q-14.
 */
export function listClients(merged: MergedConfig): ListedClients {
  const { clientsFile, clients = [], ...others } = (merged.values ?? {}) as Record<string, unknown>
  const isRead = typeof clientsFile === 'string' && clientsFile !== '' && Array.isArray(clients)
  if (!isRead) return { ...merged, problems: [] }
  const name = resolve(merged.folderOf(PATH), clientsFile)
  try {
    return { ...withFile(merged, readConfigFile(name, 'list')), problems: [] }
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error
    const problems = error.problems.map((one) => (one.place?.line === undefined ? unusable(one) : one))
    return { ...merged, values: { ...others, clients }, problems }
  }
}

function withFile(merged: MergedConfig, file: ConfigFile): MergedConfig {
  const {
    clientsFile: _,
    clients = [],
    ...others
  } = merged.values as { clients?: unknown[] } & object & {
      clientsFile?: string
    }
  const listed = file.values as unknown[]
  /** The path in the file; undefined: it is not from there. */
  const inFile = ([key, index, ...rest]: Path): Path | undefined =>
    key === 'clients' && typeof index === 'number' && index >= clients.length
      ? [index - clients.length, ...rest]
      : undefined
  const folder = dirname(file.name)
  return {
    values: { ...others, clients: [...clients, ...listed] },
    placeOf(path) {
      const own = inFile(path)
      if (own === undefined) return merged.placeOf(path)
      return { path: own, place: { source: file.name, ...file.position(own) } }
    },
    originOf(path) {
      const own = inFile(path)
      if (own === undefined) return merged.originOf(path)
      return isWritten(listed, own) ? `${file.name}:${file.position(own).line}` : undefined
    },
    folderOf: (path) => (inFile(path) === undefined ? merged.folderOf(path) : folder),
  }
}

/** Of the file as a whole: told where it is named. */
function unusable({ problem, place }: ConfigProblem): ConfigProblem {
  return { path: PATH, problem: `${place?.source} ${problem}` }
}
