/** The gateway's command as a process of its own, and what stands around it. */
import { type ChildProcess, spawn } from 'node:child_process'
import { EventEmitter, once } from 'node:events'
import { writeFileSync } from 'node:fs'
import {
  Agent,
  createServer,
  type IncomingMessage,
  type RequestListener,
  request,
  type ServerResponse,
} from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Test } from 'tap'
import { stringify } from 'yaml'
import type { GatewayInput } from '../../gateway/config/schemas/gateway.ts'
import type { OneProvider } from './gateway-config.ts'

export const publicHost = '127.0.0.1:3000'
export const secret = 'hunter2-hunter2'

/** A usable configuration on free ports; nothing listens at the provider's. */
export function values(more: Partial<GatewayInput> = {}): OneProvider {
  return {
    publicUrl: `http://${publicHost}`,
    listen: { port: 0 },
    admin: { port: 0 },
    provider: { issuer: 'http://127.0.0.1:1', clientId: 'gateway', clientSecret: secret },
    clients: [
      { clientId: 'com.example.app', redirectUris: ['com.example.app:/callback'], interaction: 'none' },
    ],
    ...more,
  } as OneProvider
}

export function configFile(t: Test, content: GatewayInput): string {
  const path = join(t.testdir({}), 'gateway.yaml')
  writeFileSync(path, stringify(content))
  return path
}

/** How a process is made of the command. */
export interface CommandOptions {
  readonly environment?: Record<string, string>
  readonly nodeArgs?: readonly string[]
  /** Default: the source. */
  readonly program?: readonly string[]
  /** In a group of its own, so that all of it can be signalled as a terminal does. */
  readonly detached?: boolean
}

/** A child process that runs the command, its output by line. */
export class Command {
  readonly child: ChildProcess
  readonly stdout: string[] = []
  readonly stderr: string[] = []
  readonly #lines = new EventEmitter()
  /** Its exit status, once it and all that shares its output are gone. */
  readonly exited: Promise<number | null>

  constructor(
    t: Test,
    args: readonly string[],
    {
      environment = {},
      nodeArgs = [],
      program = ['--import=ts-blank-space/register', 'gateway/main.ts'],
      detached = false,
    }: CommandOptions = {},
  ) {
    this.child = spawn(process.execPath, [...nodeArgs, ...program, ...args], {
      env: { PATH: process.env.PATH, ...environment },
      stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
      detached,
    })
    for (const name of ['stdout', 'stderr'] as const) {
      createInterface({ input: this.child[name]! }).on('line', (line) => {
        this[name].push(line)
        this.#lines.emit('line')
      })
    }
    this.exited = once(this.child, 'close').then(([status]) => status)
    t.teardown(async () => {
      this.child.kill('SIGKILL')
      await this.exited
    })
  }

  get pid(): number {
    if (this.child.pid === undefined) throw new Error('there is no process')
    return this.child.pid
  }

  /** The log line with this message, once it is there. */
  async logged(msg: string): Promise<Record<string, unknown>> {
    const [line] = await this.loggedTimes(1, msg)
    return line!
  }

  /** The log lines with this message, once there are so many. */
  async loggedTimes(count: number, msg: string): Promise<Record<string, unknown>[]> {
    for (;;) {
      const lines = this.log().filter((one) => one.msg === msg)
      if (lines.length >= count) return lines
      const ended = await Promise.race([once(this.#lines, 'line'), this.exited])
      if (!Array.isArray(ended)) throw new Error(`exited ${ended} before "${msg}": ${this.stderr.join('\n')}`)
    }
  }

  log(): Record<string, unknown>[] {
    return this.stdout.map((line) => JSON.parse(line))
  }

  async ready(): Promise<{ url: string; adminUrl: string }> {
    const { address, adminAddress } = await this.logged('gateway ready')
    return { url: String(address), adminUrl: String(adminAddress) }
  }
}

export interface CommandAnswer {
  readonly status: number
  readonly headers: IncomingMessage['headers']
  readonly body: string
}

/** One request, by default on a connection of its own. */
export function send(
  url: string,
  { method = 'GET', headers = {}, body = '', agent = new Agent() } = {},
): Promise<CommandAnswer> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      url,
      { method, headers: { host: publicHost, ...headers }, agent },
      async (response) => {
        let text = ''
        for await (const chunk of response) text += chunk
        resolve({ status: response.statusCode!, headers: response.headers, body: text })
      },
    )
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

/** A server of the test's; `origin` is its URL. */
export async function serve(t: Test, listener: RequestListener): Promise<string> {
  const server = createServer(listener).listen(0, '127.0.0.1')
  await once(server, 'listening')
  t.teardown(() => {
    server.close()
    server.closeAllConnections()
  })
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`
}

/** A server that holds each answer until the test gives it, but for those in `atOnce`. */
export async function slowServer(t: Test, atOnce: Record<string, unknown> = {}) {
  const held = new EventEmitter()
  const origin = await serve(t, (incoming, response) => {
    const answer = atOnce[incoming.url ?? '']
    if (answer) response.setHeader('content-type', 'application/json').end(JSON.stringify(answer))
    else incoming.resume().on('end', () => held.emit('request', response))
  })
  return { origin, next: async () => (await once(held, 'request'))[0] as ServerResponse }
}
