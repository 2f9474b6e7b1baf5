import type { Duplex } from 'node:stream'
import type { Session } from '../../../plugin/index.ts'
import type { OpenStream, StreamEnd } from '../exchange/open-streams.ts'
import { type CloseCode, closeFrame, FrameScanner } from './frames.ts'

/** How long a side that was told of the end may take to close its own. */
const LINGER_MS = 1000

const codes: Record<StreamEnd, CloseCode> = { session_ended: 1008, draining: 1001 }

export interface TunnelOptions {
  readonly session: Session | undefined
  /** Without a byte in either direction. */
  readonly idleMs: number
  /** Of the client's messages. */
  readonly maxMessageBytes: number
}

/**
 * Two connections spliced into one after their handshake: bytes pass as they come, at the pace of the slower side.
 *
 * It ends with either side, with its session, when the gateway stops, after idleness, or on a message that is too
 * large; where a frame has just ended, with a close frame to both. Emits nothing; calls `onClose` when both are
 * closed. Source: RFC 6455 §5.5.1, §7.1; requirements H-29.
 */
export class Tunnel implements OpenStream {
  readonly session: Session | undefined
  readonly #client: Duplex
  readonly #upstream: Duplex
  readonly #toUpstream: FrameScanner
  readonly #toClient = new FrameScanner()
  readonly #idle: NodeJS.Timeout
  #linger: NodeJS.Timeout | undefined
  #ended = false

  constructor(client: Duplex, upstream: Duplex, options: TunnelOptions, onClose: () => void) {
    this.session = options.session
    this.#client = client
    this.#upstream = upstream
    this.#toUpstream = new FrameScanner(options.maxMessageBytes)
    this.#idle = setTimeout(() => this.#close(1001), options.idleMs)
    let open = 2
    const closed = (other: Duplex) => {
      this.#endSide(other)
      if (--open > 0) return
      clearTimeout(this.#idle)
      clearTimeout(this.#linger)
      onClose()
    }
    client.on('close', () => closed(upstream)).on('error', () => {})
    upstream.on('close', () => closed(client)).on('error', () => {})
    this.#splice(client, upstream, this.#toUpstream)
    this.#splice(upstream, client, this.#toClient)
  }

  end(reason: StreamEnd): void {
    this.#close(codes[reason])
  }

  #splice(from: Duplex, to: Duplex, frames: FrameScanner): void {
    const resume = () => from.resume()
    from.on('data', (chunk: Buffer) => {
      // Flows on after the end, into nothing, so that the other side's close is noticed.
      if (this.#ended) return
      this.#idle.refresh()
      const violation = frames.accept(chunk)
      if (violation !== null) this.#close(violation)
      else if (!to.write(chunk)) {
        from.pause()
        to.once('drain', resume)
      }
    })
    from.on('end', () => this.#endSide(to))
    from.resume()
  }

  /** Nothing more passes. The client is told why; the upstream, that its client is going away. */
  #close(code: CloseCode): void {
    if (this.#ended) return
    this.#ended = true
    this.#endSide(this.#client, this.#toClient.whole ? closeFrame(code, false) : undefined)
    this.#endSide(this.#upstream, this.#toUpstream.whole ? closeFrame(1001, true) : undefined)
    this.#client.resume()
    this.#upstream.resume()
    this.#lingerThenDestroy()
  }

  /** Sends what is still to be sent, however slowly it is read, and then waits for the rest of the close. */
  #endSide(side: Duplex, last?: Buffer): void {
    if (side.destroyed || side.writableEnded) return
    side.end(last, () => this.#lingerThenDestroy())
  }

  #lingerThenDestroy(): void {
    this.#linger ??= setTimeout(() => {
      this.#client.destroy()
      this.#upstream.destroy()
    }, LINGER_MS)
  }
}
