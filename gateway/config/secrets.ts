import { closeSync, fstatSync, openSync, readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import {
  mapProviders,
  PROVIDER_SECRETS,
  type ProviderName,
  type ProviderSecret,
  type ProviderSet,
  providerPath,
} from '../../plugin/api/internal.ts'
import { type ConfigProblem, formatPath } from '../../plugin/index.ts'
import { adminTokenProblem } from './rules/listener.ts'
import type { ExpandedInput, ProviderConfig } from './schemas/config.ts'

type Path = ConfigProblem['path']
type ProviderFile = `${ProviderSecret}File`

/** What everybody may read: certificates are shown to whoever connects. */
const PUBLIC_FILES = ['caFile', 'clientCertFile']

/** The parts that may name files, with what these hold; a part that breaks the schema is as it was. */
export interface ReadSecrets {
  /** With the content of their files. */
  readonly providers: ProviderSet<Omit<ProviderConfig, ProviderFile>>
  /** With absolute names of the files, which are read again at each use, in place of what they hold now. */
  readonly namedProviders: ProviderSet<ProviderConfig>
  readonly clients: Omit<ExpandedInput['clients'][number], 'clientSecretFile'>[]
  readonly resourceServers: { clientId: string; clientSecret: string }[]
  readonly secrets: string[]
  readonly store: ReadStore
  /** Of the Admin API. */
  readonly adminToken: string | undefined
  /** Every file that holds a secret. */
  readonly files: readonly SecretFile[]
  readonly problems: readonly ConfigProblem[]
  readonly warnings: readonly string[]
}

/** A file that holds a secret, by its absolute name, and the key that names it. */
export interface SecretFile {
  readonly key: string
  readonly file: string
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
 * Reads the secrets: those that are named by files, and those that stand where they are. What surrounds a secret is
 * not part of it, wherever it comes from (`plainSecret`).
 *
 * The provider's are read again at each use, so that they can be rotated without a restart; they are read here all
 * the same, so that a file that cannot be used stops the start.
 */
export function readSecrets(
  input: Required<Omit<ExpandedInput, 'upstreams'>>,
  { folderOf, isSound }: SecretContext,
): ReadSecrets {
  const problems: ConfigProblem[] = []
  const warnings: string[] = []
  const files: SecretFile[] = []
  const { secrets, secretsFile } = input
  const areSound = isSound('secrets') && isSound('secretsFile')
  const list = areSound ? read(['secretsFile'], secretsFile, secrets.length > 0) : undefined
  const found = mapProviders(input, ofProvider)
  return {
    providers: mapProviders(found, ({ provider }) => provider),
    namedProviders: mapProviders(found, ({ named }) => named),
    clients: owners('clients', input.clients),
    resourceServers: owners('resourceServers', input.resourceServers) as ReadSecrets['resourceServers'],
    secrets: areSound ? listed(list, secrets) : secrets,
    store: isSound('store') ? ofStore(input.store) : {},
    adminToken: isSound('admin') ? ofAdmin(input.admin) : undefined,
    ...{ files, problems, warnings },
  }

  function ofProvider(provider: ProviderConfig, name: ProviderName) {
    const place = providerPath(name)
    if (!isSound(...place)) return { provider, named: provider }
    const complete = { ...provider }
    const named = { ...provider }
    for (const key of PROVIDER_SECRETS) {
      const fileKey: ProviderFile = `${key}File`
      const path = [...place, fileKey]
      const file = provider[fileKey]
      delete complete[fileKey]
      const content = read(path, file, provider[key] !== undefined)
      const secret = one([...place, key], content, provider[key])
      if (secret === undefined) continue
      complete[key] = secret
      if (content === undefined) named[key] = secret
      else named[fileKey] = resolve(folderOf(path), file!)
    }
    return { provider: complete, named }
  }

  function ofStore(store: NonNullable<ExpandedInput['store']>): ReadStore {
    const found: Record<string, string> = {}
    for (const key of ['url', 'listenUrl', 'sentinelPassword'] as const) {
      const path = ['store', `${key}File`]
      const content = read(path, store[`${key}File`], store[key] !== undefined)
      const secret = one(['store', key], content, store[key])
      if (secret !== undefined) found[key] = secret
      if (content !== undefined) found[`${key}File`] = resolve(folderOf(path), store[`${key}File`]!)
    }
    return found
  }

  function ofAdmin({ tokenFile }: NonNullable<ExpandedInput['admin']>): string | undefined {
    const path = ['admin', 'tokenFile']
    const token = one(['admin', 'token'], read(path, tokenFile, false), undefined)
    const problem = token && adminTokenProblem(token)
    if (problem) problems.push({ path, problem })
    return token
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
      const secret = one([key, index, 'clientSecret'], content, rest.clientSecret)
      return { ...rest, ...(secret !== undefined && { clientSecret: secret }) }
    })
  }

  /** @param path of the secret itself. @param content of its file. @param given in its place. */
  function one(path: Path, content: string | undefined, given: string | undefined): string | undefined {
    const text = content ?? given
    if (text === undefined) return undefined
    const place = content === undefined ? path : [...path.slice(0, -1), `${path.at(-1)}File`]
    const secret = told(place, text)
    const isPemOrJwk = secret.includes('-----BEGIN ') || secret.startsWith('{')
    if (secret === '') problems.push({ path: place, problem: 'holds nothing but spaces' })
    else if (!isPemOrJwk && /[\r\n]/.test(secret))
      problems.push({ path: place, problem: 'has several lines: a secret is one' })
    return secret
  }

  /** One on each line of the file, or one in each item. Blank lines are none. */
  function listed(content: string | undefined, given: string[]): string[] {
    if (content === undefined) return given.map((text, index) => told(['secrets', index], text))
    const lines = content.split(/[\r\n]+/).map((line) => told(['secretsFile'], line))
    return lines.filter((line) => line !== '')
  }

  /** Without what surrounds it; where that may have been meant, the operator hears of it. */
  function told(path: Path, text: string): string {
    const secret = plainSecret(text)
    const hasSpaces = secret !== '' && /^[\uFEFF\r\n]*[^\S\uFEFF\r\n]|[^\S\r\n][\r\n]*$/.test(text)
    if (hasSpaces)
      warnings.push(`${formatPath(path)} begins or ends with spaces, which are not taken for a part of it`)
    return secret
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
      if (content === undefined) return report(`${file} is not UTF-8 text`)
      if (plainSecret(content) === '') return report(`${file} is empty`)
      if (PUBLIC_FILES.includes(String(path.at(-1)))) return content
      files.push({ key: formatPath(path), file })
      if (readableByOthers) warnings.push(`${file} holds a secret and can be read by every user: chmod o-r`)
      return content
    } catch (error) {
      return report(`${file} cannot be read: ${(error as NodeJS.ErrnoException).code}`)
    }
  }
}

