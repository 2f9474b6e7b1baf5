import { buildConnector, Client, type Dispatcher } from 'undici'
import type { Upstream } from '../../config/schemas/gateway.ts'
import { type AnswerHeads, followAnswers } from './answer-heads.ts'

/** What of the configuration is about each connection. */
export type ConnectionSettings = Pick<Upstream, 'timeouts' | 'connectionMaxAgeMs'>

/** What all connections of a target have in common. */
export class Connecting {
  readonly origin: string
  readonly maxAgeMs: number
  readonly now: () => number
  readonly connect: buildConnector.connector
  readonly headersTimeout: number
  readonly bodyTimeout: number

  /** @param now a clock that never goes back, in milliseconds. */
  constructor(origin: string, { timeouts, connectionMaxAgeMs }: ConnectionSettings, now: () => number) {
    this.origin = origin
    this.maxAgeMs = connectionMaxAgeMs
    this.now = now
    this.headersTimeout = timeouts.headersMs
    this.bodyTimeout = timeouts.idleMs
    // One for all, because it remembers their TLS sessions.
    this.connect = buildConnector({ allowH2: false, timeout: timeouts.connectMs })
  }
}

/** Of whom a connection is, while it is in use. */
export interface Holder {
  /** Connections with a request under way. */
  used: number
  /** Connections that have become streams. */
  streams: number
}

/**
 * A connection to a target, one request at a time: undici's `Client`, which connects when there is something to send,
 * and again when the connection is gone by then.
 */
export class Connection<Share extends Holder = Holder> {
  /** Null while it is idle. */
  holder: Share | null = null
  /** What it carries stays open, and does not count as a request. */
  isStream = false
  readonly #client: Client
  readonly #connecting: Connecting
  #heads: AnswerHeads | null = null
  #openedAt = 0

  constructor(connecting: Connecting) {
    this.#connecting = connecting
    const { origin, connect, headersTimeout, bodyTimeout } = connecting
    // Fixed to one origin, no interceptor: nothing is retried, cached, shared between requests, redirected or
    // decompressed (F-11, H-21, H-23, H-24).
    this.#client = new Client(origin, {
      pipelining: 1,
      allowH2: false,
      headersTimeout,
      bodyTimeout,
      connect: (options, callback) =>
        connect(options, (...[error, socket]: buildConnector.CallbackArgs) => {
          // On an error undici calls back without a second argument.
          if (!socket) callback(error as Error, null)
          else {
            this.#heads = followAnswers(socket)
            this.#openedAt = connecting.now()
            callback(null, socket)
          }
        }),
    })
  }

  /** It was opened so long ago that its target's name may have moved (H-23). */
  get isOld(): boolean {
    return this.#heads !== null && this.#connecting.now() - this.#openedAt > this.#connecting.maxAgeMs
  }

  /** It had been used before, and was gone before the present request got a byte of its answer (RFC 9112 §9.3.1). */
  get wasLostIdle(): boolean {
    return this.#heads?.isReusedInVain === true
  }

  send(request: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): void {
    this.#client.dispatch(request, handler)
  }

  /** It is there, and the request is about to leave. */
  awaitAnswer(): void {
    this.#heads?.await()
  }

  /** After the request that is under way, if one is. */
  async close(): Promise<void> {
    // It rejects when it is asked again afterwards.
    if (!this.#client.destroyed) await this.#client.close()
  }
}
