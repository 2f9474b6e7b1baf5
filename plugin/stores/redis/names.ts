/**
 * The names of everything in Redis.
 *
 *     pkce:{17}:record:<key>   hash: version, value, writer
 *     pkce:{17}:changes        shard channel of those records (Cluster)
 *     pkce:changes             channel of all records (elsewhere)
 *     pkce:once:<key>          a reservation
 *     pkce:index:<index>       sorted set: member, when it leaves
 *     pkce:limit:<counter>     requests in a window
 *     pkce:{0}:check           written by the readiness check
 *     pkce:{17}:beat:<random>  channel of the messages that prove the channel of changes, and a mark that goes with
 *                              the records
 *
 * The hash tag in braces puts a record and its channel into one slot, so that one script may write both. There
 * are `TAG_COUNT` tags and not one for each key, because a watcher has to subscribe to every channel there is;
 * 256 spread evenly enough over the masters of any Cluster that this was made for. They are used everywhere
 * alike, so that data can move from one kind of Redis to another.
 */
export class RedisNames {
  readonly #prefix: string
  readonly #sharded: boolean
  /** How a notification is sent. */
  readonly publishCommand: 'PUBLISH' | 'SPUBLISH'

  constructor(prefix: string, sharded: boolean) {
    if (!/^[\w:.-]{0,64}$/.test(prefix)) {
      throw new RangeError('redisStore: prefix must be at most 64 letters, digits, or characters of _ : . -')
    }
    this.#prefix = prefix
    this.#sharded = sharded
    this.publishCommand = sharded ? 'SPUBLISH' : 'PUBLISH'
  }

  record(key: string): string {
    return `${this.inTag(tagOf(key))}record:${key}`
  }

  /** The channel on which a record's changes are published. */
  channelOf(key: string): string {
    return this.channel(tagOf(key))
  }

  channel(tag: number): string {
    return `${this.#sharded ? this.inTag(tag) : this.#prefix}changes`
  }

  reservation(key: string): string {
    return `${this.#prefix}once:${key}`
  }

  index(index: string): string {
    return `${this.#prefix}index:${index}`
  }

  limit(counter: string): string {
    return `${this.#prefix}limit:${counter}`
  }

  get check(): string {
    return `${this.inTag(0)}check`
  }

  /** A channel in a tag that proves those of changes, one for each `name`. */
  beat(tag: number, name: string): string {
    return `${this.inTag(tag)}beat:${name}`
  }

  /** What the names of a tag begin with. */
  inTag(tag: number): string {
    return `${this.#prefix}{${tag}}:`
  }
}

const TAG_COUNT = 256

/** Every tag with the Cluster slot that it lies in. */
export const tags: readonly { tag: number; slot: number }[] = Array.from({ length: TAG_COUNT }, (_, tag) => ({
  tag,
  slot: crc16(String(tag)) % 16_384,
}))

function tagOf(key: string): number {
  return crc16(key) % TAG_COUNT
}

/** CRC-16/XMODEM, by which Redis Cluster finds the slot of a hash tag. */
export function crc16(text: string): number {
  let crc = 0
  for (const byte of Buffer.from(text)) {
    crc ^= byte << 8
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1
  }
  return crc & 0xffff
}
