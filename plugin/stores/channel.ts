import { setTimeout as sleep } from 'node:timers/promises'
import { StoreError, type StoreWatcher } from './store.ts'

/** The watches of one store instance, and whether they hear of every change at the moment. */
export class Watchers {
  readonly #watchers = new Set<StoreWatcher>()
  #stands = false

  get size(): number {
    return this.#watchers.size
  }

  get stands(): boolean {
    return this.#stands
  }

  /** Adds one watch, and tells it at once if the channel stands. Returns the function that removes it. */
  add(watcher: StoreWatcher): () => void {
    // A copy for each watch: a set holds one object once, and two watches with the same watcher end one by one.
    const own: StoreWatcher = {
      onChange: (key) => watcher.onChange(key),
      onGap: () => watcher.onGap(),
      onResume: () => watcher.onResume(),
    }
    this.#watchers.add(own)
    if (this.#stands) own.onResume()
    return () => {
      this.#watchers.delete(own)
    }
  }

  /** Tells every watch that the record under `key` has been replaced. */
  change(key: string): void {
    for (const watcher of this.#watchers) watcher.onChange(key)
  }

  /** Tells every watch that from now on it hears of every change. A second call in a row does nothing. */
  resume(): void {
    if (this.#stands) return
    this.#stands = true
    for (const watcher of this.#watchers) watcher.onResume()
  }

  /** Tells every watch that changes may be lost until `resume`. A second call in a row does nothing. */
  gap(): void {
    if (!this.#stands) return
    this.#stands = false
    for (const watcher of this.#watchers) watcher.onGap()
  }

  /** Removes all watches without telling them. */
  clear(): void {
    this.#watchers.clear()
  }
}

/** What one life of a channel reports. */
export interface ChannelEvents {
  /** Proved just now: everything that was told before has arrived. Comes again at every proof. */
  onStand(): void
  onChange(key: string): void
}

/**
 * Between two proofs of a channel, and for each to come round: a channel that has gone deaf is a gap after these two
 * together.
 */
export const BEAT_INTERVAL_MS = 500
/** How long a proof holds. No later one is that late unless the process itself stood still. */
const PROOF_MS = 2000

/** What differs from server to server. */
export interface ChannelSource {
  /** The store's name, for errors. */
  readonly store: string
  /** The store's clock, in milliseconds. */
  now(): number
  /**
   * One life of the connection to the server. It calls `onStand` when it is proved that changes arrive, and
   * `onChange` for each of them. It never resolves: it rejects when the connection is over or `signal` aborts.
   */
  hold(events: ChannelEvents, signal: AbortSignal): Promise<never>
  /** Awaits `standing()` for as long as a call of this store may take. @throws StoreError */
  wait(standing: () => Promise<void>): Promise<void>
  /** True for the end of a life that is told at once to those who wait. After any other they wait for the next. */
  isFinal(error: unknown): boolean
  /** The pause before the next life, in milliseconds, after `failures` lives in a row that have ended. */
  pauseMs(failures: number): number
}

/**
 * The channel of change notifications of a store on a server. It is opened for the first watch and ended after the
 * last. When it breaks, every watch is told of the gap, and it is opened anew. Source: requirements G-17.
 */
export class Channel {
  readonly #source: ChannelSource
  readonly #watchers = new Watchers()
  /** Those who wait until the channel stands. */
  readonly #waiting = new Set<{ resolve: () => void; reject: (error: unknown) => void }>()
  /** Ends the lives of the channel; absent while nobody watches. */
  #ending: AbortController | undefined
  #provedUntil = 0

  constructor(source: ChannelSource) {
    this.#source = source
  }

  /** By the store's clock. A process that was frozen does not trust what it knew before. @see Store.provedUntil */
  get provedUntil(): number {
    return this.#provedUntil
  }

  /** Resolves once the channel stands. @throws StoreError when it does not in time. @see Store.watch */
  async watch(watcher: StoreWatcher): Promise<() => void> {
    const remove = this.#watchers.add(watcher)
    const unwatch = () => {
      remove()
      if (this.#watchers.size === 0) this.#end()
    }
    const waiting = new AbortController()
    try {
      await this.#source.wait(() => this.#standing(waiting.signal))
    } catch (error) {
      unwatch()
      throw error
    } finally {
      waiting.abort()
    }
    return unwatch
  }

  /** Ends the channel and all watches. Those who still wait get a StoreError. */
  close(): void {
    this.#watchers.clear()
    this.#end()
    this.#refuse(new StoreError(this.#source.store, 'watch', 'closed'))
  }

  /** @param over aborts when nobody waits for it any more. */
  async #standing(over: AbortSignal): Promise<void> {
    if (this.#watchers.stands) return
    const standing = new Promise<void>((resolve, reject) => {
      const waiter = { resolve, reject }
      this.#waiting.add(waiter)
      over.addEventListener('abort', () => this.#waiting.delete(waiter))
    })
    if (this.#ending === undefined) {
      this.#ending = new AbortController()
      void this.#keep(this.#ending.signal)
    }
    await standing
  }

  #end(): void {
    this.#ending?.abort()
    this.#ending = undefined
    this.#gap()
  }

  #gap(): void {
    this.#provedUntil = 0
    this.#watchers.gap()
  }

  /** One life after the other until `ended` aborts. Never rejects. */
  async #keep(ended: AbortSignal): Promise<void> {
    let failures = 0
    const events: ChannelEvents = {
      onStand: () => {
        if (ended.aborted) return
        failures = 0
        this.#stand()
      },
      onChange: (key) => this.#watchers.change(key),
    }
    for (;;) {
      const error = await this.#source.hold(events, ended).catch((reason: unknown) => reason)
      // It may have been opened again since: then the watchers and those who wait belong to the other run.
      if (ended.aborted) return
      failures += 1
      this.#gap()
      if (this.#source.isFinal(error)) this.#refuse(error)
      // Only those who wait have a reason to keep the process alive.
      const pausing = { signal: ended, ref: this.#waiting.size > 0 }
      await sleep(this.#source.pauseMs(failures), undefined, pausing).catch(() => {})
      if (ended.aborted) return
    }
  }

  #stand(): void {
    this.#provedUntil = this.#source.now() + PROOF_MS
    this.#watchers.resume()
    for (const { resolve } of this.#waiting) resolve()
    this.#waiting.clear()
  }

  #refuse(error: unknown): void {
    for (const { reject } of this.#waiting) reject(error)
    this.#waiting.clear()
  }
}
