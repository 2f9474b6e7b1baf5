import { readFileSync } from 'node:fs'
import t from 'tap'
import {
  missingPackages,
  OPTIONAL_PACKAGES,
  type OptionalPackage,
} from '../../plugin/stores/optional-packages.ts'

const read = (path: string) => readFileSync(new URL(`../../${path}`, import.meta.url), 'utf8')

interface Lock {
  readonly packages: Readonly<Record<string, { readonly version?: string; readonly dev?: boolean }>>
}

const manifest = JSON.parse(read('package.json')) as {
  engines: { node: string }
  dependencies: Record<string, string>
  peerDependencies: Record<string, string>
  peerDependenciesMeta: Record<string, { optional?: boolean }>
}
const lock = JSON.parse(read('package-lock.json')) as Lock
const benchmarks = JSON.parse(read('benchmarks/package-lock.json')) as Lock

/** Builds native modules at installation, and is never loaded. It brings an undici of its own. */
const BUILD_TOOL = 'node_modules/node-gyp/'

/** The table of Appendix E: the oldest safe version of each major. */
function minimumVersions(): [name: string, versions: string[]][] {
  const appendix = read('docs/requirements.md').split('## Appendix E.')[1]!
  return [...appendix.matchAll(/^\| ([\w@/.-]+) \| (\d[\d., ]*) \|$/gm)].map(([, name, versions]) => [
    name!,
    versions!.split(', '),
  ])
}

/** Every version of a package in a lockfile, wherever it stands in the tree. */
function lockedVersions({ packages }: Lock, name: string): string[] {
  return Object.entries(packages)
    .filter(([path]) => path.endsWith(`node_modules/${name}`) && !path.startsWith(BUILD_TOOL))
    .map(([, { version }]) => version!)
}

function isAtLeast(version: string, minimum: string): boolean {
  const [major = 0, minor = 0, patch = 0] = version.split('.').map(Number)
  const [majorMin = 0, minorMin = 0, patchMin = 0] = minimum.split('.').map(Number)
  return major === majorMin && (minor > minorMin || (minor === minorMin && patch >= patchMin))
}

t.test(
  'no locked version is older than is safe, or of a major nobody has judged (SC-03, Appendix E)',
  async (t) => {
    const table = minimumVersions().filter(([name]) => name !== 'Node.js')
    t.equal(table.length, 8)
    for (const [name, minimums] of table) {
      const versions = [lock, benchmarks].flatMap((file) => lockedVersions(file, name))
      for (const version of versions) {
        t.ok(
          minimums.some((minimum) => isAtLeast(version, minimum)),
          `${name} ${version}: at least ${minimums.join(' or ')}`,
        )
      }
    }
    for (const name of ['fastify', 'undici', 'fast-uri', '@fastify/formbody'])
      t.ok(lockedVersions(lock, name).length > 0, `${name} is found`)
  },
)

t.test('a version is compared by numbers, and within its major', async (t) => {
  t.ok(isAtLeast('7.29.0', '7.29.0'))
  t.ok(isAtLeast('7.30.2', '7.29.10'))
  t.notOk(isAtLeast('7.9.9', '7.29.0'))
  t.notOk(isAtLeast('7.29.0', '7.29.1'))
  t.notOk(isAtLeast('8.0.0', '7.29.0'))
})

t.test('runtime dependencies are the named ones, and no other proxy is among them (SC-01)', async (t) => {
  const row = /^\| SC-01 \| ([^|]+)/m.exec(read('docs/requirements.md'))![1]!
  const named = row.slice(0, row.indexOf(' No middie')).match(/@?[a-z][\w@/-]*/g)!
  for (const name of [...Object.keys(manifest.dependencies), ...Object.keys(manifest.peerDependencies)])
    t.ok(named.includes(name), `${name} is named in docs/requirements.md`)
  const shipped = Object.entries(lock.packages).filter(([, { dev }]) => !dev)
  t.same(
    shipped.filter(([path]) =>
      /node_modules\/(?:@fastify\/)?(?:middie|express|reply-from|http-proxy)$/.test(path),
    ),
    [],
  )
})

t.test(
  'what a message says to install is of the major that is asked for, and optional (SC-10)',
  async (t) => {
    for (const [name, command] of Object.entries(OPTIONAL_PACKAGES)) {
      const major = /^\^(\d+)\./.exec(manifest.peerDependencies[name]!)?.[1]
      t.equal(command, `${name}@${major}`)
      t.same(manifest.peerDependenciesMeta[name], { optional: true })
      t.notOk(name in manifest.dependencies)
    }
    t.equal(
      missingPackages(...(Object.keys(OPTIONAL_PACKAGES) as OptionalPackage[])),
      undefined,
      'all of them are here',
    )
  },
)

t.test(
  'the supported versions of Node are stated, and undici is of the major that runs on them (SC-04, P-14)',
  async (t) => {
    t.equal(manifest.engines.node, '>=20.19.0')
    t.match(read('README.md'), 'Node 20 is past its end of life')
    t.match(manifest.dependencies.undici, /^\^7\./, 'undici 8 needs Node 22.19')
  },
)
