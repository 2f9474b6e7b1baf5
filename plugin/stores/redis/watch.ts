import { setTimeout as sleep } from 'node:timers/promises'
import type { Cluster } from 'ioredis'
import { ownWatcher } from '../own-watcher.ts'
import type { StoreWatcher } from '../store.ts'
import { within } from '../within.ts'
import type { RedisClient, RedisCommands } from './commands.ts'
import type { RedisNames } from './names.ts'
import { type Subscription, subscriptions } from './subscription.ts'

/** A beat that does not come round is a gap after at most these two together. */
const BEAT_INTERVAL_MS = 500
const STEP_MS = 1000
const RETRY_MS = 250
/**
 * For the channel to stand for the first time, tried anew as often as it breaks: nobody waits for an answer yet.
 * With what discovery may take it stays below the ten seconds that Fastify gives a plugin.
 */
const START_MS = 3000

/**
 * The channel of change notifications. While anybody watches, it is opened, proved by beats, and when any part
 * of it breaks it is thrown away as a whole, a gap at once, and opened anew.
 */
export class RedisWatch {
  readonly #client: RedisClient
  readonly #commands: RedisCommands
  readonly #names: RedisNames
  readonly #watchers = new Set<StoreWatcher>()
  /** Calls of `add` that wait until the channel stands. */
  readonly #waiting = new Set<() => void>()
  #stands = false
  #hasStood = false
  /** Ends the channel; absent while nobody watches. */
  #ending: AbortController | undefined

  constructor(client: RedisClient, commands: RedisCommands, names: RedisNames) {
    this.#client = client
    this.#commands = commands
    this.#names = names
  }

  /** Resolves once the channel stands. @throws StoreError when it does not in time. */
  async add(watcher: StoreWatcher): Promise<() => void> {
    const own = ownWatcher(watcher)
    const remove = () => {
      this.#watchers.delete(own)
      if (this.#watchers.size === 0) this.#end()
    }
    this.#watchers.add(own)
    if (this.#stands) own.onResume()
    try {
      const timeoutMs = this.#hasStood ? undefined : START_MS
      await this.#commands.within('watch', () => this.#untilItStands(), timeoutMs)
    } catch (error) {
      remove()
      throw error
    }
    return remove
  }

  close(): void {
    this.#watchers.clear()
    this.#end()
  }

  async #untilItStands(): Promise<void> {
    if (this.#stands) return
    if (this.#ending === undefined) {
      this.#ending = new AbortController()
      void this.#keep(this.#ending.signal)
    }
    let stands = () => {}
    const standing = new Promise<void>((resolve) => {
      stands = resolve
    })
    this.#waiting.add(stands)
    await standing
  }

  #end(): void {
    this.#ending?.abort()
    this.#ending = undefined
    this.#waiting.clear()
    this.#gap()
  }

  async #keep(ended: AbortSignal): Promise<void> {
    while (!ended.aborted) {
      // What broke it is no news: it is a gap, or it never stood.
      await this.#hold(ended).catch(() => {})
      if (!ended.aborted) await sleep(RETRY_MS, undefined, { signal: ended, ref: false }).catch(() => {})
    }
  }

  /** One life of the channel. Always ends by throwing. */
  async #hold(ended: AbortSignal): Promise<never> {
    const broken = new AbortController()
    const breakIt = () => {
      if (broken.signal.aborted) return
      broken.abort()
      if (!ended.aborted) this.#gap()
    }
    const signal = AbortSignal.any([ended, broken.signal])
    const onChange = (key: string) => {
      for (const watcher of this.#watchers) watcher.onChange(key)
    }
    let parts: Subscription[] = []
    try {
      await this.#commands.within('watch', async () => {
        parts = subscriptions(this.#client, this.#names, STEP_MS)
      })
      await within(STEP_MS, Promise.all(parts.map((part) => part.open(onChange, breakIt))), signal)
      for (;;) {
        await within(STEP_MS, Promise.all(parts.map((part) => part.beat(this.#commands))), signal)
        this.#stand()
        await sleep(BEAT_INTERVAL_MS, undefined, { signal, ref: false })
      }
    } finally {
      breakIt()
      for (const part of parts) part.close()
      // The masters may have changed; only a redirected command would tell the client otherwise.
      if (this.#client.isCluster && !ended.aborted) (this.#client as Cluster).refreshSlotsCache()
    }
  }

  #stand(): void {
    if (this.#stands) return
    this.#stands = true
    this.#hasStood = true
    for (const watcher of this.#watchers) watcher.onResume()
    for (const stands of this.#waiting) stands()
    this.#waiting.clear()
  }

  #gap(): void {
    if (!this.#stands) return
    this.#stands = false
    for (const watcher of this.#watchers) watcher.onGap()
  }
}
