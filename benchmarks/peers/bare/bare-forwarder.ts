import type { IncomingMessage } from 'node:http'
import type { Readable } from 'node:stream'
import { type Dispatcher, Pool } from 'undici'
import { CONNECTIONS } from '../peer.ts'

/** Fields of one connection, not of the message (RFC 9110 §7.6.1); framing is decided here. */
const HOP_BY_HOP = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

/** What is used of a request, so that one of HTTP/2 can be given as well. */
export type Incoming = Readable & Pick<IncomingMessage, 'method' | 'url' | 'headers' | 'rawHeaders'>

/** What is used of a response. Fields are names and values in turn. */
export interface Outgoing {
  readonly headersSent: boolean
  writeHead(status: number, fields: string[]): unknown
  write(chunk: Buffer): boolean
  end(chunk?: Buffer): unknown
  destroy(): unknown
  on(event: 'close', listener: () => void): unknown
  once(event: 'drain', listener: () => void): unknown
}

/**
 * The least that forwards HTTP safely: `node:http` in, undici's `dispatch` out, and no framework, session or
 * policy. Whatever is built on Node can at best be as fast as this.
 *
 * The safety is in: hop-by-hop fields are dropped on both sides with those that `Connection` names, `Expect` is
 * not passed on, backpressure works both ways, either side's end ends the other, and failures are 502 and 504.
 */
export class BareForwarder {
  readonly #pool: Pool
  readonly #authority: string

  constructor(upstream: number, connections = CONNECTIONS) {
    this.#authority = `127.0.0.1:${upstream}`
    this.#pool = new Pool(`http://${this.#authority}`, { connections, pipelining: 1 })
  }

  forward(request: Incoming, response: Outgoing): void {
    const { method = 'GET', url = '/' } = request
    const headers = this.#requestHeaders(request)
    const body = hasBody(request) ? request : null
    this.#pool.dispatch(
      { path: url, method: method as Dispatcher.HttpMethod, headers, body },
      // The older interface, which undici 7 takes and undici 8 has no type for: it is the cheaper one, and the yardstick.
      new Exchange(request, response) as Dispatcher.DispatchHandler,
    )
  }

  #requestHeaders({ rawHeaders, headers: { connection } }: Incoming): string[] {
    const named = connectionNames(connection)
    const headers = ['host', this.#authority]
    for (let i = 0; i < rawHeaders.length; i += 2) {
      const name = rawHeaders[i]!.toLowerCase()
      if (name === 'host' || name === 'expect' || HOP_BY_HOP.has(name) || named?.has(name)) continue
      headers.push(name, rawHeaders[i + 1]!)
    }
    return headers
  }
}

class Exchange {
  readonly #request: Incoming
  readonly #response: Outgoing
  #abort: (() => void) | null = null
  #resume: (() => void) | null = null
  #remaining = -1
  #done = false

  constructor(request: Incoming, response: Outgoing) {
    this.#request = request
    this.#response = response
    response.on('close', () => this.#closed())
  }

  onConnect(abort: () => void): void {
    if (this.#done) abort()
    else this.#abort = abort
  }

  onHeaders(status: number, raw: Buffer[], resume: () => void): boolean {
    if (status < 200 || this.#done) return true
    const fields: string[] = []
    let connection: string | undefined
    for (let i = 0; i < raw.length; i += 2) {
      const name = raw[i]!.toString('latin1').toLowerCase()
      const value = raw[i + 1]!.toString('latin1')
      if (name === 'content-length') this.#remaining = Number(value)
      if (name === 'connection') connection = value
      if (!HOP_BY_HOP.has(name)) fields.push(name, value)
    }
    this.#response.writeHead(status, withoutNamed(fields, connectionNames(connection)))
    this.#resume = resume
    if (this.#remaining === 0 || status === 204 || status === 304 || this.#request.method === 'HEAD')
      this.#end()
    return true
  }

  onData(chunk: Buffer): boolean {
    if (this.#done) return true
    this.#remaining -= chunk.length
    if (this.#remaining === 0) {
      this.#end(chunk)
      return true
    }
    if (this.#response.write(chunk)) return true
    this.#response.once('drain', () => this.#resume?.())
    return false
  }

  onComplete(): void {
    if (!this.#done) this.#end()
  }

  onError(error: Error & { code?: string }): void {
    if (this.#done) return
    this.#done = true
    if (this.#response.headersSent) this.#response.destroy()
    else {
      this.#response.writeHead(error.code?.endsWith('TIMEOUT') ? 504 : 502, ['connection', 'close'])
      this.#response.end()
    }
  }

  #end(chunk?: Buffer): void {
    this.#done = true
    this.#response.end(chunk)
  }

  #closed(): void {
    if (this.#done) return
    this.#done = true
    this.#abort?.()
  }
}

function hasBody({ headers }: Incoming): boolean {
  const length = headers['content-length']
  return headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0')
}

/** What `Connection` names besides the usual, or undefined. */
function connectionNames(connection: string | undefined): Set<string> | undefined {
  if (connection === undefined || connection === 'keep-alive' || connection === 'close') return undefined
  return new Set(connection.toLowerCase().split(/[\s,]+/))
}

function withoutNamed(fields: string[], named: Set<string> | undefined): string[] {
  if (named === undefined) return fields
  return fields.filter((_, i) => !named.has(fields[i - (i % 2)]!))
}
