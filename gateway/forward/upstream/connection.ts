import type { buildConnector as Connectors, Dispatcher, Client as UndiciClient } from 'undici'
import { buildConnector, Client } from '../../../plugin/api/internal.ts'
import type { Trust } from '../../config/certificate.ts'
import type { Upstream } from '../../config/schemas/config.ts'
import type { TargetAddress } from '../../http/target-address.ts'
import { type AnswerHeads, followAnswers } from './answer-heads.ts'

/** What of the configuration is about each connection. */
export type ConnectionSettings = Pick<Upstream, 'timeouts' | 'connectionMaxAgeMs' | 'responseHeaderBytes'> &
  Partial<Pick<TargetAddress, 'socketPath'>> & {
    /** Whose certificates are trusted, and our own. Default: the public authorities', and none. */
    readonly trust?: Trust
  }

/** What all connections of a target have in common. */
export class Connecting {
  readonly origin: string
  readonly maxAgeMs: number
  readonly now: () => number
  readonly connect: Connectors.connector
  readonly headersTimeout: number
  readonly bodyTimeout: number
  readonly maxHeaderSize: number

  /** @param now a clock that never goes back, in milliseconds. */
  constructor(origin: string, settings: ConnectionSettings, now: () => number) {
    const { timeouts, connectionMaxAgeMs, responseHeaderBytes } = settings
    this.origin = origin
    this.maxAgeMs = connectionMaxAgeMs
    this.now = now
    this.headersTimeout = timeouts.headersMs
    this.bodyTimeout = timeouts.idleMs
    this.maxHeaderSize = responseHeaderBytes
    // One for all, because it remembers their TLS sessions.
    this.connect = connectorTo(settings)
  }
}

/**
 * What opens the connections to one target. Its authorities and our certificate are used for this target alone
 * (requirements Q-07).
 *
 * undici takes the name for TLS from the Host field, which may be ours or any (`upstreams[].host`). Without that name it
 * takes the one of the origin, so that a certificate is compared with the target's own (RFC 9110 §4.3.4).
 */
function connectorTo({ timeouts, socketPath, trust }: ConnectionSettings): Connectors.connector {
  const connect = buildConnector({
    allowH2: false,
    timeout: timeouts.connectMs,
    ...trust,
    ...(socketPath !== undefined && { socketPath }),
  })
  return (options, callback) => connect({ ...options, servername: '' }, callback)
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
  #client: UndiciClient
  readonly #connecting: Connecting
  #heads: AnswerHeads | null = null
  #openedAt = 0

  constructor(connecting: Connecting) {
    this.#connecting = connecting
    this.#client = this.#makeClient()
  }

  #makeClient(): UndiciClient {
    const { origin, connect, headersTimeout, bodyTimeout, maxHeaderSize, now } = this.#connecting
    // Fixed to one origin, no interceptor: nothing is retried, cached, shared between requests, redirected or
    // decompressed (F-11, H-21, H-23, H-24).
    return new Client(origin, {
      pipelining: 1,
      allowH2: false,
      headersTimeout,
      bodyTimeout,
      maxHeaderSize,
      connect: (options, callback) =>
        connect(options, (...[error, socket]: Connectors.CallbackArgs) => {
          // On an error undici calls back without a second argument.
          if (!socket) {
            // After a certificate of another name undici's client takes requests and does nothing with them.
            this.#client = this.#makeClient()
            callback(error as Error, null)
          } else {
            this.#heads = followAnswers(socket)
            this.#openedAt = now()
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
