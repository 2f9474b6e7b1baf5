import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { listen } from '../../examples/demo/listening.ts'

/** What has a port in the demo, by the middle of its variable. */
export const DEMO_PORTS = ['GATEWAY', 'ADMIN', 'PROVIDER', 'API'] as const

/** Starts a part of the demo in a process of its own, as npm would. */
export function runDemo(part: 'start' | 'app', args: string[], environment: Record<string, string>) {
  const place = part === 'app' ? 'app/app' : part
  const file = new URL(`../../examples/demo/${place}.ts`, import.meta.url).pathname
  const child: ChildProcess = spawn(process.execPath, ['--import=ts-blank-space/register', file, ...args], {
    env: { PATH: process.env.PATH, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const said = { stdout: '', stderr: '' }
  child.stdout?.on('data', (piece: Buffer) => {
    said.stdout += piece
  })
  child.stderr?.on('data', (piece: Buffer) => {
    said.stderr += piece
  })
  const exit = once(child, 'close').then(([code]) => code as number | null)
  return {
    child,
    exit,
    stdout: () => said.stdout,
    stderr: () => said.stderr,
    /** Resolves when `text` has been printed. */
    async printed(text: string): Promise<void> {
      while (!said.stdout.includes(text)) {
        const code = await Promise.race([once(child.stdout!, 'data').then(() => undefined), exit])
        if (code !== undefined) throw new Error(`exit ${code}: ${said.stderr}`)
      }
    },
  }
}

/** Environment variables that move every port of the demo to a free one. */
export async function freePorts(): Promise<Record<string, string>> {
  const servers = DEMO_PORTS.map(() => createServer())
  const ports = await Promise.all(servers.map((server) => listen(server, 0)))
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))))
  return Object.fromEntries(DEMO_PORTS.map((name, n) => [`DEMO_${name}_PORT`, String(ports[n])]))
}
