import { randomBytes } from 'node:crypto'
import type { Cluster, Redis, RedisOptions } from 'ioredis'
import { StoreError } from '../store.ts'
import type { RedisClient, RedisCommands } from './commands.ts'
import { type RedisNames, tags } from './names.ts'
import { publish } from './scripts.ts'

/** Many beats. */
const MARK_MS = 10_000

/**
 * A connection of our own to one master, subscribed to its channels.
 *
 * `beat` proves it: a message goes the way of a notification, through the app's client to the server that
 * takes the writes, and must come back here. So a connection that hangs, a lost subscription, and a
 * subscription to another server than the one that is written to are all the same failure. So is a server whose records
 * were all removed (FLUSHALL), which notifies nobody: a mark among them has gone as well.
 */
export class Subscription {
  readonly #connection: Redis
  readonly #names: RedisNames
  readonly #tags: readonly number[]
  readonly #beatChannel: string
  #beats = 0
  /** The last beat has left a mark. */
  #isMarked = false
  #onBeat = (_beat: string) => {}

  constructor(connection: Redis, names: RedisNames, tags: readonly number[]) {
    this.#connection = connection
    this.#names = names
    this.#tags = tags
    this.#beatChannel = names.beat(this.#firstTag, randomBytes(9).toString('base64url'))
  }

  /** Resolves when every channel is subscribed. `onBreak` is called at once when that ends. */
  async open(onChange: (key: string) => void, onBreak: () => void): Promise<void> {
    const onMessage = (channel: string, message: string) => {
      if (channel === this.#beatChannel) this.#onBeat(message)
      else onChange(message)
    }
    // "moved": a slot, and its channels with it, went to another master.
    this.#connection
      .on('error', onBreak)
      .on('close', onBreak)
      .on('end', onBreak)
      .on('moved', onBreak)
      .on('message', onMessage)
      .on('smessage', onMessage)
    await this.#connection.connect()
    const channels = new Set([...this.#tags.map((tag) => this.#names.channel(tag)), this.#beatChannel])
    const isSharded = this.#names.publishCommand === 'SPUBLISH'
    // One command for each shard channel: those of one command must lie in one slot.
    await (isSharded
      ? Promise.all([...channels].map((channel) => this.#connection.ssubscribe(channel)))
      : this.#connection.subscribe(...channels))
  }

  /** Resolves when a message has come round. @throws StoreError */
  async beat(commands: RedisCommands): Promise<void> {
    const beat = String(++this.#beats)
    const arrival = new Promise<void>((resolve) => {
      this.#onBeat = (arrived) => {
        if (arrived === beat) resolve()
      }
    })
    const { publishCommand } = this.#names
    // Who only looks whether a beat comes round leaves nothing behind.
    const marks = this.#beats > 1 ? '1' : '0'
    const args = [publishCommand, this.#beatChannel, beat, String(MARK_MS), marks]
    const [mark] = await commands.run('watch', publish, this.#beatChannel, args)
    if (this.#isMarked && Number(mark) !== 1)
      throw new StoreError('redis', 'watch', 'its records were removed')
    this.#isMarked = Number(mark) > 0
    await arrival
  }

  close(): void {
    this.#connection.disconnect()
  }

  get #firstTag(): number {
    return this.#tags[0] ?? 0
  }
}

/**
 * The subscriptions that hear every change: one, or on a Cluster one to each master.
 *
 * On a Cluster, shard channels (Redis 7) rather than the ones that every node repeats: a shard's message does
 * not depend on the links between the nodes, whose loss nobody would see.
 */
export function subscriptions(client: RedisClient, names: RedisNames, stepMs: number): Subscription[] {
  const options: RedisOptions = {
    lazyConnect: true,
    // A broken subscription is thrown away: whether it can be had again, and where, is decided anew.
    retryStrategy: () => null,
    sentinelRetryStrategy: () => null,
    failoverDetector: false,
    reconnectOnError: null,
    enableOfflineQueue: false,
    autoResubscribe: false,
    maxRetriesPerRequest: 0,
    connectTimeout: stepMs,
    commandTimeout: stepMs,
    keyPrefix: '',
  }
  if (!client.isCluster) return [new Subscription((client as Redis).duplicate(options), names, [0])]
  return [...tagsByMaster(client as Cluster)].map(
    ([master, tags]) => new Subscription(master.duplicate(options), names, tags),
  )
}

function tagsByMaster(client: Cluster): Map<Redis, number[]> {
  const masters = new Map(
    client.nodes('master').map((node) => [`${node.options.host}:${node.options.port}`, node]),
  )
  const tagsOf = new Map<Redis, number[]>()
  for (const { tag, slot } of tags) {
    const master = masters.get(client.slots[slot]?.[0] ?? '')
    if (master === undefined) throw new Error('a slot without a master')
    tagsOf.set(master, [...(tagsOf.get(master) ?? []), tag])
  }
  return tagsOf
}
