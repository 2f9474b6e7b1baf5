import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { timeoutError } from '../within.ts'
import type { PostgresCommands } from './commands.ts'
import { FinalStoreError, isRefusedCredential } from './failure.ts'
import { changed, echoed, type Statements } from './statements.ts'

/** What a LISTEN connection is made of. */
export interface ListenerOptions {
  readonly statements: Statements
  readonly commands: PostgresCommands
  /** A URL, what reads one, or `pg.Client` options, which may be others the next time. */
  readonly connection: string | object | (() => Promise<string>)
  readonly timeoutMs: number
}

/** What is heard on it; `onStand` comes once, before any change. */
export interface ListenerEvents {
  onStand(): void
  onChange(key: string): void
}

/** With `timeoutMs` on top, how long a connection that has gone silent passes for alive. */
const PROBE_EVERY_MS = 1000

/** Of a channel that would be silent for ever: the echo was sent through the pool and did not come back. */
const deaf =
  'notifications sent through the pool do not arrive on the LISTEN connection: behind a pooler in transaction mode (PgBouncer), `listen` must be the URL of the server itself, and of the same database'

/**
 * One LISTEN connection from its first byte to its last. It stands when a notification sent through the pool has
 * arrived: nothing less shows that a pooler in between does not swallow them.
 *
 * Rejects when the connection is over, which a probe finds out if nothing else does, or when `signal` aborts.
 */
export async function listenOnce(
  { statements, commands, connection, timeoutMs }: ListenerOptions,
  { onStand, onChange }: ListenerEvents,
  signal: AbortSignal,
): Promise<never> {
  const { Client } = await import('pg')
  signal.throwIfAborted()
  const place = typeof connection === 'function' ? await connection() : connection
  const client = new Client(typeof place === 'string' ? { connectionString: place } : place)
  const nonce = randomBytes(16).toString('hex')
  const ended = new AbortController()

  return new Promise<never>((_, reject) => {
    let deadline: NodeJS.Timeout | undefined
    const over = (error: unknown) => {
      clearTimeout(deadline)
      signal.removeEventListener('abort', over)
      ended.abort()
      // Not `end()`: it would wait for a server that may never answer again.
      client.connection.stream.destroy()
      reject(error)
    }
    const setDeadline = (error: Error) => {
      clearTimeout(deadline)
      deadline = setTimeout(() => setImmediate(over, error), timeoutMs)
    }
    let hear = () => {}
    const heard = new Promise<void>((resolve) => {
      hear = resolve
    })
    // These stay: a destroyed connection emits once more, and an unheard error would end the process.
    client.on('error', over)
    client.on('end', () => over(new Error('the connection ended')))
    client.on('notification', ({ payload = '' }) => {
      if (payload.startsWith(changed)) onChange(payload.slice(changed.length))
      else if (payload === echoed + nonce) hear()
    })
    signal.addEventListener('abort', over)

    const serve = async () => {
      setDeadline(timeoutError(timeoutMs))
      await client.connect().catch(async (error: unknown) => {
        if (isRefusedCredential(error)) await commands.renewCredentials()
        throw error
      })
      await client.query(statements.listen)
      await commands.run('watch', statements.echo, [nonce])
      setDeadline(new FinalStoreError('postgres', 'watch', deaf))
      await heard
      onStand()
      for (;;) {
        clearTimeout(deadline)
        await sleep(PROBE_EVERY_MS, undefined, { signal: ended.signal })
        setDeadline(timeoutError(timeoutMs))
        const startedAt = commands.clock.start()
        const { rows } = await client.query<Record<string, unknown>>(statements.probe)
        commands.observe(rows[0], startedAt)
        // It was the primary: nobody writes here, and notifies, any more.
        if (rows[0]?.read_only !== false) throw commands.readOnly('watch')
      }
    }
    serve().catch(over)
  })
}
