import { constants, Http2ServerRequest, type IncomingHttpHeaders, type ServerHttp2Stream } from 'node:http2'
import type { ReadableOptions } from 'node:stream'

/**
 * A request of HTTP/2 in the form of the HTTP/1.1 request that says the same, so that one intake judges both.
 *
 * nghttp2 has refused what is malformed by itself: fields of the connection, `te` but for `trailers`, names in upper
 * case, a body that is not as long as announced (RFC 9113 §8.1.1, §8.2.1, §8.2.2).
 */
export class Http2Request extends Http2ServerRequest {
  override readonly httpVersion = '1.1'
  #isHeaderOnly = false

  constructor(
    stream: ServerHttp2Stream,
    headers: IncomingHttpHeaders,
    options: ReadableOptions,
    rawHeaders: readonly string[],
  ) {
    super(stream, headers, options, http1Fields(stream, headers, rawHeaders))
  }

  /** As with HTTP/1.1: `HeaderOnlyRequest`. */
  endWithHeader(): void {
    this.#isHeaderOnly = true
  }

  /** What was broken off has no end: it must not be taken for the whole body (RFC 9113 §8.1). */
  override push(chunk: unknown, encoding?: BufferEncoding): boolean {
    if (this.#isHeaderOnly) return false
    return chunk === null && this.aborted ? false : super.push(chunk, encoding)
  }

  override resume(): this {
    return this.#isHeaderOnly ? this : super.resume()
  }

  override _read(size: number): void {
    if (!this.aborted) super._read(size)
  }

  /** Its stream goes with it, as the connection of an HTTP/1.1 request does. */
  override _destroy(error: Error | null, done: (error: Error | null) => void): void {
    this.stream.close(constants.NGHTTP2_CANCEL)
    done(error)
  }
}

/**
 * The fields of the HTTP/1.1 request, as a flat list; `headers` gets those that are new.
 *
 * A Host that differs from `:authority` stays beside it, and two of them are refused.
 * Source: RFC 9113 §8.2.3, §8.3.1; requirements H-34.
 */
function http1Fields(
  stream: ServerHttp2Stream,
  headers: IncomingHttpHeaders,
  rawHeaders: readonly string[],
): string[] {
  const { ':authority': authority, cookie } = headers
  const fields = authority === undefined ? [] : ['host', authority]
  for (let i = 0; i < rawHeaders.length; i += 2) {
    const name = rawHeaders[i]!
    const value = rawHeaders[i + 1]!
    if (name.startsWith(':') || name === 'cookie') continue
    if (name === 'host' && value.toLowerCase() === authority?.toLowerCase()) continue
    fields.push(name, value)
  }
  if (authority !== undefined) headers.host ??= authority
  // Sent as one field for each cookie, and joined by Node.
  if (cookie !== undefined) fields.push('cookie', cookie)
  if (!stream.endAfterHeaders && headers['content-length'] === undefined) {
    headers['transfer-encoding'] = 'chunked'
    fields.push('transfer-encoding', 'chunked')
  }
  return fields
}
