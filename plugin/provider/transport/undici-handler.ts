import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'

/** Who sends a request by `dispatch`, and is told what becomes of it, in this order. */
export interface ResponseReceiver {
  /** There is a connection; nothing has been sent. What it throws becomes the error, and the connection is kept. */
  onConnection(): void
  /**
   * The header of a response, of an interim one (1xx) too. @param rawFields names and values in turn, as bytes.
   * What it throws becomes the error.
   */
  onHead(status: number, rawFields: readonly Buffer[]): void
  /** A piece of the body. False: no further piece before `resume`. What it throws becomes the error. */
  onBody(chunk: Buffer): boolean
  /** The response is whole. @param rawTrailers as `rawFields`; mostly none. */
  onEnd(rawTrailers: readonly Buffer[]): void
  onError(error: Error): void
  /** The server has switched protocols (101), and the connection is the receiver's. */
  onUpgrade?(status: number, rawFields: readonly Buffer[], socket: Duplex): void
}

/**
 * undici's handler interface (`onRequestStart` and its companions, undici 7 and 8) in the words of a receiver. The
 * one place that knows it: the provider client and the gateway's forwarder share it.
 *
 * undici parses every header into an object. The receivers read the bytes instead (`controller.rawHeaders`): spelling
 * and bytes above ASCII stay as they came, and nothing is made that nobody reads.
 */
export class UndiciHandler implements Dispatcher.DispatchHandler {
  readonly #receiver: ResponseReceiver
  /** Null until there is a connection: nothing has been sent. */
  #controller: Dispatcher.DispatchController | null = null

  constructor(receiver: ResponseReceiver) {
    this.#receiver = receiver
  }

  /** False while no byte of the request can have left. */
  get isConnected(): boolean {
    return this.#controller !== null
  }

  /** Breaks off what has been sent, and closes its connection. No effect before there is one. */
  abort(reason?: Error): void {
    this.#controller?.abort(reason ?? new Error('aborted'))
  }

  /** Lets the body go on after `onBody` returned false. */
  resume(): void {
    this.#controller?.resume()
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#receiver.onConnection()
    this.#controller = controller
  }

  onRequestUpgrade(
    controller: Dispatcher.DispatchController,
    status: number,
    _headers: unknown,
    socket: Duplex,
  ): void {
    this.#receiver.onUpgrade?.(status, bytes(controller.rawHeaders), socket)
  }

  onResponseStart(controller: Dispatcher.DispatchController, status: number): void {
    this.#receiver.onHead(status, bytes(controller.rawHeaders))
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#receiver.onBody(chunk)) controller.pause()
  }

  onResponseEnd(controller: Dispatcher.DispatchController): void {
    this.#receiver.onEnd(bytes(controller.rawTrailers))
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#receiver.onError(error)
  }
}

const NONE: readonly Buffer[] = []

/** HTTP/1.1 gives bytes. Other dispatchers may give text, or the object of HTTP/2, which we do not offer. */
function bytes(raw: Dispatcher.DispatchController['rawHeaders']): readonly Buffer[] {
  if (raw === null || raw === undefined) return NONE
  if (!Array.isArray(raw)) return Object.entries(raw).flatMap(([name, value]) => linesOf(name, value))
  return typeof raw[0] === 'string'
    ? raw.map((text) => Buffer.from(text as string, 'latin1'))
    : (raw as Buffer[])
}

function linesOf(name: string, value: string | string[] | undefined): Buffer[] {
  return [value ?? []].flat().flatMap((one) => [Buffer.from(name, 'latin1'), Buffer.from(one, 'latin1')])
}
