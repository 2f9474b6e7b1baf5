import type { Duplex } from 'node:stream'
import type { Dispatcher } from 'undici'

/** Who sends a request by `dispatch`, and is told what becomes of it, in this order. */
export interface ResponseReceiver {
  /** There is a connection; nothing has been sent. What it throws becomes the error, and the connection is kept. */
  onConnection(): void
  /**
   * The header of a response, of an interim one (1xx) too. What it throws becomes the error.
   *
   * @param fields names and values in turn, in their spelling and order, each byte above ASCII as one character. The
   * receiver's own from now on.
   */
  onHead(status: number, fields: string[]): void
  /** A piece of the body. False: no further piece before `resume`. What it throws becomes the error. */
  onBody(chunk: Buffer): boolean
  /** The response is whole. @param trailers as `fields`; mostly none. */
  onEnd(trailers: readonly string[]): void
  onError(error: Error): void
  /** The server has switched protocols (101), and the connection is the receiver's. */
  onUpgrade?(status: number, fields: string[], socket: Duplex): void
}

/**
 * undici's handler interface (`onRequestStart` and its companions, undici 7 and 8) in the words of a receiver. The
 * one place that knows it: the provider client and the gateway's forwarder share it.
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
    { rawHeaders }: Dispatcher.DispatchController,
    status: number,
    parsed: ParsedFields,
    socket: Duplex,
  ): void {
    this.#receiver.onUpgrade?.(status, linesOf(rawHeaders, parsed), socket)
  }

  onResponseStart({ rawHeaders }: Dispatcher.DispatchController, status: number, parsed: ParsedFields): void {
    this.#receiver.onHead(status, linesOf(rawHeaders, parsed))
  }

  onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
    if (!this.#receiver.onBody(chunk)) controller.pause()
  }

  onResponseEnd({ rawTrailers }: Dispatcher.DispatchController, parsed: ParsedFields): void {
    this.#receiver.onEnd(linesOf(rawTrailers, parsed))
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#receiver.onError(error)
  }
}

/** A header as undici parses it: names in lower case, values decoded, several lines of one name as an array. */
type ParsedFields = Readonly<Record<string, string | string[] | undefined>>
type RawFields = Dispatcher.DispatchController['rawHeaders']

/**
 * The lines of a header, as they came. undici has decoded the values by now, and most names are spelled as the last
 * time: so nothing need be decoded again. Where names and lines do not go in pairs (one is repeated, or is a number,
 * which an object moves to its front), all of it is decoded.
 */
function linesOf(raw: RawFields, parsed: ParsedFields): string[] {
  const lines: string[] = []
  let i = 0
  for (const name in parsed) {
    const value = parsed[name]
    const spelling = Array.isArray(raw) ? spellingOf(name, raw[i]) : name
    if (typeof value !== 'string' || spelling === null) return decoded(raw, parsed)
    lines.push(spelling, value)
    i += 2
  }
  return lines
}

/** The last spelling of each name. Bounded: what comes from an upstream must not fill the memory. */
const spellings = new Map<string, { readonly text: string; readonly bytes: Buffer }>()
const MAX_SPELLINGS = 1000
const MAX_REMEMBERED_BYTES = 64

/** @returns null if the line has another name. */
function spellingOf(name: string, line: Buffer | string | undefined): string | null {
  if (typeof line !== 'object') return line?.toLowerCase() === name ? line : null
  const last = spellings.get(name)
  if (last !== undefined && isSame(last.bytes, line)) return last.text
  const text = line.toString('latin1')
  if (text.toLowerCase() !== name) return null
  const isKept = line.length <= MAX_REMEMBERED_BYTES && (last !== undefined || spellings.size < MAX_SPELLINGS)
  if (isKept) spellings.set(name, { text, bytes: Buffer.from(line) })
  return text
}

/** In JavaScript: a dozen bytes are compared before a call of C++ has begun. */
function isSame(a: Buffer, b: Buffer): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false
  return true
}

function decoded(raw: RawFields, parsed: ParsedFields): string[] {
  if (Array.isArray(raw))
    return raw.map((part: Buffer | string) => (typeof part === 'string' ? part : part.toString('latin1')))
  return Object.entries(parsed).flatMap(([name, value = []]) =>
    [value].flat().flatMap((line) => [name, line]),
  )
}
