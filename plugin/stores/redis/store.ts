import { randomBytes } from 'node:crypto'
import type { Channel } from '../channel.ts'
import type { Store, StoredRecord, StoreWatcher } from '../store.ts'
import { createRedisChannel } from './channel.ts'
import { type RedisClient, RedisCommands } from './commands.ts'
import { isMissingPermission } from './failure.ts'
import { RedisNames } from './names.ts'
import * as scripts from './scripts.ts'

export type { RedisClient } from './commands.ts'

/** Options of `redisStore`. */
export interface RedisStoreOptions {
  /**
   * An ioredis 6 client: single, Sentinel or Cluster. It stays the app's own; the store does not close it. It makes it
   * connect anew when the server says that it is no master (any more).
   */
  client: RedisClient
  /** What all names in Redis begin with: one for each deployment that shares a Redis. Default `pkce:`. */
  prefix?: string
  /** How long any call may take before it fails. Default 800, so that an outage is answered within a second. */
  commandTimeoutMs?: number
}

/**
 * State in Redis 6.2 or newer (7.0 for a Cluster), or Valkey, shared by any number of instances.
 *
 * Every write is one script on one key: compare the version, set, expire, publish. All expiry is Redis' own. Use
 * it with `maxmemory-policy noeviction` and `appendonly yes`; `checkRedis` says whether they are so.
 *
 * A write whose answer was lost throws, and may have been done. During the migration of a Cluster slot the
 * notifications of its records may be lost until the slot has its new master.
 *
 * Source: requirements G-06, G-07, G-09, G-10, G-11, G-14, G-17.
 */
export function redisStore(options: RedisStoreOptions): Store {
  const { client, prefix = 'pkce:', commandTimeoutMs = 800 } = options
  if (!Number.isSafeInteger(commandTimeoutMs) || commandTimeoutMs < 1) {
    throw new RangeError('redisStore: commandTimeoutMs must be a positive integer')
  }
  return new RedisStore(client, new RedisNames(prefix, client.isCluster), commandTimeoutMs)
}

class RedisStore implements Store {
  readonly name = 'redis'
  /** Not of a Cluster: while one of its slots is moved, changes can be told to nobody, and beats come round. */
  provedUntil?(): number
  readonly #names: RedisNames
  readonly #commands: RedisCommands
  readonly #isCluster: boolean
  readonly #channel: Channel
  readonly #instance = randomBytes(12).toString('base64url')
  #writes = 0
  #isPermitted = false

  constructor(client: RedisClient, names: RedisNames, timeoutMs: number) {
    this.#names = names
    this.#isCluster = client.isCluster
    this.#commands = new RedisCommands(client, timeoutMs)
    this.#channel = createRedisChannel(client, this.#commands, names)
    if (!client.isCluster) this.provedUntil = () => this.#channel.provedUntil
  }

  now(): number {
    return this.#commands.clock.now()
  }

  async create(key: string, value: string, ttlMs: number): Promise<boolean> {
    const args = [value, lifeMs(ttlMs), this.#nameWrite()]
    const [created] = await this.#commands.run('create', scripts.create, this.#names.record(key), args)
    return Number(created) === 1
  }

  async read(key: string): Promise<StoredRecord | null> {
    const reply = await this.#commands.run('read', scripts.read, this.#names.record(key))
    const [value, version] = [reply[0], Number(reply[1])]
    // What another program wrote here is no record of ours.
    return typeof value === 'string' && Number.isSafeInteger(version) && version > 0
      ? { value, version }
      : null
  }

  async replace(key: string, version: number, value: string, ttlMs: number): Promise<boolean> {
    const { publishCommand } = this.#names
    const notification = [publishCommand, this.#names.channelOf(key), key]
    const args = [String(version), value, lifeMs(ttlMs), this.#nameWrite(), ...notification]
    const [replaced] = await this.#commands.run('replace', scripts.replace, this.#names.record(key), args)
    return Number(replaced) === 1
  }

  async reserve(key: string, ttlMs: number): Promise<boolean> {
    const args = [lifeMs(ttlMs), this.#nameWrite()]
    const [reserved] = await this.#commands.run(
      'reserve',
      scripts.reserve,
      this.#names.reservation(key),
      args,
    )
    return Number(reserved) === 1
  }

  async addToIndex(indexes: readonly string[], member: string, ttlMs: number): Promise<void> {
    await this.#onEach('addToIndex', scripts.addToIndex, indexes, [member, lifeMs(ttlMs)])
  }

  async readIndex(index: string): Promise<string[]> {
    const [members] = await this.#commands.run('readIndex', scripts.readIndex, this.#names.index(index))
    return members as string[]
  }

  async removeFromIndex(indexes: readonly string[], member: string): Promise<void> {
    await this.#onEach('removeFromIndex', scripts.removeFromIndex, indexes, [member])
  }

  async watch(watcher: StoreWatcher): Promise<() => void> {
    if (!this.#isPermitted) await this.#findMissingPermissions()
    return this.#channel.watch(watcher)
  }

  async check(): Promise<void> {
    const { publishCommand } = this.#names
    const args = [publishCommand, this.#names.beat(0, 'check')]
    await this.#commands.run('check', scripts.check, this.#names.check, args)
  }

  /** Counts one more in a window of its own, for limiters. @throws StoreError */
  async count(counter: string, windowMs: number): Promise<{ count: number; ttlMs: number }> {
    const [count, ttlMs] = await this.#commands.run('count', scripts.count, this.#names.limit(counter), [
      lifeMs(windowMs),
    ])
    return { count: Number(count), ttlMs: Number(ttlMs) }
  }

  async close(): Promise<void> {
    this.#channel.close()
    this.#commands.close()
  }

  /** At start, and not by the first login that needs one. Whatever else is wrong may pass. */
  async #findMissingPermissions(): Promise<void> {
    try {
      await this.check()
      this.#isPermitted = true
    } catch (error) {
      if (isMissingPermission(error)) throw error
    }
  }

  /** All at once: on a Cluster the indexes lie in different slots, and elsewhere it is one round trip anyway. */
  async #onEach(operation: string, script: scripts.Script, indexes: readonly string[], args: string[]) {
    const keys = indexes.map((index) => this.#names.index(index))
    // In a Cluster they are in different slots.
    const calls = this.#isCluster || keys.length === 0 ? keys.map((key) => [key]) : [keys]
    await Promise.all(calls.map((keys) => this.#commands.run(operation, script, keys, args)))
  }

  /** Unique, so that a write that the client sends again can be told from another's. */
  #nameWrite(): string {
    return `${this.#instance}.${++this.#writes}`
  }
}

/** Redis takes whole milliseconds, at least one. */
function lifeMs(ttlMs: number): string {
  const ms = Math.max(1, Math.ceil(ttlMs))
  if (!Number.isSafeInteger(ms)) throw new RangeError('redisStore: ttlMs must be a finite number')
  return String(ms)
}
