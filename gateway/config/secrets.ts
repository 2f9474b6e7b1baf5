import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { ConfigProblem } from '../../plugin/index.ts'
import type { GatewayInput } from './schemas/gateway.ts'

type Path = ConfigProblem['path']
type Provider = GatewayInput['provider']

/** The parts that may name files, with what these hold; a part that breaks the schema is as it was. */
export interface ReadSecrets {
  /** With the content of its files. */
  readonly provider: Omit<Provider, 'clientSecretFile' | 'privateKeyFile'>
  /** Absolute names of the provider's files, which are read again at each use. */
  readonly providerFiles: Pick<Provider, 'clientSecretFile' | 'privateKeyFile'>
  readonly clients: Omit<GatewayInput['clients'][number], 'clientSecretFile'>[]
  readonly resourceServers: { clientId: string; clientSecret: string }[]
  readonly secrets: string[]
  readonly store: ReadStore
  readonly problems: readonly ConfigProblem[]
  readonly warnings: readonly string[]
}

/** The secrets of the store, wherever they were given, and absolute names of files that are read again. */
export interface ReadStore {
  readonly url?: string
  readonly urlFile?: string
  readonly listenUrl?: string
  readonly listenUrlFile?: string
  readonly sentinelPassword?: string
}

/** How names and paths are judged. */
export interface SecretContext {
  /** What a relative file name at a path is relative to. */
  readonly folderOf: (path: Path) => string
  /** True if what stands at the path keeps to the schema. */
  readonly isSound: (...path: Path) => boolean
}

/**
 * Reads the secrets that are named by files. One trailing line break of a file is not part of the secret.
 *
 * The provider's are read again at each use, so that they can be rotated without a restart; they are read here all
 * the same, so that a file that cannot be used stops the start.
 */
export function readSecrets(
  input: Required<Omit<GatewayInput, 'upstreams'>>,
  { folderOf, isSound }: SecretContext,
): ReadSecrets {
  const problems: ConfigProblem[] = []
  const warnings: string[] = []
  const { secrets, secretsFile } = input
  const areSound = isSound('secrets') && isSound('secretsFile')
  const lines = areSound ? read(['secretsFile'], secretsFile, secrets.length > 0)?.split(/\r?\n/) : undefined
  return {
    ...ofProvider(input.provider),
    clients: owners('clients', input.clients),
    resourceServers: owners('resourceServers', input.resourceServers) as ReadSecrets['resourceServers'],
    secrets: lines ?? secrets,
    store: isSound('store') ? ofStore(input.store) : {},
    problems,
    warnings,
  }

  function ofProvider(provider: Provider): Pick<ReadSecrets, 'provider' | 'providerFiles'> {
    if (!isSound('provider')) return { provider, providerFiles: {} }
    const { clientSecretFile, privateKeyFile, ...rest } = provider
    const names = { clientSecret: clientSecretFile, privateKey: privateKeyFile }
    const contents: Pick<Provider, 'clientSecret' | 'privateKey'> = {}
    const providerFiles: Pick<Provider, 'clientSecretFile' | 'privateKeyFile'> = {}
    for (const key of ['clientSecret', 'privateKey'] as const) {
      const path = ['provider', `${key}File`]
      const content = read(path, names[key], rest[key] !== undefined)
      if (content === undefined) continue
      contents[key] = content
      providerFiles[`${key}File`] = resolve(folderOf(path), names[key]!)
    }
    return { provider: { ...rest, ...contents }, providerFiles }
  }

  function ofStore(store: NonNullable<GatewayInput['store']>): ReadStore {
    const found: Record<string, string> = {}
    for (const key of ['url', 'listenUrl', 'sentinelPassword'] as const) {
      const path = ['store', `${key}File`]
      const content = read(path, store[`${key}File`], store[key] !== undefined)
      const secret = content ?? store[key]
      if (secret !== undefined) found[key] = secret
      if (content !== undefined) found[`${key}File`] = resolve(folderOf(path), store[`${key}File`]!)
    }
    return found
  }

  /** Read once: their secrets are compared, not sent. */
  function owners<T extends { clientSecret?: string; clientSecretFile?: string }>(
    key: 'clients' | 'resourceServers',
    items: T[],
  ): Omit<T, 'clientSecretFile'>[] {
    if (!Array.isArray(items)) return items
    return items.map((owner: T, index) => {
      if (!isSound(key, index)) return owner
      const { clientSecretFile, ...rest } = owner
      const path = [key, index, 'clientSecretFile']
      const content = read(path, clientSecretFile, rest.clientSecret !== undefined)
      return { ...rest, ...(content !== undefined && { clientSecret: content }) }
    })
  }

  /** The content of the file `name`, or undefined and a problem at `path`. */
  function read(path: Path, name: string | undefined, givenToo: boolean): string | undefined {
    if (name === undefined) return undefined
    const report = (problem: string) => {
      problems.push({ path, problem })
      return undefined
    }
    if (givenToo) return report(`is given besides ${String(path.at(-1)).slice(0, -4)}: keep one of them`)
    const file = resolve(folderOf(path), name)
    try {
      const { content, readableByOthers } = open(file)
      if (content === '') return report(`${file} is empty`)
      if (readableByOthers) warnings.push(`${file} holds a secret and can be read by every user: chmod o-r`)
      return content
    } catch (error) {
      return report(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`)
    }
  }
}

/** The content of a secret's file as it is now. @throws Error that names the file when it is empty or cannot be read. */
export async function rereadSecret(file: string): Promise<string> {
  const content = withoutLineBreak(await readFile(file, 'utf8'))
  if (content === '') throw new Error(`${file} is empty`)
  return content
}

function open(file: string) {
  const descriptor = openSync(file, 'r')
  try {
    const readableByOthers = (fstatSync(descriptor).mode & 0o004) !== 0
    return { content: withoutLineBreak(readFileSync(descriptor, 'utf8')), readableByOthers }
  } finally {
    closeSync(descriptor)
  }
}

function withoutLineBreak(text: string): string {
  return text.replace(/\r?\n$/, '')
}