/** The secret in a file as it is now. @throws Error that names the file when it is empty or cannot be read. */
export async function rereadSecret(file: string): Promise<string> {
  const secret = plainSecret(decoded(await readFile(file)) ?? '')
  if (secret === '') throw new Error(`${file} is empty, or not UTF-8 text`)
  return secret
}

/**
 * A secret without what editors, `echo` and mounted files put around it: a byte order mark, line breaks, blank lines,
 * spaces. In a PEM that came through a variable in one line, `\n` stands for each line break.
 */
export function plainSecret(text: string): string {
  // U+FEFF is white space to JavaScript.
  const secret = text.trim()
  const isOneLine = secret.startsWith('-----BEGIN ') && !secret.includes('\n')
  return isOneLine ? secret.replaceAll('\\n', '\n').trim() : secret
}

/** @returns content: undefined where it is no UTF-8. */
function open(file: string) {
  const descriptor = openSync(file, 'r')
  try {
    const readableByOthers = (fstatSync(descriptor).mode & 0o004) !== 0
    return { content: decoded(readFileSync(descriptor)), readableByOthers }
  } finally {
    closeSync(descriptor)
  }
}

/** The text, or undefined: bytes that are no UTF-8 are of another encoding, and no secret that anybody meant. */
function decoded(bytes: Buffer): string | undefined {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    return undefined
  }
}
