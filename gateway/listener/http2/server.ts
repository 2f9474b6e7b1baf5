import { type IncomingMessage, type Server, ServerResponse } from 'node:http'
import {
  type ClientHttp2Session,
  connect,
  createSecureServer,
  createServer,
  type Http2Server,
  type IncomingHttpHeaders,
  type ServerHttp2Session,
} from 'node:http2'
import type { ServerOptions } from 'node:https'
import type { Http2Limits } from '../../config/schemas/config.ts'
import { MAX_HEADER_BYTES } from '../../http/request-fields.ts'
import { LAST_CHANCE_MS } from '../http1-connection.ts'
import { memoryConnection } from '../memory-connection.ts'
import { Http2Request } from './request.ts'
import { Http2Response } from './response.ts'

/** Node allows ten times as many before it ends the session. */
const MAX_INVALID_FRAMES = 100

/**
 * Streams that a client may break off on one connection: so many at once, and so many more each second. nghttp2 has
 * a limit, too (1000 and 33), and then ends the session; but Node notices neither that nor that the client has gone, and
 * keeps the connection until it has been idle for long (Node 20.20.2). This limit is reached with it, or before.
 */
const RESETS_AT_ONCE = 500
const RESETS_PER_SECOND = 30

/**
 * A header that is larger than ours may be is read up to here, so that it can be answered with 431; the stream of one
 * that is larger still is reset. Until a client acknowledges our settings, Node reads up to 16 MiB of each, most of
 * it references to few bytes. The intake holds the limits that count (`RequestHeaders`).
 */
const READ_HEADER_BYTES = 8 * MAX_HEADER_BYTES
const READ_FIELDS = 1000
/** More than a field of a response takes beside its name and value, in nghttp2's estimate. */
const RESPONSE_OVERHEAD = 3

const HTTP1_SETTINGS = [
  'maxHeaderSize',
  'headersTimeout',
  'requestTimeout',
  'keepAliveTimeout',
  'connectionsCheckingInterval',
  'requireHostHeader',
] as const

/**
 * A TLS server that speaks HTTP/2 with clients that ask for it (ALPN), and HTTP/1.1 with all others as ever: with
 * those alone WebSocket, for there is no RFC 8441.
 *
 * Node and nghttp2 bound the rest: refused streams, CONTINUATION, SETTINGS and
 * PING frames, memory. Source: RFC 9113 §10.5, requirements H-34.
 * @param options of the HTTP/1.1 server.
 * @param responseHeaderBytes what an upstream may send at most: any that a reload may bring.
 */
export function createHttp2Server(
  options: ServerOptions & Required<Pick<ServerOptions, (typeof HTTP1_SETTINGS)[number]>>,
  { maxConcurrentStreams }: Http2Limits,
  responseHeaderBytes = 0,
): Server {
  const { IncomingMessage: Http1Request, ServerResponse: Http1Response, ...http1 } = options
  const server = createSecureServer({
    ...(http1 as object),
    ...(Http1Request && { Http1IncomingMessage: Http1Request as typeof IncomingMessage }),
    ...(Http1Response && { Http1ServerResponse: Http1Response as typeof ServerResponse }),
    allowHTTP1: true,
    noDelay: true,
    settings: { maxConcurrentStreams, maxHeaderListSize: READ_HEADER_BYTES },
    maxHeaderListPairs: READ_FIELDS,
    maxSendHeaderBlockLength: RESPONSE_OVERHEAD * responseHeaderBytes + MAX_HEADER_BYTES,
    maxSessionInvalidFrames: MAX_INVALID_FRAMES,
    Http2ServerRequest: Http2Request,
    Http2ServerResponse: Http2Response,
  } as object)
  // Before Node 24 these are no options here, but every HTTP/1.1 connection looks for them at its server.
  for (const name of HTTP1_SETTINGS) Object.assign(server, { [name]: options[name] })
  return server as unknown as Server
}

/** The connections of HTTP/2: each ends when nothing happens on it, and all when the gateway stops. */
export class Http2Sessions {
  /** Each with what sets how long it may be idle. */
  readonly #open = new Map<ServerHttp2Session, (idleMs: number) => void>()
  readonly #headersMs: number
  readonly #keepAliveMs: number
  #draining = false

  constructor({ headersMs, keepAliveMs }: { headersMs: number; keepAliveMs: number }) {
    this.#headersMs = headersMs
    this.#keepAliveMs = keepAliveMs
  }

