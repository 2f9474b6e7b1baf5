import { ServerClock } from '../clock.ts'
import { StoreError } from '../store.ts'
import { isTimeout, persistently, within } from '../within.ts'
import { describeFailure, isElsewhere, mayPass } from './failure.ts'
import type { Script } from './scripts.ts'

/**
 * What the store needs of an ioredis client, of a single server, Sentinel, or Cluster: each fits as it is, and nobody
 * else needs the types of ioredis.
 */
export interface RedisClient {
  readonly isCluster: boolean
  /** `ready`, `wait`, `connecting` and so on. */
  readonly status: string
  on(event: string, listener: (...args: unknown[]) => void): this
  off(event: string, listener: (...args: unknown[]) => void): this
  connect(): Promise<unknown>
  disconnect(reconnect?: boolean): void
  /** A Cluster's. */
  refreshSlotsCache?(): void
  eval(script: string, keys: number, ...keysAndArguments: string[]): Promise<unknown>
  evalsha(sha1: string, keys: number, ...keysAndArguments: string[]): Promise<unknown>
}

/** A name that still leads to the old server is not asked more often. */
const RECONNECT_EVERY_MS = 500

/**
 * Runs scripts on the app's client, and answers or throws `StoreError` in time however the client is
 * configured: ioredis' defaults wait for minutes (requirements G-11).
 *
 * A server that has become a replica keeps its connections. Its refusal makes the client connect anew, and the name
 * in its options leads to the new master then (requirements Q-08).
 */
export class RedisCommands {
  readonly clock = new ServerClock()
  readonly #client: RedisClient
  readonly #timeoutMs: number
  #isClosed = false
  #connecting: Promise<void> | undefined
  /** Why the client has no connection. */
  #lastError: unknown
  #reconnectedAt = Number.NEGATIVE_INFINITY

  constructor(client: RedisClient, timeoutMs: number) {
    this.#client = client
    this.#timeoutMs = timeoutMs
    client.on('error', this.#onError).on('ready', this.#onReady)
  }

  /** The script's reply, without the time. @throws StoreError */
  async run(
    operation: string,
    script: Script,
    keys: string | readonly string[],
    args: string[] = [],
  ): Promise<unknown[]> {
    return this.within(operation, async () => {
      const startedAt = this.clock.start()
      const [seconds, microseconds, ...reply] = await evaluate(this.#client, script, [keys].flat(), args)
      this.clock.observe(Number(seconds) * 1000 + Number(microseconds) / 1000, startedAt)
      return reply
    })
  }

  /** What `call` gives, on a client that is ready, in time. @throws StoreError */
  within<T>(operation: string, call: () => Promise<T>, timeoutMs = this.#timeoutMs): Promise<T> {
    return this.#bounded(operation, timeoutMs, () => this.#whenReady(call))
  }

  /** The same, called again while it fails for a reason that may pass. @throws StoreError of the last failure. */
  persistently<T>(operation: string, call: () => Promise<T>, forMs: number): Promise<T> {
    let lastError: unknown
    const mayPassNow = (error: unknown) => {
      lastError = error
      return mayPass(error)
    }
    const attempts = () => persistently(forMs, mayPassNow, () => this.#whenReady(call))
    // An attempt that the time ends knows less than the one before it.
    return this.#bounded(operation, forMs, attempts, () => lastError)
  }

  close(): void {
    this.#isClosed = true
    this.#client.off('error', this.#onError).off('ready', this.#onReady)
  }

  async #bounded<T>(
    operation: string,
    timeoutMs: number,
    work: () => Promise<T>,
    earlier: () => unknown = () => undefined,
  ): Promise<T> {
    if (this.#isClosed) throw new StoreError('redis', operation, 'closed')
    try {
      return await within(timeoutMs, work())
    } catch (error) {
      if (error instanceof StoreError) throw error
      const isConnecting = this.#client.status !== 'ready'
      const better = isTimeout(error) && ((isConnecting && this.#lastError) || earlier())
      // No cause: ioredis' errors hold keys, values and addresses.
      throw new StoreError('redis', operation, describeFailure(better || error))
    }
  }

  async #whenReady<T>(call: () => Promise<T>): Promise<T> {
    if (this.#client.status !== 'ready') await this.#connected()
    try {
      return await call()
    } catch (error) {
      if (isElsewhere(error)) this.#reconnect()
      throw error
    }
  }

  /** Many calls may hear the same refusal on one connection. */
  #reconnect(): void {
    const client = this.#client
    const now = performance.now()
    if (client.status !== 'ready' || now < this.#reconnectedAt + RECONNECT_EVERY_MS) return
    this.#reconnectedAt = now
    // A Cluster has a connection to each node, and learns from the others who has taken the place of one.
    if (client.isCluster) client.refreshSlotsCache?.()
    else client.disconnect(true)
  }

  /** Waits for a client that is about to connect. One that has lost its server is refused at once. */
  async #connected(): Promise<void> {
    const client = this.#client
    if (client.status === 'wait') client.connect().catch(this.#onConnectError)
    if (client.status !== 'connecting' && client.status !== 'connect') throw this.#lastError
    this.#connecting ??= new Promise<void>((resolve, reject) => {
      const settle = () => {
        client.off('ready', settle).off('close', settle).off('end', settle)
        this.#connecting = undefined
        if (client.status === 'ready') resolve()
        else reject(this.#lastError)
      }
      client.on('ready', settle).on('close', settle).on('end', settle)
    })
    return this.#connecting
  }

  readonly #onError = (error: unknown): void => {
    this.#lastError = error
  }

  /** Mostly "closed" and no more, after an event that says why. */
  readonly #onConnectError = (error: unknown): void => {
    this.#lastError ??= error
  }

  readonly #onReady = (): void => {
    this.#lastError = undefined
  }
}

/** Scripts go by their hash; a server that does not know one (a restart, SCRIPT FLUSH, a failover) gets its text. */
async function evaluate(
  client: RedisClient,
  script: Script,
  keys: readonly string[],
  args: string[],
): Promise<unknown[]> {
  const reply = await client.evalsha(script.sha1, keys.length, ...keys, ...args).catch((error: unknown) => {
    if (error instanceof Error && error.message.startsWith('NOSCRIPT')) {
      return client.eval(script.lua, keys.length, ...keys, ...args)
    }
    throw error
  })
  if (!Array.isArray(reply)) throw new TypeError('the reply of a script is a list')
  return reply
}
