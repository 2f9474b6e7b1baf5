import { execFileSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { availableParallelism, cpus, loadavg, release, totalmem, type } from 'node:os'
import { findExecutable, installedVersion, root } from '../plan/project.ts'

/** A CPU core as taskset names it, or null: not pinned. */
export type Core = string | null

/** What a reader must know to judge the numbers. */
export interface Machine {
  readonly date: string
  readonly cpu: string
  readonly cores: number
  readonly memoryBytes: number
  readonly kernel: string
  /** Of the servers under test. */
  readonly node: string
  readonly packages: Readonly<Record<string, string>>
  /** Servers from the distribution. */
  readonly servers: Readonly<Record<string, string>>
  readonly commit: string
  /** Which cores server and load are pinned to. */
  readonly pinning: { readonly server: Core; readonly load: Core }
  /** Runnable processes in the last minute, before the run: above a few tenths, something was running then. */
  readonly loadAverage: number
}

const PACKAGES = [
  'fastify',
  'undici',
  '@fastify/http-proxy',
  '@fastify/reply-from',
  '@fastify/jwt',
  'express',
  'http-proxy-middleware',
  'express-oauth2-jwt-bearer',
  '@node-oauth/oauth2-server',
  'oidc-provider',
  '@fastify/oauth2',
  'autocannon',
]
/** What prints the version. */
const SERVERS: Readonly<Record<string, readonly [file: string, ...args: string[]]>> = {
  nginx: ['nginx', '-v'],
  haproxy: ['haproxy', '-v'],
  apache2: ['apache2', '-v'],
  mod_auth_openidc: ['dpkg-query', '--show', 'libapache2-mod-auth-openidc'],
  caddy: ['caddy', 'version'],
  'oauth2-proxy': ['oauth2-proxy', '--version'],
  redis: ['redis-server', '--version'],
  wrk: ['wrk', '-v'],
}

/** The first core is the server's, the last one the load's and everything else's. */
export function pinning(): Machine['pinning'] {
  const cores = availableParallelism()
  const possible = cores > 1 && findExecutable('taskset') !== undefined
  return possible ? { server: '0', load: String(cores - 1) } : { server: null, load: null }
}

/** @param node the executable that runs the servers. */
export function describeMachine(node: string): Machine {
  return {
    date: new Date().toISOString(),
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    kernel: `${type()} ${release()}`,
    node: firstLine(node, ['--version']) ?? 'unknown',
    packages: known(PACKAGES, (name) => installedVersion(name)),
    servers: known(Object.keys(SERVERS), (name) => {
      const [command, ...args] = SERVERS[name]!
      const file = findExecutable(command)
      return file === undefined ? undefined : /\d+\.\d\S*/.exec(firstLine(file, args) ?? '')?.[0]
    }),
    commit: commit(),
    pinning: pinning(),
    loadAverage: loadavg()[0] ?? 0,
  }
}

function known(names: readonly string[], value: (name: string) => string | undefined) {
  const found = names.map((name) => [name, value(name)] as const)
  return Object.fromEntries(found.filter((entry): entry is [string, string] => entry[1] !== undefined))
}

/** Some print their version on stderr, and some exit with an error status while they do. */
function firstLine(file: string, args: readonly string[]): string | undefined {
  try {
    const text = execFileSync('sh', ['-c', '"$0" "$@" 2>&1; true', file, ...args], { encoding: 'utf8' })
    return text.split('\n')[0]?.trim()
  } catch {
    return undefined
  }
}

function commit(): string {
  try {
    const git = (...args: string[]) =>
      execFileSync('git', args, { cwd: root, encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] }).trim()
    const changed = git('status', '--porcelain') === '' ? '' : ', with changes'
    return git('rev-parse', '--short=12', 'HEAD') + changed
  } catch {
    const { version } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as { version: string }
    return `no repository, version ${version}`
  }
}
