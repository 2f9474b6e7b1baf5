import type { Socket } from 'node:net'

/** Of each stream. */
export const EVENTS_PER_SECOND = 20

const TICK_MS = 1
const HEAD = Buffer.from(
  'HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ncache-control: no-store\r\n' +
    // nginx would collect the events; this is how an upstream tells it not to.
    'x-accel-buffering: no\r\ntransfer-encoding: chunked\r\n\r\n',
)
/** With it, an event has some 200 bytes. */
export const TEXT = 'coffee '.repeat(24)
const EVENT = /^id: (\d+)\ndata: (\d+) (.*)$/

/**
 * The upstream's event streams: to each the same events, numbered from one, with the time at which they were sent.
 *
 * They are spread over the whole second: sent to all streams at once, what would be measured is the queue.
 */
export class Broadcast {
  readonly #streams: { readonly socket: Socket; events: number }[] = []
  /** Undefined while nobody listens. */
  #timer: NodeJS.Timeout | undefined
  #last = 0
  #due = 0
  #next = 0

  /** Answers a request with a stream that does not end. */
  add(socket: Socket): void {
    const stream = { socket, events: 0 }
    this.#streams.push(stream)
    socket.on('close', () => this.#streams.splice(this.#streams.indexOf(stream), 1))
    socket.write(HEAD)
    if (this.#timer !== undefined) return
    this.#last = performance.now()
    this.#timer = setInterval(() => this.#send(), TICK_MS)
  }

  #send(): void {
    if (this.#streams.length === 0) {
      clearInterval(this.#timer)
      this.#timer = undefined
      return
    }
    const now = performance.now()
    this.#due += ((now - this.#last) / 1000) * EVENTS_PER_SECOND * this.#streams.length
    this.#last = now
    for (; this.#due >= 1; this.#due -= 1) {
      this.#next = (this.#next + 1) % this.#streams.length
      const stream = this.#streams[this.#next]!
      stream.events += 1
      stream.socket.write(chunkOf(stream.events))
    }
  }
}

/** Answers a request with a stream of one event, and silence. */
export function quietStream(socket: Socket): void {
  socket.write(HEAD)
  socket.write(chunkOf(1))
}

function chunkOf(id: number): string {
  const event = `id: ${id}\ndata: ${process.hrtime.bigint()} ${TEXT}\n\n`
  return `${event.length.toString(16)}\r\n${event}\r\n`
}

/** The client's end of a stream: nothing may be missing, doubled or changed. */
export class EventReader {
  #text = ''
  #events = 0

  /**
   * Reads on. @returns the latencies of the events that are now complete, in nanoseconds: both ends have the same
   * clock. @throws Error when an event is not the next one.
   */
  read(text: string): number[] {
    const latencies: number[] = []
    const events = (this.#text + text).split('\n\n')
    this.#text = events.pop() ?? ''
    for (const event of events) {
      const [, id, sentAt = '', data] = EVENT.exec(event) ?? []
      this.#events += 1
      if (Number(id) !== this.#events || data !== TEXT) {
        throw new Error(`event ${this.#events} is not as sent: ${event.slice(0, 60)}`)
      }
      latencies.push(Number(process.hrtime.bigint() - BigInt(sentAt)))
    }
    return latencies
  }
}
