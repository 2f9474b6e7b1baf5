/**
 * docs/api.md: every export with its type and its comment, out of the declarations that are packed.
 *
 * API Extractor reads them. It brings a TypeScript of its own: the 7.0 that compiles this project has no programming
 * interface, and typedoc asks for an older one in its place. What it finds is written as one page here, because its own
 * companion writes hundreds of files.
 */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { CompilerState, Extractor, ExtractorConfig, type ExtractorLogLevel } from '@microsoft/api-extractor'

/** As API Extractor writes it. */
interface Item {
  readonly kind: string
  readonly name?: string
  /** Has `!~` where it is not exported, and another one names it. */
  readonly canonicalReference?: string
  readonly docComment?: string
  readonly excerptTokens?: readonly { readonly text: string }[]
  readonly members?: readonly Item[]
}

const HEAD = `# API

<!-- Made by \`npm run docs\` out of the declarations. -->

Every export, with its type, as it is packed. What each option means is in [options.md](options.md).
`
/** The schemas are values of typebox: their types are long, and say nothing that options.md does not. */
const WITHOUT_TYPES = './schemas'
/** Not exported by name, and what a reader of the exported ones asks for next. */
const ALSO = ['AuditFacts', 'RequiredAuthentication']

/** docs/api.md as it should be. Takes some ten seconds. */
export function apiPage(): string {
  const folder = mkdtempSync(resolve('.cache-api-'))
  try {
    const compiler = resolve('node_modules/.bin/tsc')
    const types = join(folder, 'types')
    // Without what a test runner has its processes load: the compiler of Node 24 does not start with it.
    const clean = ['-u', 'NODE_OPTIONS', compiler, '--emitDeclarationOnly', '--noCheck', '--outDir', types]
    execFileSync('/usr/bin/env', clean)
    const { exports } = JSON.parse(readFileSync('package.json', 'utf8')) as {
      exports: Record<string, { types: string } | string>
    }
    const doors = Object.entries(exports).flatMap(([door, target]) =>
      typeof target === 'string' ? [] : [{ door, entry: join(types, target.types.replace('./build/', '')) }],
    )
    const entries = doors.map(({ entry }) => entry)
    const compilerState = CompilerState.create(configFor(entries[0]!, folder), {
      additionalEntryPoints: entries.slice(1),
    })
    const seen = new Map<string, string>()
    const sections = doors.map(({ door, entry }) =>
      section(door, itemsOf(configFor(entry, folder), compilerState), seen),
    )
    return HEAD + sections.join('')
  } finally {
    rmSync(folder, { recursive: true })
  }
}

function configFor(entry: string, folder: string): ExtractorConfig {
  const silent = { default: { logLevel: 'none' as ExtractorLogLevel } }
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2023',
    lib: ['es2023'],
    types: ['node'],
    skipLibCheck: true,
  }
  return ExtractorConfig.prepare({
    configObjectFullPath: undefined,
    packageJsonFullPath: resolve('package.json'),
    configObject: {
      projectFolder: process.cwd(),
      mainEntryPointFilePath: entry,
      compiler: { overrideTsconfig: { compilerOptions, files: [entry] } },
      apiReport: { enabled: false },
      docModel: {
        ...{ enabled: true, includeForgottenExports: true },
        apiJsonFilePath: join(folder, 'model.json'),
      },
      dtsRollup: { enabled: false },
      tsdocMetadata: { enabled: false },
      messages: {
        ...{ compilerMessageReporting: silent, extractorMessageReporting: silent },
        tsdocMessageReporting: silent,
      },
    },
  })
}

function itemsOf(config: ExtractorConfig, compilerState: CompilerState): readonly Item[] {
  const { succeeded } = Extractor.invoke(config, {
    localBuild: true,
    compilerState,
    messageCallback(message) {
      message.handled = true
    },
  })
  if (!succeeded) throw new Error(`API Extractor has failed for ${config.mainEntryPointFilePath}`)
  const { members } = JSON.parse(readFileSync(config.apiJsonFilePath, 'utf8')) as {
    members: readonly Item[]
  }
  return members[0]!.members ?? []
}

/** @param seen what is documented already, by name: another door gives the same again. */
function section(door: string, items: readonly Item[], seen: Map<string, string>): string {
  const where = door.replace('.', 'fastify-pkce')
  const parts = items
    .filter(({ name = '', canonicalReference }) => !canonicalReference?.includes('!~') || ALSO.includes(name))
    .map((item) => {
      const name = item.name!
      const code = door === WITHOUT_TYPES ? `export declare const ${name}` : declaration(item)
      if (seen.get(name) === code)
        return `### ${name} of ${where}\n\nThe same as [${name}](#${name.toLowerCase()}).\n`
      // `testSession` gives a `TestSession`, and anchors are in lower case.
      const isTaken = [...seen.keys()].some((other) => other.toLowerCase() === name.toLowerCase())
      seen.set(name, code)
      const title = isTaken ? `${name} (${item.kind.toLowerCase()})` : name
      const about = prose(item.docComment)
      return `### ${title}\n${about && `\n${about}\n`}\n\`\`\`typescript\n${code}\n\`\`\`\n`
    })
  return `\n## ${where}\n\n${parts.join('\n')}`
}

function declaration(item: Item): string {
  const head = excerpt(item).replace(/^export (?:declare )?/, '')
  if (!item.members || !['Class', 'Interface'].includes(item.kind)) return head
  const members = item.members.map((member) => {
    const about = prose(member.docComment)
    const comment =
      about && member.kind !== 'Constructor' ? `/** ${about.replaceAll('\n', '\n * ')} */\n` : ''
    return `${comment}${excerpt(member)}`.replaceAll(/^/gm, '  ')
  })
  return `${head.trim()} {\n${members.join('\n')}\n}`
}

function excerpt({ excerptTokens = [] }: Item): string {
  return excerptTokens
    .map(({ text }) => text)
    .join('')
    .trim()
}

/** The text of a comment, without its frame. */
function text(comment = ''): string {
  return comment
    .replaceAll(/^\/\*\*|\*\/\s*$/g, '')
    .replaceAll(/^ *\* ?/gm, '')
    .replaceAll(/(@throws|@returns|@see)\n\n/g, '$1 ')
    .trim()
}

/** The same in Markdown: its tags are words that a reader knows. */
function prose(comment?: string): string {
  return text(comment)
    .replaceAll(/@(param|throws|returns|see)\b/g, '**@$1**')
    .replaceAll(/`[^`]*`|</g, (found) => (found === '<' ? '&lt;' : found))
}

if (process.argv[2] === '--write') writeFileSync('docs/api.md', apiPage())
