import { setTimeout as sleep } from 'node:timers/promises'
import { ownWatcher } from '../own-watcher.ts'
import { StoreError, type StoreWatcher } from '../store.ts'
import { Late } from './ask.ts'
import { storeError } from './failure.ts'
import { type ListenerOptions, listenOnce } from './listener.ts'

const FIRST_PAUSE_MS = 50
const LONGEST_PAUSE_MS = 2000
/** A server that is slow at start is asked again for so long; whatever else is wrong with it is told at once. */
const START_MS = 2000

/** One LISTEN connection for all watchers: made for the first, ended after the last, made again when lost. */
export class Changes {
  readonly #options: ListenerOptions
  readonly #watchers = new Set<StoreWatcher>()
  /** Those who wait for the channel to stand for the first time. */
  readonly #arrivals = new Set<{ resolve: () => void; reject: (error: unknown) => void }>()
  #stands = false
  /** Until then, by the process's clock, lateness is no reason to give up; over once the channel stands. */
  #patientUntil: number | undefined
  #running: AbortController | undefined

  constructor(options: ListenerOptions) {
    this.#options = options
  }

  /** @throws StoreError when the channel cannot be had. */
  async watch(watcher: StoreWatcher): Promise<() => void> {
    const own = ownWatcher(watcher)
    const unwatch = () => {
      this.#watchers.delete(own)
      if (this.#watchers.size === 0) this.close()
    }
    this.#watchers.add(own)
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
    this.#patientUntil ??= performance.now() + START_MS
    void this.#run(this.#running.signal)
  }

  async #run(signal: AbortSignal): Promise<void> {
    let pauseMs = FIRST_PAUSE_MS
    const events = {
      onStand: () => {
        pauseMs = FIRST_PAUSE_MS
        this.#resume()
      },
      onChange: (key: string) => {
        for (const watcher of this.#watchers) watcher.onChange(key)
      },
    }
    for (;;) {
      const error: unknown = await listenOnce(this.#options, events, signal).catch((reason) => reason)
      // Closed, and perhaps watched again since: the watchers of now are not this run's.
      if (signal.aborted) return
      this.#gap(error)
      // Not in step: every instance has lost its connection at the same moment.
      await sleep(pauseMs * (0.5 + Math.random()), undefined, { signal }).catch(() => {})
      pauseMs = Math.min(pauseMs * 2, LONGEST_PAUSE_MS)
    }
  }

  #resume(): void {
    this.#stands = true
    this.#patientUntil = 0
    for (const watcher of this.#watchers) watcher.onResume()
    for (const { resolve } of this.#arrivals) resolve()
    this.#arrivals.clear()
  }

  #gap(error: unknown): void {
    if (this.#stands) for (const watcher of this.#watchers) watcher.onGap()
    this.#stands = false
    const isSlowStart = error instanceof Late && performance.now() < (this.#patientUntil ?? 0)
    if (!isSlowStart) this.#refuse(error)
  }

  #refuse(error: unknown): void {
    for (const { reject } of this.#arrivals) reject(error)
    this.#arrivals.clear()
  }
}
