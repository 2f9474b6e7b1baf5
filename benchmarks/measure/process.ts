import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { connect, createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { Core } from './machine.ts'

/** A program with its arguments. */
export interface Command {
  readonly file: string
  readonly args: readonly string[]
  readonly environment?: Readonly<Record<string, string>>
}

/** A million sessions take a while to make. */
const START_MS = 600_000
const STOP_MS = 5000
const RETRY_MS = 10

const running = new Set<ChildProcess>()
process.on('exit', () => {
  for (const child of running) killGroup(child)
})

/** The process with its children: a worker of nginx or Apache outlives a master that is killed. */
function killGroup({ pid }: ChildProcess): void {
  try {
    if (pid !== undefined) process.kill(-pid, 'SIGKILL')
  } catch {
    // All of them have ended.
  }
}

/** A process that we started, pinned to a core, with its output in a file. */
export class Started {
  readonly pid: number
  readonly outputFile: string
  readonly #child: ChildProcess

  constructor(command: Command, core: Core, outputFile: string) {
    const { file, args } = core === null ? command : pinned(command, core)
    const output = openSync(outputFile, 'a')
    this.#child = spawn(file, args, {
      stdio: ['ignore', output, output],
      // A process group of its own.
      detached: true,
      env: { ...process.env, ...command.environment },
    })
    closeSync(output)
    running.add(this.#child)
    this.#child.on('error', () => running.delete(this.#child))
    this.#child.on('exit', () => running.delete(this.#child))
    this.pid = this.#child.pid ?? 0
    this.outputFile = outputFile
  }

  /** Everything it has written. */
  output(): string {
    return readFileSync(this.outputFile, 'utf8')
  }

  get ended(): boolean {
    return this.pid === 0 || this.#child.exitCode !== null || this.#child.signalCode !== null
  }

  /** Resolves once something accepts connections at the port. @throws Error with its output if it ends before. */
  async listening(port: number): Promise<void> {
    await this.#until(() => accepts(port))
  }

  /** Resolves once it has written the text. @throws Error with its output if it ends before. */
  async writing(text: string): Promise<void> {
    await this.#until(async () => this.output().includes(text))
  }

  async #until(isReady: () => Promise<boolean>): Promise<void> {
    for (const deadline = Date.now() + START_MS; !(await isReady()); ) {
      if (this.ended) throw new Error(`it ended instead of listening\n${lastLines(this.output())}`)
      if (Date.now() > deadline) throw new Error(`it does not listen after ${START_MS} ms`)
      await pause(RETRY_MS)
    }
  }

  /** Resolves with the exit code. */
  async exited(): Promise<number | null> {
    if (!this.ended) await once(this.#child, 'exit')
    return this.#child.exitCode
  }

  /** SIGTERM, and SIGKILL for what does not obey. */
  async stop(): Promise<void> {
    if (this.ended) return
    const exited = once(this.#child, 'exit')
    this.#child.kill('SIGTERM')
    const timer = setTimeout(() => killGroup(this.#child), STOP_MS)
    await exited
    clearTimeout(timer)
  }
}

/** Below those that the kernel gives to connections, of which the load makes many. */
const PORTS = { first: 10_000, count: 20_000 }

/** A port that was free a moment ago. */
export async function freePort(): Promise<number> {
  for (;;) {
    const port = PORTS.first + Math.floor(Math.random() * PORTS.count)
    const server = createServer().listen(port, '127.0.0.1')
    try {
      await once(server, 'listening')
    } catch {
      continue
    }
    server.close()
    await once(server, 'close')
    return port
  }
}

/** The file that a process of this name writes to. */
export function outputFile(folder: string, name: string): string {
  return join(folder, `${name}.log`)
}

function pinned({ file, args }: Command, core: string): Command {
  return { file: 'taskset', args: ['-c', core, file, ...args] }
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    socket.on('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.on('error', () => resolve(false))
  })
}

function lastLines(text: string): string {
  return text.trim().split('\n').slice(-20).join('\n')
}
