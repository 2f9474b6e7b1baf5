import { randomBytes } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { StoreError, type StoreWatcher } from '../store.ts'
import { Late } from './ask.ts'
import { storeError } from './problem.ts'
import { changed, echoed, type Statements } from './statements.ts'

export interface ChangesOptions {
  readonly statements: Statements
  /** A URL or `pg.Client` options. */
  readonly connection: string | object
  readonly timeoutMs: number
  /** Sends a notification through the pool. */
  readonly sendEcho: (nonce: string) => Promise<void>
  /** Is told the server's time at every probe. */
  readonly onClock: (row: Record<string, unknown> | undefined) => void
}

/** With `timeoutMs` on top, the time after which a connection that has gone silent is a gap. */
const probeEveryMs = 1000
const firstPauseMs = 50
const longestPauseMs = 2000

/** The echo was sent through the pool and did not come back: the channel would be silent for ever. */
const deaf = new StoreError(
  'postgres',
  'watch',
  'notifications sent through the pool do not arrive on the LISTEN connection: behind a pooler in transaction mode (PgBouncer), `listen` must be the URL of the server itself, and of the same database',
)

/** The LISTEN connection: one for all watchers, made for the first, ended after the last, and made again when lost. */
export class Changes {
  readonly #options: ChangesOptions
  readonly #watchers = new Set<StoreWatcher>()
  /** Who waits for the channel to stand for the first time. */
  readonly #arrivals = new Set<{ resolve: () => void; reject: (error: unknown) => void }>()
  #stands = false
  #running: AbortController | undefined

  constructor(options: ChangesOptions) {
    this.#options = options
  }

  /** @throws StoreError when the channel cannot be had. */
  async watch(watcher: StoreWatcher): Promise<() => void> {
    // A set holds one object once; two watches with the same watcher end one by one.
    const own: StoreWatcher = {
      onChange: (key) => watcher.onChange(key),
      onGap: () => watcher.onGap(),
      onResume: () => watcher.onResume(),
    }
    this.#watchers.add(own)
    const unwatch = () => {
      this.#watchers.delete(own)
      if (this.#watchers.size === 0) this.close()
    }
    if (this.#stands) {
      own.onResume()
      return unwatch
    }
    const arrival = new Promise<void>((resolve, reject) => this.#arrivals.add({ resolve, reject }))
    this.#start()
    await arrival.catch((error: unknown) => {
      unwatch()
      throw storeError('watch', error)
    })
    return unwatch
  }

  close(): void {
    this.#watchers.clear()
    this.#running?.abort()
    this.#running = undefined
    this.#stands = false
    this.#refuse(new StoreError('postgres', 'watch', 'closed'))
  }

  #start(): void {
    if (this.#running !== undefined) return
    this.#running = new AbortController()
    void this.#run(this.#running.signal)
  }

  async #run(signal: AbortSignal): Promise<void> {
    let pauseMs = firstPauseMs
    for (;;) {
      const stand = () => {
        pauseMs = firstPauseMs
        this.#resume()
      }
      const error: unknown = await this.#connect(signal, stand).catch((reason: unknown) => reason)
      // Another run may have begun since: what is on the watchers' side is no longer ours.
      if (signal.aborted) return
      this.#gap(error)
      // Not in step: all instances have lost their connection at the same moment.
      await sleep(pauseMs * (0.5 + Math.random()), undefined, { signal }).catch(() => {})
      pauseMs = Math.min(pauseMs * 2, longestPauseMs)
    }
  }

  /** One connection from its first byte to its last. Rejects when it is over, which is known at once. */
  async #connect(signal: AbortSignal, stand: () => void): Promise<never> {
    const { statements, connection, timeoutMs, sendEcho, onClock } = this.#options
    const { Client } = await import('pg')
    signal.throwIfAborted()
    const client = new Client(typeof connection === 'string' ? { connectionString: connection } : connection)
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
      const within = (late: Error) => {
        clearTimeout(deadline)
        deadline = setTimeout(over, timeoutMs, late)
      }
      let hear = () => {}
      const heard = new Promise<void>((resolve) => {
        hear = resolve
      })
      // These stay: a destroyed connection emits once more, and an unheard error would end the process.
      client.on('error', over)
      client.on('end', () => over(new Error('the connection ended')))
      client.on('notification', ({ payload = '' }) => {
        if (payload.startsWith(changed)) this.#change(payload.slice(1))
        else if (payload === echoed + nonce) hear()
      })
      signal.addEventListener('abort', over)

      const serve = async () => {
        within(new Late(timeoutMs))
        await client.connect()
        await client.query(statements.listen)
        await sendEcho(nonce)
        within(deaf)
        await heard
        stand()
        for (;;) {
          clearTimeout(deadline)
          await sleep(probeEveryMs, undefined, { signal: ended.signal })
          within(new Late(timeoutMs))
          const { rows } = await client.query<Record<string, unknown>>(statements.probe)
          onClock(rows[0])
        }
      }
      serve().catch(over)
    })
  }

  #change(key: string): void {
    if (this.#stands) for (const watcher of this.#watchers) watcher.onChange(key)
  }

  #resume(): void {
    this.#stands = true
    for (const watcher of this.#watchers) watcher.onResume()
    for (const { resolve } of this.#arrivals) resolve()
    this.#arrivals.clear()
  }

  #gap(error: unknown): void {
    if (this.#stands) for (const watcher of this.#watchers) watcher.onGap()
    this.#stands = false
    this.#refuse(error)
  }

  #refuse(error: unknown): void {
    for (const { reject } of this.#arrivals) reject(error)
    this.#arrivals.clear()
  }
}
