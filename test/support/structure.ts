/**
 * What the plan of the folders promises, and no linter of others checks: how much a folder and a file may hold, and
 * in which direction imports point (docs/architecture.md). Part of `npm run lint`; import circles are biome's.
 *
 *     node --import=ts-blank-space/register test/support/structure.ts
 */
import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

const ENTRIES_MAX = 12
const LINES_MAX = 250

/** Flat on purpose: what each file gives stands in its name, and no test has a folder of its own there. */
const LARGE_FOLDERS = ['test/support']
/** Each is one table, which is read by looking up, not from top to bottom. */
const LONG_TABLES = [
  'plugin/oauth/errors.ts',
  'plugin/options/schema.ts',
  'plugin/options/types/fields.ts',
  'gateway/config/schemas/fields.ts',
  'gateway/operations/doctor/catalogue.ts',
]

/**
 * What each folder may import: itself, and the folders named here. A folder that is not named is free, and so are
 * the files that compose everything (`plugin/plugin.ts`, `gateway/start.ts` and their neighbours).
 */
const IMPORTS: Readonly<Record<string, readonly string[]>> = {
  'plugin/secrets': [],
  'plugin/oauth': [],
  'plugin/stores': [],
  'plugin/options': ['plugin/oauth', 'plugin/stores'],
  'plugin/http': ['plugin/oauth', 'plugin/stores', 'plugin/options'],
  'plugin/grant': ['plugin/secrets', 'plugin/oauth', 'plugin/stores', 'plugin/options'],
  'plugin/provider': ['plugin/oauth', 'plugin/stores', 'plugin/options'],
  'plugin/session': [
    'plugin/secrets',
    'plugin/oauth',
    'plugin/stores',
    'plugin/options',
    'plugin/grant',
    'plugin/provider',
  ],
  'plugin/endpoints': [
    'plugin/secrets',
    'plugin/oauth',
    'plugin/stores',
    'plugin/options',
    'plugin/http',
    'plugin/grant',
    'plugin/provider',
    'plugin/session',
  ],
  'gateway/http': ['plugin'],
  'gateway/config': ['plugin', 'gateway/http'],
  'gateway/listener': ['plugin', 'gateway/http', 'gateway/config'],
  'gateway/forward': ['plugin', 'gateway/http', 'gateway/config', 'gateway/listener'],
  'gateway/operations': ['plugin', 'gateway/http', 'gateway/config', 'gateway/listener', 'gateway/forward'],
}
/** All that the gateway, the benchmarks and the examples may see of the plugin. */
const DOORS = [
  'plugin/index.ts',
  'plugin/stores/redis/index.ts',
  'plugin/stores/postgres/index.ts',
  'plugin/stores/contract/index.ts',
  'plugin/api/testing.ts',
  'plugin/api/internal.ts',
  'plugin/api/schemas.ts',
  'plugin/options/types/fields.ts',
  'plugin/options/types/options.ts',
]
const OUTSIDE = ['gateway/', 'benchmarks/', 'examples/']

const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], {
  encoding: 'utf8',
})
  .split('\n')
  .filter((file) => /^(?:plugin|gateway|test|benchmarks|examples)\//.test(file) && existsSync(file))
const sources = files.filter((file) => file.endsWith('.ts'))

const problems = [...largeFolders(), ...longFiles(), ...wrongImports()]
for (const problem of problems) console.error(problem)
if (problems.length > 0) process.exitCode = 1

function largeFolders(): string[] {
  const entries = new Map<string, Set<string>>()
  for (const file of files) {
    const parts = file.split('/')
    for (let depth = 1; depth < parts.length; depth++) {
      const folder = parts.slice(0, depth).join('/')
      entries.set(folder, (entries.get(folder) ?? new Set()).add(parts[depth]!))
    }
  }
  return [...entries]
    .filter(([folder, { size }]) => size > ENTRIES_MAX && !LARGE_FOLDERS.includes(folder))
    .map(
      ([folder, { size }]) =>
        `${folder}: ${size} entries, at most ${ENTRIES_MAX}: give some a folder of their own`,
    )
}

function longFiles(): string[] {
  return sources
    .filter((file) => /^(?:plugin|gateway)\//.test(file) && !LONG_TABLES.includes(file))
    .map((file) => [file, readFileSync(file, 'utf8').trimEnd().split('\n').length] as const)
    .filter(([, lines]) => lines > LINES_MAX)
    .map(([file, lines]) => `${file}: ${lines} lines, at most ${LINES_MAX}: cut it along its subjects`)
}

function wrongImports(): string[] {
  return sources.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?'(\.[^']+\.ts)'/g)]
      .map(([, specifier]) => normalize(join(dirname(file), specifier!)))
      .filter((imported) => !isAllowed(file, imported))
      .map((imported) => `${file} imports ${imported}: against the direction of docs/architecture.md`),
  )
}

function isAllowed(file: string, imported: string): boolean {
  if (file.startsWith('plugin/') && !imported.startsWith('plugin/')) return false
  if (OUTSIDE.some((folder) => file.startsWith(folder)) && imported.startsWith('plugin/')) {
    return DOORS.includes(imported)
  }
  const folder = areaOf(file)
  const allowed = IMPORTS[folder]
  return allowed === undefined || [folder, ...allowed].some((one) => imported.startsWith(`${one}/`))
}

/** The folder on the second level, e.g. `plugin/grant`. */
function areaOf(file: string): string {
  return file.split('/').slice(0, 2).join('/')
}
