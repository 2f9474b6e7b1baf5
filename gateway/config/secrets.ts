import { randomUUID } from 'node:crypto'
import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { ConfigProblem } from '../../plugin/index.ts'
import type { GatewayInput } from './schemas/gateway.ts'

type Path = ConfigProblem['path']
type Provider = GatewayInput['provider']

/** The configuration with every `…File` replaced by what the file holds. */
export interface WithSecrets {
  readonly provider: Omit<Provider, 'clientSecret' | 'clientSecretFile' | 'privateKey' | 'privateKeyFile'> & {
    clientSecret?: string | (() => Promise<string>)
    privateKey?: string | (() => Promise<string>)
  }
  readonly clients: Omit<GatewayInput['clients'][number], 'clientSecretFile'>[]
  readonly resourceServers: { clientId: string; clientSecret: string }[]
  readonly secrets: string[]
  readonly storeUrl: string | undefined
  readonly problems: readonly ConfigProblem[]
  readonly warnings: readonly string[]
}

/**
 * Reads the secrets that are named by files. A relative name is relative to `folderOf` its place.
 *
 * The provider's are read again at each use, so that they can be rotated without a restart; they are checked
 * here all the same. One trailing line break of a file is not part of the secret.
 */
export function readSecrets(
  input: Omit<GatewayInput, 'upstreams'>,
  folderOf: (path: Path) => string,
): WithSecrets {
  const problems: ConfigProblem[] = []
  const warnings: string[] = []

  const { clientSecretFile, privateKeyFile, clientSecret, privateKey, ...rest } = input.provider
  const provider = {
    ...rest,
    ...renewable('clientSecret', clientSecret, clientSecretFile),
    ...renewable('privateKey', privateKey, privateKeyFile),
  }
  const clients = input.clients.map((client, index) => fixed(client, ['clients', index]))
  const resourceServers = (input.resourceServers ?? []).map((server, index) => {
    const path = ['resourceServers', index]
    const named = server.clientSecret ?? server.clientSecretFile
    if (named === undefined) problems.push({ path: [...path, 'clientSecret'], problem: 'is required' })
    // Without a secret there is a problem, and no gateway; the plugin still judges the rest of the options.
    return { clientSecret: randomUUID(), ...fixed(server, path) }
  })
  const listed = input.secrets ?? []
  const lines = read(['secretsFile'], input.secretsFile, listed.length > 0)?.split(/\r?\n/)
  const { url, urlFile } = input.store ?? {}
  const storeUrl = read(['store', 'urlFile'], urlFile, url !== undefined) ?? url
  return { provider, clients, resourceServers, secrets: lines ?? listed, storeUrl, problems, warnings }

  function renewable<K extends 'clientSecret' | 'privateKey'>(
    key: K,
    given: string | undefined,
    name: string | undefined,
  ): { [P in K]?: string | (() => Promise<string>) } {
    const path = ['provider', `${key}File`]
    const content = read(path, name, given !== undefined)
    if (name !== undefined && content !== undefined) {
      const file = resolve(folderOf(path), name)
      return { [key]: () => renewed(file) } as { [P in K]: () => Promise<string> }
    }
    return given === undefined ? {} : ({ [key]: given } as { [P in K]: string })
  }

  function fixed<T extends { clientSecret?: string; clientSecretFile?: string }>(owner: T, path: Path) {
    const { clientSecretFile, ...rest } = owner
    const given = rest.clientSecret !== undefined
    const content = read([...path, 'clientSecretFile'], clientSecretFile, given)
    return { ...rest, ...(content !== undefined && { clientSecret: content }) }
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

function open(file: string) {
  const descriptor = openSync(file, 'r')
  try {
    const readableByOthers = (fstatSync(descriptor).mode & 0o004) !== 0
    return { content: withoutLineBreak(readFileSync(descriptor, 'utf8')), readableByOthers }
  } finally {
    closeSync(descriptor)
  }
}

async function renewed(file: string): Promise<string> {
  const content = withoutLineBreak(await readFile(file, 'utf8'))
  if (content === '') throw new Error(`${file} is empty`)
  return content
}

function withoutLineBreak(text: string): string {
  return text.replace(/\r?\n$/, '')
}
