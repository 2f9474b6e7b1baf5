import { validateHeaderName, validateHeaderValue } from 'node:http'
import { constants, Http2ServerResponse, type OutgoingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import { LeavingAnswers } from './leaving-answers.ts'

/**
 * For the end of an answer to leave, without a sign of who reads it: nobody may hold a stream for ever (RFC 9113
 * §10.5).
 */
const STALLED_MS = 60_000

/** How often answers that have not left are looked for. Nearly all leave at once, and cost no timer. */
const LOOK_MS = 10_000

/** What may be in no message of HTTP/2 (RFC 9113 §8.2.2). */
const CONNECTION_FIELDS = new Set([
  'connection',
  'http2-settings',
  'keep-alive',
  'proxy-connection',
  'te',
  'transfer-encoding',
  'upgrade',
])

type Fields = Record<string, string | string[]>

const leaving = new LeavingAnswers<Http2Response>(LOOK_MS, STALLED_MS)

/**
 * Calls `run` in the next turn of the event loop, unless the client has reset the stream until then: one that is reset
 * with the bytes that open it costs nothing more (rapid reset, CVE-2023-44487; RFC 9113 §10.5).
 */
export function whenStillOpen({ stream }: Http2Response, run: () => void): void {
  setImmediate(() => {
    if (!stream.closed) run()
  })
}

/**
 * The response to a request of HTTP/2, with what Node's class lacks of an HTTP/1.1 response.
 *
 * Where that one closes its connection, this one ends its stream, and the connection lives on.
 */
export class Http2Response extends Http2ServerResponse {
  override destroyed = false
  /** A trailer can follow: not behind a body whose length was announced, as with HTTP/1.1. */
  chunkedEncoding = true
  /** Heeded for HTTP/1.1: here the session says when it ends. */
  shouldKeepAlive = true

  constructor(stream: ServerHttp2Stream) {
    super(stream)
    stream.once('close', () => {
      // Node says nothing of a HEAD request that was broken off.
      const silent = this.req.method === 'HEAD' && !this.writableEnded
      this.destroyed = true
      leaving.delete(this)
      if (silent) this.emit('close')
    })
  }

  /**
   * @param rest at its end the fields, as a flat list or an object.
   * @throws TypeError for what no field may hold, RangeError for what is no status; then nothing is sent or kept.
   */
  override writeHead(status: number, ...rest: unknown[]): this {
    const { stream } = this
    if (stream.destroyed || stream.closed) return this
    const fields = http2Fields(rest.at(-1), this.getHeaders())
    // Node ends the stream here, so that nothing can be as long as this says (RFC 9110 §15.3.6).
    if (status === 205) delete fields['content-length']
    // An upload that is still coming is refused when Node asks for the trailer.
    this.chunkedEncoding = fields['content-length'] === undefined || !stream.endAfterHeaders
    this.statusCode = status
    fields[':status'] = String(status)
    // Node's own class would look at each field twice more, and always ask for a trailer.
    stream.respond(fields, { endStream: this.writableEnded, waitForTrailers: this.chunkedEncoding })
    return this
  }

  override end(...args: unknown[]): this {
    const { stream } = this
    const isHeadOnly = stream.writableEnded
    super.end(...(args as [string, BufferEncoding]))
    if (!stream.closed) leaving.add(this)
    // Node closes a stream by itself only if no trailer could follow.
    if (this.chunkedEncoding && stream.endAfterHeaders) stream.resume()
    // Answered before the upload has ended: the rest is not wanted (RFC 9113 §8.1).
    if (!stream.endAfterHeaders && stream.state.remoteClose === 0) this.#refuseUpload(isHeadOnly)
    return this
  }

  /** The client must see that the answer is not whole, so the stream does not just end. */
  override destroy(): this {
    this.destroyed = true
    this.stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    return this
  }

  override addTrailers(trailers: unknown): void {
    super.addTrailers(http2Fields(Array.isArray(trailers) ? trailers.flat() : trailers))
  }

  writeProcessing(): void {
    const { stream } = this
    if (!stream.headersSent && !stream.closed) stream.additionalHeaders({ ':status': 102 })
  }

  /** After the answer has left, whole. */
  #refuseUpload(isHeadOnly: boolean): void {
    const { stream, req } = this
    const refuse = () =>
      setImmediate(() => {
        stream.close(constants.NGHTTP2_NO_ERROR)
        // The stream is not over until what has come of the upload is read.
        req.resume()
      })
    if (isHeadOnly) refuse()
    else stream.once('wantTrailers', refuse)
  }
}

/** Without what concerns the connection; repeated fields are joined where that says the same (RFC 9110 §5.3). */
function http2Fields(given: unknown, before: OutgoingHttpHeaders = {}): Fields {
  const fields: Fields = Object.create(null) as Fields
  const lines = fieldLines(given)
  for (let i = 0; i < lines.length; i += 2) {
    const name = lines[i]!.toLowerCase()
    const value = lines[i + 1]!
    if (CONNECTION_FIELDS.has(name)) continue
    validateHeaderName(name)
    validateHeaderValue(name, value)
    const first = fields[name]
    if (first === undefined) fields[name] = value
    else if (name === 'set-cookie') fields[name] = [first, value].flat()
    else fields[name] = first === '' || value === '' ? `${first}${value}` : `${first}, ${value}`
  }
  // Set one by one, and so looked at already.
  for (const name in before) fields[name] ??= before[name] as string | string[]
  return fields
}

/** Names and values in turn. */
function fieldLines(given: unknown): string[] {
  if (Array.isArray(given)) return given as string[]
  const lines: string[] = []
  if (typeof given === 'object' && given !== null) {
    for (const [name, value] of Object.entries(given)) {
      for (const one of [value].flat()) lines.push(name, String(one))
    }
  }
  return lines
}
