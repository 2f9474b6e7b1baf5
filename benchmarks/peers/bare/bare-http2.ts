import {
  constants,
  createSecureServer,
  type IncomingHttpHeaders,
  type OutgoingHttpHeaders,
  type ServerHttp2Stream,
} from 'node:http2'
import { readArgument } from '../../plan/argument.ts'
import type { ForwarderArgument } from '../peer.ts'
import { BareForwarder, type Incoming, type Outgoing } from './bare-forwarder.ts'

/** The limit over HTTP/2: the streams of Node's core interface, which is quicker than its requests and responses. */
const { port, upstream, cert, key } = readArgument<ForwarderArgument & { cert: string; key: string }>()
const forwarder = new BareForwarder(upstream)

/** What a stream lacks to be a response. */
class StreamResponse implements Outgoing {
  readonly #stream: ServerHttp2Stream

  constructor(stream: ServerHttp2Stream) {
    this.#stream = stream
    stream.on('error', () => {})
  }

  get headersSent(): boolean {
    return this.#stream.headersSent
  }

  writeHead(status: number, fields: string[]): void {
    const headers: OutgoingHttpHeaders = { ':status': status }
    for (let i = 0; i < fields.length; i += 2) {
      const name = fields[i]!
      const before = headers[name] as string | string[] | undefined
      // Of the connection, which HTTP/2 does not have (RFC 9113 §8.2.2).
      if (name !== 'connection')
        headers[name] = before === undefined ? fields[i + 1]! : [before, fields[i + 1]!].flat()
    }
    this.#stream.respond(headers)
  }

  write(chunk: Buffer): boolean {
    return this.#stream.write(chunk)
  }

  end(chunk?: Buffer): void {
    this.#stream.end(chunk)
  }

  destroy(): void {
    this.#stream.close(constants.NGHTTP2_INTERNAL_ERROR)
  }

  on(event: 'close', listener: () => void): void {
    this.#stream.on(event, listener)
  }

  once(event: 'drain', listener: () => void): void {
    this.#stream.once(event, listener)
  }
}

const server = createSecureServer({ cert, key })
server.on(
  'stream',
  (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, _flags: number, rawHeaders: string[]) => {
    forwarder.forward(requestOf(stream, headers, rawHeaders), new StreamResponse(stream))
  },
)
server.listen({ host: '127.0.0.1', port, backlog: 4096 })

/** The stream itself, with what a request has beside its body. */
function requestOf(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, rawHeaders: string[]): Incoming {
  const { ':method': method, ':path': url, ':authority': host } = headers
  const fields = rawHeaders.filter((_, i) => !rawHeaders[i - (i % 2)]!.startsWith(':'))
  return Object.assign(stream, { method, url, headers: { ...headers, host }, rawHeaders: fields })
}
