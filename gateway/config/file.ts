import { readFileSync } from 'node:fs'
import type { Document } from 'yaml'
import { loadPackage, missingPackages } from '../../plugin/api/internal.ts'
import { ConfigError, type ConfigProblem } from '../../plugin/index.ts'

/** A configuration file: its values, and where each of them stands. */
export interface ConfigFile {
  /** As given on the command line. */
  readonly name: string
  readonly values: unknown
  /** 1-based place of the key at `path`, or of the nearest parent that is in the file. */
  position(path: readonly (string | number)[]): { line: number; column: number }
}

/** What a document must be. */
const KINDS = { map: 'must be a map of keys and values', list: 'must be a list' } as const
type Kind = keyof typeof KINDS

/** An anchor may be used, but not to blow up a small file (the billion laughs). */
const MAX_ALIASES = 100

/**
 * Reads one YAML document; JSON is YAML.
 *
 * Refuses what the two of us could read differently: repeated keys, several documents, keys that are not text,
 * unknown tags, bytes that are not UTF-8.
 * @throws ConfigError with a problem for each syntax error. The parser's own messages may quote the file,
 * which holds secrets, so that only its error codes are shown.
 * @param kind what the document is as a whole; an empty one is a map without keys, and no list.
 */
export function readConfigFile(name: string, kind: Kind = 'map'): ConfigFile {
  const missing = missingPackages('yaml')
  if (missing !== undefined) throw unusable(name, `cannot be read: ${missing}`)
  const text = readText(name)
  const values = jsonValues(text)
  if (values === undefined || Array.isArray(values) !== (kind === 'list')) return readYaml(name, text, kind)
  let sameAsYaml: ConfigFile | undefined
  return {
    name,
    values,
    position(path) {
      sameAsYaml ??= readYaml(name, text, kind)
      return sameAsYaml.position(path)
    },
  }
}

/**
 * What a JSON text says, of which the parser of YAML need then not be asked: it takes as long for a thousand clients as
 * the rest of a start. Undefined: it is another text, or one of its keys is given twice, which JSON's parser takes.
 */
function jsonValues(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return undefined
  try {
    const values: unknown = JSON.parse(text)
    return keysWrittenIn(text) === keysOf(values) ? values : undefined
  } catch {
    return undefined
  }
}

/** In a text that is JSON: its strings before a colon. */
function keysWrittenIn(text: string): number {
  const string = /"(?:[^"\\]|\\.)*"(?:\s*:)?/g
  let keys = 0
  while (string.test(text)) if (text[string.lastIndex - 1] === ':') keys++
  return keys
}

function keysOf(value: unknown): number {
  if (typeof value !== 'object' || value === null) return 0
  const parts = Object.values(value)
  return parts.reduce((keys, part) => keys + keysOf(part), Array.isArray(value) ? 0 : parts.length)
}

function readYaml(name: string, text: string, kind: Kind): ConfigFile {
  const { isMap, isSeq, LineCounter, parseDocument } = yaml()
  const lineCounter = new LineCounter()
  const document = parseDocument(text, {
    lineCounter,
    prettyErrors: false,
    stringKeys: true,
    uniqueKeys: true,
  })
  const position = (offset: number) => {
    const { line, col } = lineCounter.linePos(offset)
    return { line: Math.max(line, 1), column: Math.max(col, 1) }
  }
  const problems = [...document.errors, ...document.warnings].map(
    (error): ConfigProblem => ({
      path: [],
      problem: syntaxProblems[error.code] ?? `not valid YAML: ${words(error.code)}`,
      place: { source: name, ...position(error.pos[0]) },
    }),
  )
  if (problems.length > 0) throw new ConfigError(problems)
  const { contents } = document
  if (kind === 'list' ? !isSeq(contents) : contents !== null && !isMap(contents)) {
    const place = { source: name, line: 1, column: 1 }
    throw new ConfigError([{ path: [], problem: KINDS[kind], place }])
  }
  return {
    name,
    values: valuesOf(document, name) ?? {},
    position: (path) => position(offsetOf(document, path)),
  }
}

let loaded: typeof import('yaml') | undefined

/** Only who has a file, or prints one, needs the package. */
export function yaml(): typeof import('yaml') {
  loaded ??= loadPackage<typeof import('yaml')>('yaml')
  return loaded
}

const syntaxProblems: Record<string, string> = {
  DUPLICATE_KEY: 'this key is given twice',
  MULTIPLE_DOCS: 'a second document begins here; there must be one',
  NON_STRING_KEY: 'a key must be text',
  TAG_RESOLVE_FAILED: 'unknown tag',
}

function words(code: string): string {
  return code.toLowerCase().replaceAll('_', ' ')
}

function readText(name: string): string {
  let bytes: Buffer
  try {
    bytes = readFileSync(name)
  } catch (error) {
    throw unusable(name, `cannot be read: ${(error as NodeJS.ErrnoException).code}`)
  }
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes)
  } catch {
    throw unusable(name, 'is not UTF-8 text')
  }
}

/** As a whole, without a line. */
function unusable(source: string, problem: string): ConfigError {
  return new ConfigError([{ path: [], problem, place: { source } }])
}

function valuesOf(document: Document, name: string): unknown {
  try {
    return document.toJS({ maxAliasCount: MAX_ALIASES })
  } catch {
    throw unusable(name, 'too many aliases')
  }
}

function offsetOf(document: Document, path: readonly (string | number)[]): number {
  const { isAlias, isMap, isScalar, isSeq } = yaml()
  let node: unknown = document.contents
  let offset = 0
  for (const key of path) {
    if (isAlias(node)) node = node.resolve(document)
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(key))
      if (!pair) break
      offset = startOf(pair.key) ?? offset
      node = pair.value
    } else if (isSeq(node) && typeof key === 'number') {
      node = node.items[key]
      offset = startOf(node) ?? offset
    } else break
  }
  return offset
}

function startOf(node: unknown): number | undefined {
  return (node as { range?: [number, number, number] } | undefined)?.range?.[0]
}
