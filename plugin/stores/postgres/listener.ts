import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { BEAT_INTERVAL_MS, type ChannelEvents } from '../channel.ts'
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

/** So often an echo takes the way of a change, through the pool: its server could be another one by now. */
const POOL_EVERY_BEATS = 10

/** Of a channel that would be silent for ever: the echo was sent through the pool and did not come back. */
const deaf =
  'notifications sent through the pool do not arrive on the LISTEN connection: behind a pooler in transaction mode (PgBouncer), `listen` must be the URL of the server itself, and of the same database'

/**
 * One LISTEN connection from its first byte to its last. It stands when a notification sent through the pool has
 * arrived: nothing less shows that a pooler in between does not swallow them. It is proved by an echo of its own every
 * half second, which the server sends after all that was notified before; the pool may have no connection left, and the
 * channel stands nevertheless.
 *
 * Rejects when the connection is over, which an echo finds out if nothing else does, or when `signal` aborts.
 */
export async function listenOnce(
  { statements, commands, connection, timeoutMs }: ListenerOptions,
  { onStand, onChange }: ChannelEvents,
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
    let hear = (_echo: string) => {}
    let echoes = 0
    /** Sends an echo. Resolves, when it has been sent, with a promise that it has arrived. */
    const echo = async (send: (text: string) => Promise<unknown>) => {
      const text = `${nonce}.${++echoes}`
      const arrival = new Promise<void>((resolve) => {
        hear = (arrived) => {
          if (arrived === text) resolve()
        }
      })
      await send(text)
      return { arrival }
    }
    const echoThroughPool = async () => {
      const { arrival } = await echo((text) => commands.run('watch', statements.echo, [text]))
      setDeadline(new FinalStoreError('postgres', 'watch', deaf))
      await arrival
      clearTimeout(deadline)
    }
    const echoHere = async () => {
      setDeadline(timeoutError(timeoutMs))
      const { arrival } = await echo(async (text) => {
        const startedAt = commands.clock.start()
        const { rows } = await client.query<Record<string, unknown>>(statements.probe, [text])
        commands.observe(rows[0], startedAt)
        // It was the primary: nobody writes here, and notifies, any more.
        if (rows[0]?.read_only !== false) throw commands.readOnly('watch')
      })
      await arrival
      // The pool may take as long to give a connection, which says nothing of this one.
      clearTimeout(deadline)
    }
    // These stay: a destroyed connection emits once more, and an unheard error would end the process.
    client.on('error', over)
    client.on('end', () => over(new Error('the connection ended')))
    client.on('notification', ({ payload = '' }) => {
      if (payload.startsWith(changed)) onChange(payload.slice(changed.length))
      else if (payload.startsWith(echoed)) hear(payload.slice(echoed.length))
    })
    signal.addEventListener('abort', over)

    const serve = async () => {
      setDeadline(timeoutError(timeoutMs))
      await client.connect().catch(async (error: unknown) => {
        if (isRefusedCredential(error)) await commands.renewCredentials()
        throw error
      })
      await client.query(statements.listen)
      await echoThroughPool()
      for (let beat = 1; ; beat += 1) {
        onStand()
        await sleep(BEAT_INTERVAL_MS, undefined, { signal: ended.signal })
        await echoHere()
        // What was not sent proves nothing, and refutes nothing.
        if (beat % POOL_EVERY_BEATS === 0) await echoThroughPool().catch(() => {})
      }
    }
    serve().catch(over)
  })
}
