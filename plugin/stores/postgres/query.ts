import { timeoutError } from '../within.ts'

/** What the store needs of a `pg.Pool`: one fits as it is, and nobody else needs the types of pg. */
export interface PostgresPool {
  connect(
    callback: (
      error: Error | undefined,
      client: PostgresClient | undefined,
      release: (destroy?: boolean) => void,
    ) => void,
  ): void
  on(event: 'error', listener: (error: Error) => void): unknown
  listenerCount(event: string): number
  /** Connection options, of which the LISTEN connection is made too. */
  readonly options: object
  /** Optional: takes the user name and the password anew from where they are kept, after they have been refused. */
  renewCredentials?(): Promise<void>
}

/** What the store needs of a `pg.PoolClient`. */
export interface PostgresClient {
  on(event: 'error', listener: (error: Error) => void): unknown
  off(event: 'error', listener: (error: Error) => void): unknown
  query(query: Query): Promise<QueryResult>
}

/** A statement for `pg`. */
export interface Query {
  readonly text: string
  /** Prepares the statement once on each connection. */
  readonly name?: string
  readonly values?: unknown[]
}

/** What `pg` answers, as far as it is looked at. */
export interface QueryResult {
  readonly rows: Record<string, unknown>[]
  readonly rowCount: number | null
}

/** When a client was first used here: it is connected since then at least. */
const usedSince = new WeakMap<PostgresClient, number>()

/**
 * One statement on one client of the pool, answered or refused within `timeoutMs`, the wait for a client
 * included: an exhausted pool and a black hole look the same from here (requirements G-11, G-12).
 *
 * A client that failed or is late is destroyed: it would hand its pending answer to whoever asks next. So is one that
 * was connected before `connectedAfter`, by the process's clock.
 *
 * @throws timeoutError, or the error of `pg`.
 */
export function runQuery(
  pool: PostgresPool,
  query: Query,
  timeoutMs: number,
  connectedAfter = 0,
): Promise<QueryResult> {
  return new Promise((resolve, reject) => {
    let over = false
    let giveBack = (_broken: boolean) => {}
    const finish = (broken: boolean, settle: () => void) => {
      if (over) return
      over = true
      clearTimeout(timer)
      giveBack(broken)
      settle()
    }
    const fail = (error: unknown) => finish(true, () => reject(error))
    // A blocked event loop is not the server's silence: answers that have arrived are read first.
    const timer = setTimeout(() => setImmediate(() => fail(timeoutError(timeoutMs))), timeoutMs)
    const take: Parameters<PostgresPool['connect']>[0] = (error, client, release) => {
      if (client === undefined) return fail(error)
      // The pool cannot be told that nobody waits any longer, so the client goes back unused.
      if (over) return release()
      const since = usedSince.get(client) ?? performance.now()
      usedSince.set(client, since)
      if (since < connectedAfter) {
        release(true)
        return pool.connect(take)
      }
      // A checked-out client that loses its connection emits this; without a listener the process would end.
      client.on('error', fail)
      giveBack = (broken) => {
        release(broken)
        client.off('error', fail)
      }
      client.query(query).then((answer) => finish(false, () => resolve(answer)), fail)
    }
    pool.connect(take)
  })
}