  /** @param server of `createHttp2Server`. */
  watch(server: Server): void {
    server.on('session', (session: ServerHttp2Session) => this.#add(session))
  }

  /** No new streams; those in flight finish (RFC 9113 §6.8). */
  drain(): void {
    this.#draining = true
    for (const [session, setIdle] of this.#open) {
      session.close()
      setIdle(LAST_CHANCE_MS)
    }
  }

  #add(session: ServerHttp2Session): void {
    // Node forgets it with the session, and waits for the client to close it, which may be silent for ever.
    const closeSocket = session.socket.destroySoon
    const end = () => {
      session.destroy()
      closeSocket()
    }
    let streams = 0
    let resets = 0
    let countedAt = performance.now()
    const countReset = () => {
      const now = performance.now()
      resets = Math.max(0, resets - ((now - countedAt) / 1000) * RESETS_PER_SECOND) + 1
      countedAt = now
      if (resets > RESETS_AT_ONCE) end()
    }
    let idle: NodeJS.Timeout | undefined
    const setIdle = (idleMs: number) => {
      clearTimeout(idle)
      if (streams === 0) idle = setTimeout(end, idleMs)
    }
    session.on('stream', (stream) => {
      clearTimeout(idle)
      streams++
      stream.once('close', () => {
        streams--
        if (stream.aborted || stream.rstCode !== 0) countReset()
        setIdle(this.#draining ? LAST_CHANCE_MS : this.#keepAliveMs)
      })
    })
    session.once('close', () => {
      clearTimeout(idle)
      this.#open.delete(session)
    })
    this.#open.set(session, setIdle)
    setIdle(this.#draining ? LAST_CHANCE_MS : this.#headersMs)
    if (this.#draining) session.close()
  }
}

/**
 * A request and its response have the form of HTTP/1.1, and the response is destroyed with its stream, which closes by
 * itself although nobody has read the request: with a body of announced length, and with one of any length.
 */
export async function speaksHttp2(): Promise<boolean> {
  const options = { Http2ServerRequest: Http2Request, Http2ServerResponse: Http2Response }
  const server = createServer(options as object)
  const { client: near, connection: far } = memoryConnection()
  const client = connect('http://a', { createConnection: () => near })
  try {
    server.emit('connection', far)
    return (await passes(server, client, ['content-length', '4'])) && (await passes(server, client, []))
  } finally {
    client.destroy()
    far.destroy()
    server.close()
  }
}

async function passes(server: Http2Server, client: ClientHttp2Session, length: string[]): Promise<boolean> {
  const closed = new Promise<boolean>((resolve) => {
    server.once('request', (request, response) => {
      const isHttp1 = String(request.httpVersion) === '1.1' && request.rawHeaders.join().startsWith('host,a')
      const isDestroyed = () => (response as unknown as Http2Response).destroyed
      response.on('close', () => setImmediate(() => resolve(isHttp1 && isDestroyed())))
      ;(request as unknown as Http2Request).endWithHeader()
      response.writeHead(200, ['x-a', '1', 'connection', 'close', ...length] as never).end('body')
    })
  })
  const stream = client.request({ ':path': '/' })
  let head: IncomingHttpHeaders = {}
  stream.on('response', (headers) => {
    head = headers
  })
  let body = ''
  for await (const piece of stream) body += (piece as Buffer).toString()
  return (await closed) && body === 'body' && head['x-a'] === '1' && head.connection === undefined
}

/** An HTTP/1.1 connection of the HTTP/2 server has the limits that were meant for it. */
export async function heedsHttp1Settings(): Promise<boolean> {
  const server = createHttp2Server(
    {
      maxHeaderSize: 1024,
      headersTimeout: 1000,
      requestTimeout: 1000,
      keepAliveTimeout: 1000,
      connectionsCheckingInterval: 1000,
      requireHostHeader: false,
      ServerResponse,
    },
    { maxConcurrentStreams: 1 },
  )
  const { client, connection } = memoryConnection()
  try {
    const refused = new Promise<string>((resolve) => {
      server.on('clientError', (error: NodeJS.ErrnoException) => resolve(error.code ?? ''))
      server.on('request', () => resolve('accepted'))
    })
    server.emit('secureConnection', Object.assign(connection, { alpnProtocol: false, server }))
    client.on('error', () => {})
    client.write(`GET / HTTP/1.1\r\nx-large: ${'a'.repeat(2000)}\r\n\r\n`)
    return (await refused) === 'HPE_HEADER_OVERFLOW'
  } finally {
    client.destroy()
    connection.destroy()
    server.close()
  }
}
