/** Servers of a test that never outlive it, not even when it is killed. */
import { type ChildProcessByStdio, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'

/** Who runs a server; empty for who runs the test. */
export type ServerUser = { uid?: number; gid?: number }

/** For servers that refuse to run as root: any other user will do. */
export function serverUser(): ServerUser {
  if (process.getuid?.() !== 0) return {}
  const id = (flag: string) => Number(execFileSync('id', [flag, 'nobody'], { encoding: 'utf8' }))
  return { uid: id('-u'), gid: id('-g') }
}

export interface TiedProcess {
  readonly pid: number
  /** Ends it by the signal and waits until it is gone. */
  end(signal: NodeJS.Signals): Promise<void>
}

export interface Tie {
  /** How the server ends with the test. Default INT. */
  readonly lastSignal?: 'INT' | 'KILL'
  /** Hears every line of its output, of both streams. */
  readonly onLine?: (line: string) => void
}

/**
 * Starts a server and waits until it has logged `ready`.
 *
 * @throws Error with the end of its log when it ends instead.
 */
export async function startTied(
  command: string[],
  ready: string | RegExp,
  user: ServerUser,
  { lastSignal = 'INT', onLine = () => {} }: Tie = {},
): Promise<TiedProcess> {
  // As it ships: tap's hooks would follow it, and slow it down. The shell becomes the server. What it leaves behind ends the server when our end of stdin closes.
  const script = `unset NODE_OPTIONS; exec 3<&0; (read -r _ <&3; kill -${lastSignal} $$) >/dev/null 2>&1 & exec "$@" 3<&-`
  const child: ChildProcessByStdio<Writable, Readable, Readable> = spawn(
    '/bin/sh',
    ['-c', script, 'sh', ...command],
    {
      ...user,
      stdio: ['pipe', 'pipe', 'pipe'],
    },
  )
  const log: string[] = []
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', () => {
      child.stdin.end()
      reject(new Error(log.join(' | ')))
    })
    const hear = (line: string) => {
      log.push(line)
      if (log.length > 3) log.shift()
      onLine(line)
      if (typeof ready === 'string' ? line.includes(ready) : ready.test(line)) resolve()
    }
    for (const input of [child.stdout, child.stderr]) createInterface({ input }).on('line', hear)
  })
  return {
    pid: child.pid ?? 0,
    async end(signal) {
      if (child.exitCode !== null || child.signalCode !== null) return
      const ended = once(child, 'exit')
      child.kill(signal)
      await ended
    },
  }
}
